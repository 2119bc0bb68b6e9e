"""The tasks of a run: pure functions of values, which any process or machine can do.

Each checks once per process that its plug-ins (codecs, metrics, ...) are those of the run.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from netsim.codec import Stream
from netsim.decoding.cases import row_stream_keys
from netsim.decoding.collapse import Arrays
from netsim.decoding.streams import BatchSize, Qualities, StreamKey, codec_of, decode_qualities, encode_stream
from netsim.errors import InputError
from netsim.runs.context import CHANGED_HINT, RunContext
from netsim.runs.executors.base import Task
from netsim.runs.parts import PartKey
from netsim.runs.transport import transport_part
from netsim.scenario.inputs import fingerprints_of, plugins_of
from netsim.scenario.plan import Plan

__all__ = ["decode_task", "encode_task", "transport_task"]


def encode_task(context: RunContext, stream_keys: Sequence[StreamKey]) -> Task:
    """Encode an image by one codec at some operating points.

    Args:
        context: The run.
        stream_keys: Streams of one image by one codec.

    Returns:
        A task whose result is a list of streams, in this order.
    """
    image = context.image_name(stream_keys[0])
    together = f"{image} {stream_keys[0].codec}"
    gpu = any(codec_of(one).uses_gpu for one in stream_keys)
    return Task("encode", _encode, (image, tuple(stream_keys)), (image,), together, gpu)


def transport_task(context: RunContext, key: PartKey) -> Task:
    """Transport a part.

    Args:
        context: The run.
        key: The part.

    Returns:
        A task whose result is the part's arrays.
    """
    row = context.plan.rows[key.row]
    names = {place: context.stream_name(one) for place, one in row_stream_keys(context.plan, row).items()}
    return Task("transport", _transport, (key, names), tuple(dict.fromkeys(names.values())))


def decode_task(context: RunContext, stream_key: StreamKey, masks: Sequence[str]) -> Task:
    """Decode a stream under usable masks.

    Args:
        context: The run.
        stream_key: The stream.
        masks: Usable masks as text.

    Returns:
        A task whose result is their qualities.
    """
    image, stream = context.image_name(stream_key), context.stream_name(stream_key)
    argument = stream_key, tuple(masks), image, stream
    together, gpu = f"{image} {stream_key.codec}", codec_of(stream_key).uses_gpu
    return Task("decode", _decode, argument, (image, stream), together, gpu)


def _encode(plan: Plan, argument: tuple[str, tuple[StreamKey, ...]], values: Mapping[str, Any]) -> list[Stream]:
    _check_plugins(plan)
    image, stream_keys = argument
    return [encode_stream(stream_key, values[image]) for stream_key in stream_keys]


def _transport(
    plan: Plan, argument: tuple[PartKey, Mapping[tuple[int, int], str]], values: Mapping[str, Any]
) -> Arrays:
    _check_plugins(plan)
    key, names = argument
    return transport_part(plan, key, {place: values[name] for place, name in names.items()})


def _decode(plan: Plan, argument: tuple[StreamKey, tuple[str, ...], str, str], values: Mapping[str, Any]) -> Qualities:
    _check_plugins(plan)
    stream_key, masks, image, stream = argument
    return decode_qualities(stream_key, values[stream], values[image], masks, plan.metrics, _batch)


_batch = BatchSize()  # of this process
_checked: dict[str, tuple[str, str]] = {}  # by run id, what has changed and what to do; empty where nothing has


def _check_plugins(plan: Plan) -> None:
    """Raise InputError if this process has other plug-ins than the run began with; looked at once per process."""
    if plan.run_id not in _checked:
        _checked[plan.run_id] = _difference(plan)
    message, hint = _checked[plan.run_id]
    if message:
        raise InputError(message, hint=hint)


def _difference(plan: Plan) -> tuple[str, str]:
    """The first plug-in that differs here, and a hint; empty texts if none does."""
    here, there = plugins_of(plan), plan.inputs.plugins
    name = next((name for name in here if here[name] != there.get(name)), "")
    if not name:
        return "", ""
    then, now = plan.inputs.fingerprints.get(name, {}), fingerprints_of(plan).get(name, {})
    unlike = [
        f"{key} is {now.get(key)}, was {then.get(key)}" for key in {**then, **now} if now.get(key) != then.get(key)
    ]
    if not unlike:
        return f"`{name}` has changed since the run began", CHANGED_HINT
    message = f"`{name}` on `{socket.gethostname()}` is not what the run began with: {'; '.join(unlike)}"
    return message, "all nodes of a cluster need the same versions, programs, files and, for a search, processors"

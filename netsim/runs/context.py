"""What every task of a run needs: the plan, the store's place, and objects made once per process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.spec import channel_from_spec
from netsim.codec import OperatingPoint
from netsim.decoding.budget import SENT_BPP
from netsim.decoding.cache import CodecCache, StreamKey
from netsim.decoding.store import Store
from netsim.digests import path_sha256
from netsim.errors import InputError
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.protection.spec import protection_from_spec
from netsim.scenario.inputs import inputs_of
from netsim.scenario.plan import Plan, PlanRow, SchemeSpec

__all__ = ["RunContext", "check_inputs", "codec_cache", "row_channel", "row_link", "stream_key_of"]


@dataclass(frozen=True)
class RunContext:
    """A run's context, sent to each worker once."""

    plan: Plan
    store_path: Path
    parts: Path


@lru_cache(maxsize=4)
def codec_cache(store_path: Path) -> CodecCache:
    """The codec cache of this process."""
    return CodecCache(Store(store_path))


def check_inputs(job: RunContext) -> None:
    """Check that this process works with the inputs that the run began with.

    Plug-ins are checked once per process (a worker imports them anew), files each time.

    Raises:
        InputError: If one has changed.
    """
    plan = job.plan
    changes = _changes_at_start(plan.run_id, job) or [
        f"`{path}` has changed" for path, sha256 in plan.inputs.files.items() if _sha256(path) != sha256
    ]
    if changes:
        message = f"{changes[0]} since the run began"
        raise InputError(message, hint="run the same command again: it begins a run with the inputs as they are now")


_checked: dict[str, list[str]] = {}


def _changes_at_start(run_id: str, job: RunContext) -> list[str]:
    if run_id not in _checked:
        _checked[run_id] = inputs_of(job.plan).changes(job.plan.inputs.as_dict())
    return _checked[run_id]


def _sha256(path: str) -> str | None:
    try:
        return path_sha256(Path(path))
    except OSError:
        return None


def row_channel(row: PlanRow) -> Channel:
    """The row's channel."""
    channel: Channel = channel_from_spec(row.channel)
    return channel


def row_link(row: PlanRow) -> LinkProfile:
    """The row's link."""
    return link_from_spec(row.link)


def stream_key_of(plan: Plan, row: PlanRow, image: int, scheme: SchemeSpec) -> StreamKey:
    """Which stream a slot of this row sends; the link's packet limit, less what protection adds, binds the codec."""
    limit = row_link(row).packet_limit_bytes
    if limit is not None:
        limit -= protection_from_spec(scheme.protection).overhead_bytes
        if limit < 1:
            raise InputError(f"link {row.link_name} leaves no room for a payload under {scheme.protection_name}")
    codec, point = scheme.codec, OperatingPoint(scheme.point_key, scheme.point_value)
    item: Any = plan.images.items[image]
    under = json.dumps(scheme.protection, sort_keys=True) if point.key == SENT_BPP else ""
    return StreamKey(item, codec.name, codec.settings, point, limit, under)

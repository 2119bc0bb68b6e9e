"""Addresses of streams, and the two pure steps around a codec: image to stream, masks to image quality.

Both steps take values and return values. They read no store and no image file, so that any process can do them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, OperatingPoint, Stream, codec_class, codec_identity, create_codec
from netsim.codec_calls import checked_stream, decoded_images
from netsim.decoding.masks import masks_from_text
from netsim.digests import digest, files_sha256
from netsim.errors import InputError, noting, placed
from netsim.metrics.further import measured
from netsim.protection import rate_budget
from netsim.protection.base import Protection
from netsim.protection.rate_budget import SENT_BPP, encode_within
from netsim.scenario.plan import Plan, PlanRow, Scheme

__all__ = [
    "BatchSize",
    "Qualities",
    "StreamKey",
    "codec_of",
    "content_key",
    "decode_qualities",
    "encode_stream",
    "plan_stream_keys",
    "stream_key_of",
]

Pixels = NDArray[np.uint8]
Qualities = dict[str, dict[str, float]]
"""{metric: {usable mask as text: value}}."""

_Settings = tuple[tuple[str, Any], ...]

_BATCH = 16  # images decoded at once, while memory lasts
_BATCH_PIXELS = 1 << 25  # of them together, at most


@dataclass(frozen=True)
class StreamKey:
    """The address of a stream: which image, coded how.

    Attributes:
        image: An item of an image set (name, sha256, pixels()).
        codec: The codec's name.
        settings: All its settings, paths as written.
        point: Its operating point.
        packet_limit_bytes: Largest payload of a packet; None: no limit.
        protection_identity: Of the protection whose redundancy the operating point counts (``SENT_BPP``); else empty.
        protection: That protection.
        files: The settings that name files, their paths absolute. The content address has the files' contents.
        where: Place of the codec's entry in the scenario, for messages.
    """

    image: Any
    codec: str
    settings: tuple[tuple[str, Any], ...]
    point: OperatingPoint
    packet_limit_bytes: int | None
    protection_identity: str = ""
    protection: Protection | None = field(default=None, compare=False)
    files: tuple[tuple[str, Any], ...] = ()
    where: str = field(default="", compare=False)


def stream_key_of(plan: Plan, row: PlanRow, image: int, scheme: Scheme) -> StreamKey:
    """Which stream a slot of a row sends. The link's packet limit, less what protection adds, binds the codec.

    Args:
        plan: The plan.
        row: The row.
        image: Number of the image.
        scheme: One of the row's schemes.

    Returns:
        The stream's address.

    Raises:
        InputError: The link has no room for a payload.
    """
    limit = row.link.packet_limit_bytes
    if limit is not None:
        limit -= scheme.protection.overhead_bytes
        if limit < 1:
            message = f"link {row.link_name} leaves no room for a payload under {scheme.protection_name}"
            raise InputError(message, where=scheme.where)
    item: Any = plan.images.items[image]
    of = scheme.codec
    key = StreamKey(item, of.name, of.settings, scheme.point, limit, files=of.files, where=scheme.where)
    if scheme.point.key != SENT_BPP:
        return key
    return replace(key, protection_identity=scheme.protection_identity, protection=scheme.protection)


def plan_stream_keys(plan: Plan) -> list[StreamKey]:
    """Distinct streams that a plan sends, in plan order.

    Args:
        plan: The plan.

    Returns:
        Their addresses.

    Raises:
        InputError: A link has no room for a payload.
    """
    found: dict[StreamKey, None] = {}
    for row in plan.rows:
        for image in range(len(plan.image_names)):
            for scheme in row.schemes:
                found[stream_key_of(plan, row, image, scheme)] = None
    return list(found)


@lru_cache(maxsize=64)
def _codec(kind: type[Codec], settings: _Settings, files: _Settings) -> Codec:
    """kind: another class may be registered under the same name later."""
    return create_codec(kind.name, dict(settings) | dict(files))


def codec_of(stream_key: StreamKey) -> Codec:
    """The codec of a stream; one object per process and setting.

    Args:
        stream_key: The stream's address.

    Returns:
        The codec.

    Raises:
        InputError: There is no such codec, or it refuses a setting.
    """
    return _codec(codec_class(stream_key.codec), stream_key.settings, stream_key.files)


def content_key(stream_key: StreamKey) -> str:
    """Content address: pixels × codec × settings × its identity × operating point × packet limit.

    The identity is ``codec_identity``: source, tools, weights. Where the operating point counts the redundancy, the
    protection and the code that shares the budget out count, too.

    Args:
        stream_key: The stream's address.

    Returns:
        SHA-256 in hexadecimal.
    """
    codec = codec_of(stream_key)
    counted = [stream_key.protection_identity, _protection_code()] if stream_key.protection_identity else []
    return digest(
        stream_key.image.sha256,
        codec.name,
        dict(stream_key.settings),
        codec_identity(codec),
        (stream_key.point.key, stream_key.point.value),
        stream_key.packet_limit_bytes,
        *counted,
    )


@cache
def _protection_code() -> str:
    folder = Path(rate_budget.__file__).parent
    return files_sha256(folder, sorted(folder.rglob("*.py")))


def encode_stream(stream_key: StreamKey, pixels: Pixels) -> Stream:
    """Encode an image.

    Args:
        stream_key: How.
        pixels: uint8 [H, W, 3].

    Returns:
        The stream.

    Raises:
        InputError: The codec can't; the message names codec, operating point and image.
    """
    codec, limit = codec_of(stream_key), stream_key.packet_limit_bytes
    try:
        with noting(f"encode of {_described(stream_key)}"):
            if stream_key.protection is None:
                returned = codec.encode(pixels, stream_key.point, limit)
            else:
                returned = encode_within(codec, pixels, stream_key.point.value, stream_key.protection, limit)
    except InputError as error:
        place = f"{stream_key.codec} at {stream_key.point} of image `{stream_key.image.name}`"
        where = error.where or stream_key.where
        raise InputError(f"{place}: {error.message}", where=where, hint=error.hint, key=error.key) from None
    with placed(stream_key.where):
        return checked_stream(codec, returned, pixels)


def _described(stream_key: StreamKey) -> str:
    return f"codec `{codec_of(stream_key).label}` at {stream_key.point}, image `{stream_key.image.name}`"


class BatchSize:
    """How many masks are decoded at once. It shrinks when memory runs out, and stays so: the next image is as large."""

    def __init__(self) -> None:
        self.masks = _BATCH


def decode_qualities(
    stream_key: StreamKey,
    stream: Stream,
    pixels: Pixels,
    masks: Sequence[str],
    metrics: Sequence[str],
    batch: BatchSize,
    step: Callable[[int], None] = lambda masks: None,
) -> Qualities:
    """Decode a stream under usable masks and measure the images.

    Args:
        stream_key: The stream's address.
        stream: The stream.
        pixels: The original image, uint8 [H, W, 3].
        masks: Distinct usable masks as text, each with at least one usable packet.
        metrics: Names of metrics.
        batch: How many masks are decoded at once.
        step: Gets the number of masks of each batch when it is done.

    Returns:
        {metric: {mask: value}}.
    """
    codec, found = codec_of(stream_key), Qualities({metric: {} for metric in metrics})
    left, most = list(masks), max(1, _BATCH_PIXELS // (pixels.shape[0] * pixels.shape[1]))
    while left:
        part = left[: min(batch.masks, most)]
        try:
            with placed(stream_key.where), noting(f"decode of {_described(stream_key)}"):
                images = decoded_images(codec, stream, masks_from_text(part))
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error) or len(part) == 1:
                raise
            batch.masks = len(part) // 2
            continue
        left = left[len(part) :]
        for metric in metrics:
            with noting(f"metric `{metric}` of {_described(stream_key)}"):
                found[metric] |= zip(part, measured(metric, pixels, images).tolist(), strict=True)
        step(len(part))
    return found


def _out_of_memory(error: Exception) -> bool:
    """Also the devices' own errors, known by name: netsim does not import torch."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"

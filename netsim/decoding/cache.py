"""Encodes and decodes through the store: nothing is made twice, in this run or the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, OperatingPoint, Stream, codec_class, codec_identity, create_codec
from netsim.decoding.store import Store
from netsim.digests import digest
from netsim.errors import InputError
from netsim.metrics.further import measured
from netsim.metrics.identity import metric_identity
from netsim.protection.base import Protection
from netsim.protection.rate_budget import encode_within

__all__ = ["CodecCache", "StreamKey", "mask_text", "masks_from_text"]

BoolArray = NDArray[np.bool_]
_BATCH = 16  # pictures decoded at once, while memory lasts
_BATCH_PIXELS = 1 << 25  # of them together, at most


@dataclass(frozen=True)
class StreamKey:
    """The address of a stream: which image, coded how.

    Attributes:
        image: An item of an image set (name, sha256, pixels()).
        codec: The codec's name.
        settings: All its settings.
        point: Its operating point.
        packet_limit_bytes: Largest payload of a packet; None: no limit.
        protection_identity: Of the protection whose redundancy the operating point counts (``SENT_BPP``); else empty.
        protection: That protection.
    """

    image: Any
    codec: str
    settings: tuple[tuple[str, Any], ...]
    point: OperatingPoint
    packet_limit_bytes: int | None
    protection_identity: str = ""
    protection: Protection | None = field(default=None, compare=False)


@lru_cache(maxsize=64)
def _codec(kind: type[Codec], settings: tuple[tuple[str, Any], ...]) -> Codec:
    """kind: another class may be registered under the same name later."""
    return create_codec(kind.name, dict(settings))


def mask_text(masks: BoolArray) -> list[str]:
    """Masks [m, n] as text, one character a packet, 1 = received.

    >>> mask_text(np.array([[True, False]]))
    ['10']
    """
    flat = np.ascontiguousarray(masks, dtype=np.uint8) + ord("0")
    return [row.tobytes().decode("ascii") for row in flat]


def masks_from_text(texts: Sequence[str]) -> BoolArray:
    """Inverse of ``mask_text``: bool [m, n]."""
    return np.array([[character == "1" for character in text] for text in texts], dtype=bool)


class CodecCache:
    """Streams and qualities, remembered in a store.

    count: told (more, 0) before ``more`` masks are decoded and (0, done) after each batch.
    """

    def __init__(self, store: Store, count: Callable[[int, int], None] = lambda more, done: None) -> None:
        self.store = store
        self._count = count
        self._batch = _BATCH

    def codec(self, stream_key: StreamKey) -> Codec:
        """The codec that made the picture; one object per process and setting."""
        return _codec(codec_class(stream_key.codec), stream_key.settings)

    def key(self, stream_key: StreamKey) -> str:
        """Content address: pixels × codec × settings × its identity × operating point × packet limit.

        The identity is ``codec_identity``: source, tools, weights.
        """
        codec = self.codec(stream_key)
        point = (stream_key.point.key, stream_key.point.value)
        counted = [stream_key.protection_identity] if stream_key.protection_identity else []
        return digest(
            stream_key.image.sha256,
            codec.name,
            dict(stream_key.settings),
            codec_identity(codec),
            point,
            stream_key.packet_limit_bytes,
            *counted,
        )

    def encode(self, stream_key: StreamKey) -> Stream:
        """The picture's stream, from the store or made now."""
        key = self.key(stream_key)
        stream = self.store.stream(key)
        if stream is None:
            try:
                stream = self._encode(stream_key)
            except InputError as error:
                place = f"{stream_key.codec} at {stream_key.point} of image `{stream_key.image.name}`"
                message = f"{place}: {error.message}"
                raise InputError(message, where=error.where, hint=error.hint, key=error.key) from None
            self.store.put_stream(key, stream)
        return stream

    def _encode(self, stream_key: StreamKey) -> Stream:
        codec, pixels, limit = self.codec(stream_key), stream_key.image.pixels(), stream_key.packet_limit_bytes
        if stream_key.protection is None:
            return codec.encode(pixels, stream_key.point, limit)
        return encode_within(codec, pixels, stream_key.point.value, stream_key.protection, limit)

    def missing(self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]) -> list[str]:
        """Those of ``masks`` (usable masks as text) for which some metric is not remembered yet."""
        keys = self._mask_keys(stream_key, masks)
        known = [self.store.qualities(keys.values(), metric_identity(metric)) for metric in metrics]
        return [mask for mask, key in keys.items() if not all(key in one for one in known)]

    def qualities(
        self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]
    ) -> Mapping[str, Mapping[str, float]]:
        """Quality of the picture under each usable mask: {metric: {mask: value}}; decodes what is not remembered.

        masks: distinct texts, each with at least one usable packet.
        """
        todo = self.missing(stream_key, masks, metrics)
        if todo:
            self._decode(stream_key, todo, metrics)
        keys = self._mask_keys(stream_key, masks)
        found = {metric: self.store.qualities(keys.values(), metric_identity(metric)) for metric in metrics}
        return {metric: {mask: found[metric][key] for mask, key in keys.items()} for metric in metrics}

    def _mask_keys(self, stream_key: StreamKey, masks: Sequence[str]) -> dict[str, str]:
        base = self.key(stream_key)
        return {mask: f"{base}:{mask}" for mask in masks}

    def _decode(self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]) -> None:
        stream, codec, reference = self.encode(stream_key), self.codec(stream_key), stream_key.image.pixels()
        self._count(len(masks), 0)
        left, most = list(masks), max(1, _BATCH_PIXELS // (reference.shape[0] * reference.shape[1]))
        while left:
            part = left[: min(self._batch, most)]
            try:
                pictures = codec.decode(stream, masks_from_text(part))
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or len(part) == 1:
                    raise
                self._batch = len(part) // 2  # kept: the next picture is as large
                continue
            left = left[len(part) :]
            keys = self._mask_keys(stream_key, part)
            for metric in metrics:
                values = measured(metric, reference, pictures).tolist()
                self.store.put_qualities(dict(zip(keys.values(), values, strict=True)), metric_identity(metric))
            self._count(0, len(part))


def _out_of_memory(error: Exception) -> bool:
    """Also the devices' own errors, which are told by name: netsim does not know torch."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"

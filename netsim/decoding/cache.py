"""Encodes and decodes through the store: nothing is made twice, in this run or the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from netsim.codec import Codec, Stream
from netsim.decoding.store import Store
from netsim.decoding.streams import (
    BatchSize,
    Qualities,
    StreamKey,
    codec_of,
    content_key,
    decode_qualities,
    encode_stream,
)
from netsim.metrics.identity import metric_identity

__all__ = ["CodecCache"]


class CodecCache:
    """Streams and image qualities, remembered in a store.

    Args:
        store: Where they are remembered.
        count: Called with (more, 0) before ``more`` masks are decoded, and with (0, done) after each batch.
    """

    def __init__(self, store: Store, count: Callable[[int, int], None] = lambda more, done: None) -> None:
        self.store = store
        self._count = count
        self._batch = BatchSize()
        self._keys: dict[StreamKey, str] = {}

    def codec(self, stream_key: StreamKey) -> Codec:
        """The codec of a stream; one object per process and setting.

        Args:
            stream_key: The stream's address.

        Returns:
            The codec.
        """
        return codec_of(stream_key)

    def key(self, stream_key: StreamKey) -> str:
        """The stream's content address.

        Args:
            stream_key: The stream's address.

        Returns:
            The address of its content, as text.
        """
        if stream_key not in self._keys:
            self._keys[stream_key] = content_key(stream_key)
        return self._keys[stream_key]

    def has(self, stream_key: StreamKey) -> bool:
        """Whether the store has the stream.

        Args:
            stream_key: The stream's address.

        Returns:
            True if it has.
        """
        return self.store.has_stream(self.key(stream_key))

    def encode(self, stream_key: StreamKey) -> Stream:
        """The image's stream, from the store or made now.

        Args:
            stream_key: The stream's address.

        Returns:
            The stream.

        Raises:
            InputError: The codec can't encode the image so.
        """
        stream = self.store.stream(self.key(stream_key))
        if stream is None:
            stream = encode_stream(stream_key, stream_key.image.pixels())
            self.put_stream(stream_key, stream)
        return stream

    def put_stream(self, stream_key: StreamKey, stream: Stream) -> None:
        """Remember a stream.

        Args:
            stream_key: The stream's address.
            stream: The stream.
        """
        self.store.put_stream(self.key(stream_key), stream)

    def missing(self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]) -> list[str]:
        """Those of ``masks`` (usable masks as text) for which some metric is not remembered yet.

        Args:
            stream_key: The stream's address.
            masks: Usable masks as text.
            metrics: Names of metrics.

        Returns:
            These masks, in their order.
        """
        keys = self._mask_keys(stream_key, masks)
        known = [self.store.qualities(keys.values(), metric_identity(metric)) for metric in metrics]
        return [mask for mask, key in keys.items() if not all(key in one for one in known)]

    def qualities(
        self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]
    ) -> Mapping[str, Mapping[str, float]]:
        """Quality of the image under each usable mask; decodes what is not remembered.

        Args:
            stream_key: The stream.
            masks: Distinct texts, each with at least one usable packet.
            metrics: Names of metrics.

        Returns:
            {metric: {mask: value}}.

        Raises:
            InputError: A metric or the codec returns what it should not.
        """
        todo = self.missing(stream_key, masks, metrics)
        if todo:
            self._decode(stream_key, todo, metrics)
        keys = self._mask_keys(stream_key, masks)
        found = {metric: self.store.qualities(keys.values(), metric_identity(metric)) for metric in metrics}
        return {metric: {mask: found[metric][key] for mask, key in keys.items()} for metric in metrics}

    def put_qualities(self, stream_key: StreamKey, qualities: Qualities) -> None:
        """Remember what ``decode_qualities`` returned.

        Args:
            stream_key: The stream's address.
            qualities: What ``decode_qualities`` returned.
        """
        base = self.key(stream_key)
        for metric, values in qualities.items():
            named = {f"{base}:{mask}": value for mask, value in values.items()}
            self.store.put_qualities(named, metric_identity(metric))

    def _mask_keys(self, stream_key: StreamKey, masks: Sequence[str]) -> dict[str, str]:
        base = self.key(stream_key)
        return {mask: f"{base}:{mask}" for mask in masks}

    def _decode(self, stream_key: StreamKey, masks: Sequence[str], metrics: Sequence[str]) -> None:
        stream, pixels = self.encode(stream_key), stream_key.image.pixels()
        self._count(len(masks), 0)
        for i in range(0, len(masks), _MASKS_AT_ONCE):  # a kill loses no more than these
            part = masks[i : i + _MASKS_AT_ONCE]
            found = decode_qualities(
                stream_key, stream, pixels, part, metrics, self._batch, lambda done: self._count(0, done)
            )
            self.put_qualities(stream_key, found)


_MASKS_AT_ONCE = 64

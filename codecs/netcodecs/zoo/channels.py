"""Models whose latent channels decode on their own: a protected hyperprior, and channels in droppable packets."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netcodecs.common.latent_spans import LatentSpan, even_spans, split_to_fit
from netcodecs.common.seal import CRC_BYTES, seal_key, sealed, unsealed
from netcodecs.common.stream_header import StreamHeader, read_header, verify_checksums, write_header
from netcodecs.common.varint import integers, varint
from netcodecs.zoo.ladder import LadderSettings, PacketLadderCodec
from netsim.codec import Packet, Stream
from netsim.errors import InputError

if TYPE_CHECKING:
    from netcodecs.zoo.networks import ChannelNetworks, EncodedImage

__all__ = ["Bmshj2018Factorized", "Bmshj2018Hyperprior", "ChannelCodec", "Mbt2018Mean"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

_NO_LIMIT = 1 << 31


class ChannelSettings(LadderSettings):
    """As ``LadderSettings``.

    Attributes:
        packets: Packets of near-equal size for the latent; more where a packet limit asks for it.
        lost: What replaces a lost channel: ``zero``, or the ``mean`` that the entropy model expects.
    """

    packets: int = Field(default=10, ge=1, le=1000)
    lost: Literal["zero", "mean"] = "zero"


class ChannelCodec(PacketLadderCodec):
    """Base of the codecs with channel packets.

    Header packets (``netcodecs.common.stream_header``), then latent packets: first channel, number of channels, then
    these channels coded jointly. Where a channel is larger than a packet, the number is 0 and first and last row
    follow.
    """

    Settings = ChannelSettings

    @staticmethod
    def networks_of(model: Any, device: str) -> ChannelNetworks:
        """See ``LadderCodec.networks_of``."""
        from netcodecs.zoo.networks import ChannelNetworks

        return ChannelNetworks(model, device)

    def packets(self, image: Image, quality: int, limit: int | None) -> list[Packet]:
        """See ``PacketLadderCodec.packets``."""
        networks: ChannelNetworks = self.networks(quality)
        encoded = networks.encode(image)
        header = StreamHeader(image.shape[0], image.shape[1], quality, networks.hyper_code(encoded))
        protected = write_header(header, limit or _NO_LIMIT)
        spans = self._spans(networks, encoded, limit)
        payloads = [
            sealed(_span_fields(span, encoded.symbols.shape[1]) + code, seal_key(protected[0]) + place)
            for place, (span, code) in enumerate(spans, len(protected))
        ]
        return [*(Packet(payload, protected=True) for payload in protected), *map(Packet, payloads)]

    def _spans(
        self, networks: ChannelNetworks, encoded: EncodedImage, limit: int | None
    ) -> list[tuple[LatentSpan, bytes]]:
        """Each packet's part of the latent, and its code."""
        rows = encoded.symbols.shape[1]
        bits = networks.tables.bits(encoded.symbols, encoded.indexes).sum(axis=(1, 2))
        count = (
            self.settings.packets if limit is None else max(self.settings.packets, -(-int(bits.sum()) // (8 * limit)))
        )

        def encode(span: LatentSpan) -> bytes:
            return networks.tables.encode(encoded.symbols[span.region], encoded.indexes[span.region])

        def payload_bytes(span: LatentSpan, code: bytes) -> int:
            return len(_span_fields(span, rows)) + len(code) + CRC_BYTES

        return split_to_fit(even_spans(bits, rows, count), encode, payload_bytes, limit or _NO_LIMIT)

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """All received packets that are intact, provided that all header packets are among them."""
        headers, intact = verify_checksums([packet.payload for packet in stream.packets])
        if not headers:
            return np.zeros_like(received)
        return received & intact & received[..., :headers].all(axis=-1, keepdims=True)

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each packet is decoded once for any number of masks; a damaged one counts as lost.

        Raises InputError if a header packet is damaged or missing.
        """
        payloads = [packet.payload for packet in stream.packets]
        headers, intact = verify_checksums(payloads)
        if not headers or not masks[:, :headers].all():
            raise InputError(f"{self.name}: a protected packet is damaged or missing")
        header = read_header(payloads[:headers])
        networks: ChannelNetworks = self.networks(int(header.quality))
        hyper_symbols = networks.hyper_symbols(header.hyperprior, header.height, header.width)
        indexes, means = networks.entropy_parameters(hyper_symbols, header.height, header.width)
        used, which = np.unique(masks & intact, axis=0, return_inverse=True)
        found = {
            int(place): _decoded(networks, payloads[place], indexes, means)
            for place in np.flatnonzero(used[:, headers:].any(axis=0)) + headers
        }
        latents = np.zeros((len(used), *means.shape))
        if self.settings.lost == "mean":
            latents[:] = means
        for latent, mask in zip(latents, used, strict=True):
            for place in np.flatnonzero(mask[headers:]) + headers:
                span, values = found[place]
                latent[span.region] = values
        return networks.synthesise(latents, header.height, header.width)[which.reshape(-1)]


def _span_fields(span: LatentSpan, rows: int) -> bytes:
    """The fields before a span's code. rows: number of rows of a whole channel."""
    if span.bottom - span.top == rows:
        return varint(span.first) + varint(span.last - span.first)
    return varint(span.first) + varint(0) + varint(span.top) + varint(span.bottom)


def _decoded(networks: ChannelNetworks, payload: bytes, indexes: Ints, means: Floats) -> tuple[LatentSpan, Floats]:
    """The part of the latent in an intact packet. Raises InputError if the packet names a part outside the latent."""
    body = unsealed(payload)
    first, count, *rows = _numbers(body, 2)
    if count:
        span = LatentSpan(first, first + count, 0, indexes.shape[1])
    else:
        first, count, *rows = _numbers(body, 4)
        span = LatentSpan(first, first + 1, *rows)
    if not (span.last <= indexes.shape[0] and span.top < span.bottom <= indexes.shape[1]):
        raise InputError(f"damaged payload: {span} of a latent of {indexes.shape}")
    code = body[len(_span_fields(span, indexes.shape[1])) :]
    return span, networks.tables.decode(code, indexes[span.region]) + means[span.region]


def _numbers(body: bytes, count: int) -> list[int]:
    found = list(islice(integers(body), count))
    if len(found) < count:
        raise InputError("damaged payload: a latent packet without channels")
    return found


class Bmshj2018Factorized(ChannelCodec):
    """Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018: the factorised prior."""

    name = "bmshj2018-factorized"
    summary = "learned (CompressAI, your checkpoints): latent channels in packets that decode on their own"
    architecture = "bmshj2018-factorized"
    pretrained = "bmshj2018_factorized"


class Bmshj2018Hyperprior(ChannelCodec):
    """Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018."""

    name = "bmshj2018-hyperprior"
    summary = "learned (CompressAI, your checkpoints): protected hyperprior, latent channels in packets"
    architecture = "bmshj2018-hyperprior"
    pretrained = "bmshj2018_hyperprior"


class Mbt2018Mean(ChannelCodec):
    """Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018, without the autoregressive part."""

    name = "mbt2018-mean"
    summary = "learned (CompressAI, your checkpoints): protected hyperprior, latent channels in packets"
    architecture = "mbt2018-mean"
    pretrained = "mbt2018_mean"

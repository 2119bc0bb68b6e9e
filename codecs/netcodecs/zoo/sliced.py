"""ELIC as a codec: a protected hyperprior and ten slices, each predicted from all before it."""

from __future__ import annotations

from itertools import accumulate, islice, pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.bitstream import cut
from netcodecs.common.prefix import received_prefix
from netcodecs.common.seal import CRC_BYTES, seal_key, sealed, unsealed
from netcodecs.common.stream_header import StreamHeader, read_header, verify_checksums, write_header
from netcodecs.common.varint import integers, varint
from netcodecs.zoo.ladder import LadderSettings, PacketLadderCodec
from netsim.codec import CodecSettings, Packet, Stream
from netsim.errors import InputError

if TYPE_CHECKING:
    from netcodecs.zoo.elic import ElicNetworks

__all__ = ["Elic"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

_NO_LIMIT = 1 << 31
_MOST_SLICES = 64


class ElicSettings(LadderSettings):
    """As ``LadderSettings``.

    Attributes:
        receiver: ``prefix``: the slices before the first loss are decoded, means replace the others; ``all``: there is
            an image if all packets arrive.
    """

    receiver: Literal["prefix", "all"] = "prefix"


class Elic(PacketLadderCodec):
    """He et al., "ELIC: Efficient learned image compression with unevenly grouped space-channel contextual adaptive
    coding", CVPR 2022, as CompressAI has it.

    Header packets (``netcodecs.common.stream_header``; in front of the hyperprior: how many packets each slice has),
    then the slices. A slice is one packet, or several near-equal ones where a packet limit asks for it.
    """

    name = "elic"
    summary = "learned (CompressAI's ELIC, your checkpoints): protected hyperprior, ten slices in order"
    architecture = "elic2022"
    Settings: ClassVar[type[CodecSettings]] = ElicSettings
    label_settings: ClassVar[tuple[str, ...]] = ("receiver",)

    @staticmethod
    def networks_of(model: Any, device: str) -> ElicNetworks:
        """See ``LadderCodec.networks_of``."""
        from netcodecs.zoo.elic import ElicNetworks

        return ElicNetworks(model, device)

    def packets(self, image: Image, quality: int, limit: int | None) -> list[Packet]:
        """See ``PacketLadderCodec.packets``."""
        networks: ElicNetworks = self.networks(quality)
        hyper_symbols, codes = networks.encode(image)
        room = _NO_LIMIT if limit is None else limit - CRC_BYTES
        if room < 1:
            raise InputError(f"packets of {limit} bytes are too small for a checksum and a byte")
        counts = [-(-len(code) // room) for code in codes]
        protected = b"".join(map(varint, [len(counts), *counts])) + networks.hyper.encode(hyper_symbols)
        header = write_header(StreamHeader(image.shape[0], image.shape[1], quality, protected), limit or _NO_LIMIT)
        parts = [part for code, count in zip(codes, counts, strict=True) for part in cut(code, count)]
        payloads = [sealed(part, seal_key(header[0]) + place) for place, part in enumerate(parts, len(header))]
        return [*(Packet(payload, protected=True) for payload in header), *map(Packet, payloads)]

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """``prefix``: header and the whole slices before the first packet that is lost or damaged. ``all``: all packets
        or none."""
        payloads = [packet.payload for packet in stream.packets]
        headers, intact = verify_checksums(payloads)
        made = np.zeros_like(received)
        if not headers:
            return made
        here = received & intact
        if self.settings.receiver == "all":
            return np.broadcast_to(here.all(axis=-1, keepdims=True), here.shape).copy()
        try:
            ends = _slice_ends(read_header(payloads[:headers]), headers, len(payloads))[1]
        except InputError:
            return made
        return received_prefix(here, [headers, *ends])

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``: one decoding for each number of usable slices.

        Raises InputError if a header packet is damaged or missing, and with ``receiver: all`` if any packet is.
        """
        payloads = [packet.payload for packet in stream.packets]
        usable = self.usable(stream, masks)
        if not usable.any(axis=1).all():
            raise InputError(f"{self.name}: a packet that is needed is damaged or missing")
        headers = verify_checksums(payloads)[0]
        header = read_header(payloads[:headers])
        hyper_code, ends = _slice_ends(header, headers, len(payloads))
        networks: ElicNetworks = self.networks(int(header.quality))
        if len(ends) != networks.slices:
            raise InputError(f"{self.name}: damaged payload ({len(ends)} slices of {networks.slices})")
        hyper_symbols = networks.hyper.decode(hyper_code, header.height, header.width)
        codes = [b"".join(map(unsealed, payloads[a:b])) for a, b in pairwise([headers, *ends])]
        counts, which = np.unique(usable.sum(axis=1), return_inverse=True)
        latents = [networks.decode(codes[: int(np.searchsorted(ends, n, "right"))], hyper_symbols) for n in counts]
        return networks.synthesise(np.stack(latents), header.height, header.width)[which.reshape(-1)]


def _slice_ends(header: StreamHeader, headers: int, packets: int) -> tuple[bytes, list[int]]:
    """The hyperprior's code, and where each slice's packets end in the stream. Raises InputError if that can't be."""
    numbers = integers(header.hyperprior)
    slices = next(numbers, 0)
    counts = list(islice(numbers, min(slices, _MOST_SLICES)))
    ends = list(accumulate(counts, initial=headers))[1:]
    if not counts or len(counts) != slices or min(counts) < 1 or ends[-1] != packets:
        raise InputError(f"damaged payload: a header of another stream than one of {packets} packets")
    return header.hyperprior[sum(len(varint(n)) for n in (slices, *counts)) :], ends

"""JPEG 2000 codestreams taken apart and put together again (ISO/IEC 15444-1, Annexes A and B).

One tile, one tile-part, LRCP order: what OpenJPEG writes for ``jpeg2000``. A *J2K packet* here is the
standard's: the bytes of one (layer, resolution, component, precinct); netsim's packets are made of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from netcodecs.common.varint import varint
from netsim.codec import MAX_PIXELS

__all__ = [
    "EMPTY_PACKET",
    "CodestreamError",
    "Geometry",
    "join_codestream",
    "pack_numbers",
    "read_geometry",
    "read_protected",
    "split_codestream",
    "unpack_numbers",
    "with_layers",
]

SOC, SIZ, COD, QCD, QCC, COC, SOT, SOD, EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF5C, 0xFF5D, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
PLT = 0xFF58
KEPT = frozenset({SIZ, COD, COC, QCD, QCC})  # what a decoder needs; comments and length tables are left out

EMPTY_PACKET = b"\x00"
"""A J2K packet without contribution: the zero-length bit of its header is 0 (B.10.3)."""


MAX_LAYERS = 100  # of OpenJPEG's encoder
MAX_NUMBER = (1 << 64) - 1
COMPONENTS = 3  # RGB, 8 bits each
MAX_CHAINS = 100_000  # against damaged headers: far above that of any image


class CodestreamError(ValueError):
    """The bytes are not a codestream of the kind that is read here."""


def pack_numbers(numbers: Iterable[int]) -> bytes:
    """Numbers >= 0, seven bits a byte, high bit = more follows: the notation of PLT (A.7.3).

    >>> pack_numbers([5, 300]).hex()
    '05822c'
    """
    return b"".join(map(varint, numbers))


def unpack_numbers(data: bytes, count: int, start: int = 0) -> tuple[list[int], int]:
    """Reads numbers that :func:`pack_numbers` wrote.

    Args:
        data: Holds them.
        count: How many to read.
        start: Where the first begins.

    Returns:
        The numbers, and where the rest begins.

    Raises:
        CodestreamError: The data ends first, or a number is above ``MAX_NUMBER``.

    >>> unpack_numbers(bytes.fromhex("05822cff"), 2)
    ([5, 300], 3)
    """
    numbers: list[int] = []
    value, at = 0, start
    while len(numbers) < count:
        if at >= len(data):
            raise CodestreamError(f"{count} numbers expected, {len(numbers)} found")
        value = value << 7 | data[at] & 0x7F
        if value > MAX_NUMBER:
            raise CodestreamError(f"a number above {MAX_NUMBER}")
        if not data[at] & 0x80:
            numbers.append(value)
            value = 0
        at += 1
    return numbers, at


@dataclass(frozen=True)
class Geometry:
    """How many J2K packets a codestream has, and in which order.

    layers, components: counts. precincts: per resolution (lowest first), the number of precincts of a component.
    """

    layers: int
    components: int
    precincts: tuple[int, ...]

    @property
    def per_layer(self) -> int:
        """J2K packets of one layer: one per chain."""
        return self.components * sum(self.precincts)

    @cached_property
    def chains(self) -> tuple[tuple[int, int, int], ...]:
        """(resolution, component, precinct) of each chain, in LRCP order within a layer.

        >>> Geometry(1, 2, (1, 2)).chains
        ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
        """
        return tuple((r, c, p) for r, n in enumerate(self.precincts) for c in range(self.components) for p in range(n))


def _segments(data: bytes, start: int, stop_marker: int) -> tuple[list[tuple[int, bytes]], int]:
    """Marker segments (marker, marker + length + content) from ``start``, and where ``stop_marker`` stands."""
    found: list[tuple[int, bytes]] = []
    at = start
    while True:
        if at + 4 > len(data) and data[at : at + 2] != struct.pack(">H", stop_marker):
            raise CodestreamError(f"codestream ends in a header, at byte {at}")
        (marker,) = struct.unpack_from(">H", data, at)
        if marker == stop_marker:
            return found, at
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker < 0xFF00 or length < 2 or at + 2 + length > len(data):
            raise CodestreamError(f"no marker segment at byte {at}")
        found.append((marker, data[at : at + 2 + length]))
        at += 2 + length


def _ceil_shift(value: int, shift: int) -> int:
    return -(-value >> shift)


def read_geometry(header: bytes) -> Geometry:
    """Packet counts of a codestream (equations B-14 to B-16, image offset 0).

    Args:
        header: Main header: SOC and marker segments.

    Raises:
        CodestreamError: The header is damaged, has several tiles, or is not in LRCP order.
    """
    if header[:2] != struct.pack(">H", SOC):
        raise CodestreamError("no SOC marker at the start")
    by_marker = dict(_segments(header + struct.pack(">H", EOC), 2, EOC)[0])
    try:
        siz, cod = by_marker[SIZ], by_marker[COD]
        width, height, *offset, tile_width, tile_height, tile_x0, tile_y0 = struct.unpack_from(">8I", siz, 6)
        (components,) = struct.unpack_from(">H", siz, 38)
        style, order, layers, _, levels = struct.unpack_from(">BBHBB", cod, 4)
        if components != COMPONENTS or any(siz[40 + 3 * c : 43 + 3 * c] != b"\x07\x01\x01" for c in range(components)):
            raise CodestreamError("only RGB of 8 bits without subsampling is read here")
        sizes = cod[14 : 14 + levels + 1] if style & 1 else bytes([0xFF]) * (levels + 1)
        if len(sizes) != levels + 1 or not (width and height and layers):
            raise CodestreamError("damaged SIZ or COD segment")
    except (KeyError, struct.error, IndexError):
        raise CodestreamError("damaged or missing SIZ or COD segment") from None
    if any(offset) or tile_x0 or tile_y0 or tile_width < width or tile_height < height or order != 0 or levels > 32:
        raise CodestreamError("only one tile in LRCP order is read here")
    if layers > MAX_LAYERS:
        raise CodestreamError(f"{layers} layers")
    if width * height > MAX_PIXELS:
        raise CodestreamError(f"it claims {width}x{height} pixels, of at most {MAX_PIXELS:,}")
    precincts = []
    for resolution, size in enumerate(sizes):
        shift = levels - resolution
        columns = _ceil_shift(_ceil_shift(width, shift), size & 15)
        rows = _ceil_shift(_ceil_shift(height, shift), size >> 4)
        precincts.append(columns * rows)
    if components * sum(precincts) > MAX_CHAINS:
        raise CodestreamError(f"{components * sum(precincts)} chains")
    return Geometry(layers, components, tuple(precincts))


def read_protected(payload: bytes) -> tuple[bytes, Geometry, bytes]:
    """Main header, its geometry, and the base layer in a protected packet, which begins with the header's length.

    Raises:
        CodestreamError: The packet is damaged.
    """
    (size,), at = unpack_numbers(payload, 1)
    header = payload[at : at + size]
    if len(header) < size:
        raise CodestreamError(f"a header of {size} bytes in {len(payload)}")
    return header, read_geometry(header), payload[at + size :]


def _packet_lengths(segments: list[tuple[int, bytes]], count: int) -> list[int]:
    """Packet lengths of the PLT segments, which may break off within a number."""
    joined = b"".join(segment[5:] for marker, segment in segments if marker == PLT)
    lengths, end = unpack_numbers(joined, count)
    if end != len(joined):
        raise CodestreamError(f"more than {count} packet lengths")
    return lengths


def split_codestream(data: bytes) -> tuple[bytes, list[bytes]]:
    """Takes a codestream apart that was written with PLT.

    Args:
        data: The codestream.

    Returns:
        The main header without what a decoder does not need, and the J2K packets in LRCP order.

    Raises:
        CodestreamError: Lengths and bytes do not agree.
    """
    main, sot = _segments(data, 2, SOT)
    header = struct.pack(">H", SOC) + b"".join(segment for marker, segment in main if marker in KEPT)
    tile, sod = _segments(data, sot, SOD)
    (part_bytes,) = struct.unpack_from(">I", data, sot + 6)
    body = data[sod + 2 : sot + part_bytes if part_bytes else len(data) - 2]
    geometry = read_geometry(header)
    lengths = _packet_lengths(tile, geometry.layers * geometry.per_layer)
    if sum(lengths) != len(body):
        raise CodestreamError(f"packet lengths sum to {sum(lengths)}, the tile has {len(body)} bytes of packets")
    bounds = [0, *accumulate(lengths)]
    return header, [body[a:b] for a, b in pairwise(bounds)]


def join_codestream(header: bytes, body: bytes) -> bytes:
    """A codestream from a main header and the bytes of all its J2K packets: SOT rewritten, no PLT."""
    sot = struct.pack(">HHHIBB", SOT, 10, 0, 14 + len(body), 0, 1)
    return header + sot + struct.pack(">H", SOD) + body + struct.pack(">H", EOC)


def with_layers(header: bytes, layers: int) -> bytes:
    """The main header for the first ``layers`` layers alone: COD's layer count rewritten.

    In LRCP order the first layers of a codestream are a codestream.
    """
    at = 2
    for marker, segment in _segments(header + struct.pack(">H", EOC), 2, EOC)[0]:
        if marker == COD:
            return header[: at + 6] + struct.pack(">H", layers) + header[at + 8 :]
        at += len(segment)
    raise CodestreamError("no COD segment")

"""Packets of the channel-progressive family: their bytes, and which part of the latent each one holds.

Head packets (protected): the coded hyperprior cut into pieces; in front of the first, picture size, quality and the
number of pieces. Latent packets: first channel and channel count, then those channels coded jointly (paper 1,
appendix, as FACTS of the release have it). Where a single channel is larger than a packet, the count is 0 and the
rows of that channel follow. Every packet ends with a CRC-32 that is seeded with packet 0's and with the packet's
place, so that nothing reaches the entropy decoder but what its own encoder wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.limits import MAX_PIXELS
from netcodecs.common.seal import CRC_BYTES, is_intact, seal_key, sealed, unsealed
from netsim.errors import InputError

__all__ = [
    "CHANNELS",
    "MAX_PACKET_BYTES",
    "Head",
    "Piece",
    "cut_head",
    "first_pieces",
    "fitting",
    "halves",
    "read_head",
    "read_piece",
    "sound",
    "write_piece",
]

CHANNELS = 192  # of the latent
_ROWS_EACH, _PIXELS_EACH = 4, 64  # the latent has 4 rows for every 64 rows of pixels, begun ones included
MAX_PACKET_BYTES = 900  # commercial short burst data (paper 1, §4.1)
QUALITY_STEP = 1 / 1024  # resolution of the quality in the head
_HEAD = struct.Struct(">HHHB")
_ROWS = struct.Struct(">HH")
_CODER_BYTES = 6  # what rANS adds to the symbols' information: its state and the rounding to words, on average


@dataclass(frozen=True)
class Head:
    """What a receiver must know first: image size, quality (0…4) and the coded hyperprior."""

    height: int
    width: int
    quality: float
    hyperprior: bytes


@dataclass(frozen=True)
class Piece:
    """Part of the latent in one packet: channels first…last-1, rows top…bottom-1 of each."""

    first: int
    last: int
    top: int
    bottom: int

    @property
    def region(self) -> tuple[slice, slice]:
        """Index into a latent (M, h, w)."""
        return slice(self.first, self.last), slice(self.top, self.bottom)


def cut_head(head: Head, limit_bytes: int) -> list[bytes]:
    """Payloads of the head, each at most ``limit_bytes``.

    Raises InputError if the picture is too large, or the limit leaves no room.
    """
    if not _has_size(head.height, head.width):
        hint = f"at most 65535 a side and {MAX_PIXELS:,} pixels"
        raise InputError(f"a picture of {head.width}x{head.height} is too large", hint=hint)
    room = limit_bytes - _HEAD.size - CRC_BYTES
    pieces = -(-len(head.hyperprior) // room) if room > 0 else 256
    if pieces > 255:
        raise InputError(f"packets of {limit_bytes} bytes are too small for the protected {len(head.hyperprior)} bytes")
    bounds = [len(head.hyperprior) * i // pieces for i in range(pieces + 1)]
    parts = [head.hyperprior[a:b] for a, b in pairwise(bounds)]
    quality = round(head.quality / QUALITY_STEP)
    start = sealed(_HEAD.pack(head.height, head.width, quality, pieces) + parts[0])
    return [start, *(sealed(part, seal_key(start) + i) for i, part in enumerate(parts[1:], 1))]


def _has_size(height: int, width: int) -> bool:
    return 0 < height < 1 << 16 and 0 < width < 1 << 16 and height * width <= MAX_PIXELS


def sound(payloads: Sequence[bytes]) -> tuple[int, NDArray[np.bool_]]:
    """How many packets the head has, and which packets are as they were written.

    Args:
        payloads: All packets of a stream.

    Returns:
        The number of head packets, 0 if the head is damaged or incomplete; and bool (n,): which packets are intact.
        A packet that says that it holds what is no part of the latent is not.
    """
    none = 0, np.zeros(len(payloads), bool)
    if not payloads or len(payloads[0]) <= _HEAD.size + CRC_BYTES or not is_intact(payloads[0]):
        return none
    height, width, _, heads = _HEAD.unpack_from(payloads[0])
    if not (_has_size(height, width) and 0 < heads <= len(payloads)):
        return none
    key, rows = seal_key(payloads[0]), _ROWS_EACH * -(-height // _PIXELS_EACH)
    intact = [True, *(is_intact(payload, key + i) for i, payload in enumerate(payloads[1:], 1))]
    for place in range(heads, len(payloads)):
        intact[place] = intact[place] and _fits(payloads[place], rows)
    return (heads, np.array(intact)) if all(intact[:heads]) else none


def _fits(payload: bytes, rows: int) -> bool:
    """Whether a latent packet names channels and rows that there are."""
    if len(payload) <= 2 + CRC_BYTES or (payload[1] == 0 and len(payload) <= 2 + _ROWS.size + CRC_BYTES):
        return False
    piece = read_piece(payload, rows)[0]
    return piece.last <= CHANNELS and piece.top < piece.bottom <= rows


def read_head(payloads: Sequence[bytes]) -> Head:
    """The head from its packets' payloads, found sound before."""
    height, width, quality, _ = _HEAD.unpack_from(payloads[0])
    bodies = [unsealed(payload) for payload in payloads]
    return Head(height, width, quality * QUALITY_STEP, b"".join([bodies[0][_HEAD.size :], *bodies[1:]]))


def write_piece(piece: Piece, rows: int, coded: bytes, start: bytes, place: int) -> bytes:
    """Payload of a latent packet. rows: of a whole channel. start: packet 0's payload. place: position in the stream.

    >>> head = cut_head(Head(16, 16, 1.0, b"hyper"), 900)
    >>> payload = write_piece(Piece(3, 5, 0, 4), 4, b"coded", head[0], place=1)
    >>> read_piece(payload, rows=4), sound([*head, payload])[1].tolist()
    ((Piece(first=3, last=5, top=0, bottom=4), b'coded'), [True, True])
    """
    whole = piece.bottom - piece.top == rows
    body = bytes([piece.first, piece.last - piece.first if whole else 0])
    return sealed(body + (b"" if whole else _ROWS.pack(piece.top, piece.bottom)) + coded, seal_key(start) + place)


def read_piece(payload: bytes, rows: int) -> tuple[Piece, bytes]:
    """Where a sound latent packet's symbols belong, and their code."""
    first, count = payload[0], payload[1]
    body = unsealed(payload)[2:]
    if count:
        return Piece(first, first + count, 0, rows), body
    top, bottom = _ROWS.unpack_from(body)
    return Piece(first, first + 1, top, bottom), body[_ROWS.size :]


def first_pieces(channel_bits: NDArray[np.float64], rows: int, limit_bytes: int, group: int = 0) -> list[Piece]:
    """Channels in order, packed greedily by their coded length.

    channel_bits: information of each channel, (M,). rows: of the latent. group: channels that SCR has mixed (0:
    none): a packet does not end with the last channel of a group but hands it to the next one, so that a lost packet
    seldom takes a whole group away (paper 1, §3.2). Returns pieces of whole channels; one that comes out too long all
    the same is cut by :func:`halves`.

    >>> bits = np.array([200.0, 200.0, 200.0, 100.0, 200.0, 200.0])
    >>> [(p.first, p.last) for p in first_pieces(bits, 4, 90)]
    [(0, 3), (3, 6)]
    >>> [[(p.first, p.last) for p in first_pieces(bits, 4, 110, group)] for group in (0, 4)]
    [[(0, 4), (4, 6)], [(0, 3), (3, 6)]]
    """
    room = 8 * (limit_bytes - 2 - CRC_BYTES - _CODER_BYTES)
    bounds, filled = [0], 0.0
    for channel, bits in enumerate(channel_bits):
        if filled + bits > room and channel > bounds[-1]:
            bound = _not_flush(bounds[-1], channel, group)
            filled = float(channel_bits[bound:channel].sum())
            bounds.append(bound)
            if filled + bits > room and channel > bound:
                bounds.append(channel)
                filled = 0.0
        filled += bits
    bounds.append(len(channel_bits))
    return [Piece(a, b, 0, rows) for a, b in pairwise(bounds)]


def _not_flush(first: int, last: int, group: int) -> int:
    """Where channels first…last-1 end if the last one of a group may not be the last one here; one channel stays."""
    return last - 1 if group and last % group == 0 and last - 1 > first else last


def halves(piece: Piece, group: int = 0) -> tuple[Piece, Piece] | None:
    """A piece that came out too long in two: by channels, a single channel by rows; None if it is a single row.

    group: as for :func:`first_pieces`.

    >>> halves(Piece(0, 3, 0, 4))
    (Piece(first=0, last=1, top=0, bottom=4), Piece(first=1, last=3, top=0, bottom=4))
    >>> halves(Piece(2, 3, 0, 4))
    (Piece(first=2, last=3, top=0, bottom=2), Piece(first=2, last=3, top=2, bottom=4))
    """
    if piece.last - piece.first > 1:
        middle = _not_flush(piece.first, (piece.first + piece.last) // 2, group)
        return Piece(piece.first, middle, piece.top, piece.bottom), Piece(middle, piece.last, piece.top, piece.bottom)
    if piece.bottom - piece.top > 1:
        middle = (piece.top + piece.bottom) // 2
        return Piece(piece.first, piece.last, piece.top, middle), Piece(piece.first, piece.last, middle, piece.bottom)
    return None


def fitting(
    pieces: Sequence[Piece], rows: int, coded: Callable[[Piece], bytes], limit_bytes: int, group: int = 0
) -> list[tuple[Piece, bytes]]:
    """Each piece with its code, cut in half until payloads keep to the limit. rows: of a whole channel; group:
    as for :func:`first_pieces`.

    Raises InputError if one row of one channel is still too long.
    """
    done: list[tuple[Piece, bytes]] = []
    todo = list(reversed(pieces))
    while todo:
        piece = todo.pop()
        code = coded(piece)
        if len(write_piece(piece, rows, code, bytes(CRC_BYTES), 0)) <= limit_bytes:
            done.append((piece, code))
            continue
        parts = halves(piece, group)
        if parts is None:
            raise InputError(f"packets of {limit_bytes} bytes are too small for one row of a channel ({len(code)})")
        todo += reversed(parts)
    return done

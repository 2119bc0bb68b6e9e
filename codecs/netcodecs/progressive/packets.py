"""Packets of the channel-progressive family: their bytes, and which part of the latent each one holds.

Header packets (``netcodecs.common.stream_header``), then latent packets: first channel and channel count, then those
channels coded jointly (paper 1, appendix, with the details of its release). Where a single channel is larger than a
packet, the count is 0 and the rows of that channel follow.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.latent_spans import LatentSpan
from netcodecs.common.seal import CRC_BYTES, seal_key, sealed, unsealed
from netcodecs.common.stream_header import read_header, verify_checksums

__all__ = ["CHANNELS", "MAX_PACKET_BYTES", "read_span", "room_bits", "span_bytes", "usable_packets", "write_span"]

CHANNELS = 192  # of the latent
_ROWS_EACH, _PIXELS_EACH = (
    4,
    64,
)  # the latent has 4 rows per 64 rows of pixels, rounded up
MAX_PACKET_BYTES = 900  # commercial short burst data (paper 1, §4.1)
_ROWS = struct.Struct(">HH")
_CODER_BYTES = 1  # what range coding adds to the symbols' information, rarely more


def room_bits(limit_bytes: int) -> int:
    """Bits for channels in a packet of at most ``limit_bytes``."""
    return 8 * (limit_bytes - 2 - CRC_BYTES - _CODER_BYTES)


def usable_packets(payloads: Sequence[bytes]) -> tuple[int, NDArray[np.bool_]]:
    """As ``verify_checksums``; a packet that names a channel or a row that the latent does not have is damaged, too.

    Args:
        payloads: All packets of a stream.

    Returns:
        The number of header packets, 0 if the header is damaged; and bool (n,), True = intact.
    """
    headers, intact = verify_checksums(payloads)
    if headers:
        rows = _ROWS_EACH * -(-read_header(payloads[:headers]).height // _PIXELS_EACH)
        for place in range(headers, len(payloads)):
            intact[place] = intact[place] and _fits(payloads[place], rows)
    return headers, intact


def _fits(payload: bytes, rows: int) -> bool:
    """Whether a latent packet names channels and rows that there are."""
    if len(payload) <= 2 + CRC_BYTES or (payload[1] == 0 and len(payload) <= 2 + _ROWS.size + CRC_BYTES):
        return False
    span = read_span(payload, rows)[0]
    return span.last <= CHANNELS and span.top < span.bottom <= rows


def write_span(span: LatentSpan, rows: int, code: bytes, first_payload: bytes, place: int) -> bytes:
    """Payload of a latent packet.

    Args:
        span: Part of the latent.
        rows: Of a whole channel.
        code: The span's symbols, coded.
        first_payload: Packet 0's payload.
        place: Position of the packet in the stream.

    >>> from netcodecs.common.stream_header import StreamHeader, write_header
    >>> header = write_header(StreamHeader(16, 16, 1.0, b"hyper"), 900)
    >>> payload = write_span(LatentSpan(3, 5, 0, 4), 4, b"coded", header[0], place=1)
    >>> read_span(payload, rows=4), usable_packets([*header, payload])[1].tolist()
    ((LatentSpan(first=3, last=5, top=0, bottom=4), b'coded'), [True, True])
    """
    whole = span.bottom - span.top == rows
    body = bytes([span.first, span.last - span.first if whole else 0])
    rows_of = b"" if whole else _ROWS.pack(span.top, span.bottom)
    return sealed(body + rows_of + code, seal_key(first_payload) + place)


def span_bytes(span: LatentSpan, rows: int, code: bytes) -> int:
    """Size of a latent packet's payload. Arguments as for :func:`write_span`."""
    return 2 + (0 if span.bottom - span.top == rows else _ROWS.size) + len(code) + CRC_BYTES


def read_span(payload: bytes, rows: int) -> tuple[LatentSpan, bytes]:
    """Part of the latent, and its code, of an intact latent packet.

    Args:
        payload: Of the packet.
        rows: Of a whole channel.
    """
    first, count = payload[0], payload[1]
    body = unsealed(payload)[2:]
    if count:
        return LatentSpan(first, first + count, 0, rows), body
    top, bottom = _ROWS.unpack_from(body)
    return LatentSpan(first, first + 1, top, bottom), body[_ROWS.size :]

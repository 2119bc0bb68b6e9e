"""Packets of ResiComp: one protected header of a dozen bytes, then one packet for each slice.

A slice's packet is its code and a checksum (``netcodecs.common.seal``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.limits import MAX_PIXELS
from netcodecs.common.seal import CRC_BYTES, intact_payloads, seal_key, sealed, unsealed
from netcodecs.common.varint import integers, varint
from netcodecs.resicomp.modes import MODES, context_matrix, own_contexts
from netsim.errors import InputError

__all__ = [
    "BETA_STEP",
    "QUALITY_STEP",
    "ResiCompHeader",
    "read_header",
    "read_slice",
    "verify_checksums",
    "write_header",
    "write_slice",
]

BoolArray = NDArray[np.bool_]

QUALITY_STEP = 1 / 1024  # resolution of the quality in the head
BETA_STEP = 1 / 20
_QUALITIES = 4097  # 0 … 4 in steps; the number that follows holds quality and mode
_OTHER_MDC, _OWN = len(MODES), len(MODES) + 1
_LARGEST_SIDE = 65535
_LARGEST_BETA = 100  # of Eq. 10's exponent
_TOKEN = 16  # pixels of a token's side


@dataclass(frozen=True)
class ResiCompHeader:
    """What a receiver needs before it reads a slice.

    Attributes:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        quality: Operating point, a multiple of ``QUALITY_STEP``.
        slices: How many there are, each a packet.
        beta: Exponent of Eq. 10, a multiple of ``BETA_STEP``.
        mode: Name of a context mode, or the rows of a context matrix.
    """

    height: int
    width: int
    quality: float
    slices: int
    beta: float
    mode: str | tuple[tuple[int, ...], ...] = field(default="LC")

    @property
    def contexts(self) -> BoolArray:
        """The context matrix, bool (L, L)."""
        return context_matrix(self.mode, self.slices)


def write_header(header: ResiCompHeader) -> bytes:
    """Payload of packet 0.

    Raises:
        InputError: The image is too large.

    >>> len(write_header(ResiCompHeader(512, 768, 2.0, slices=10, beta=2.2, mode="MDC-2")))
    12
    """
    if max(header.height, header.width) > _LARGEST_SIDE or header.height * header.width > MAX_PIXELS:
        hint = f"at most {_LARGEST_SIDE} a side and {MAX_PIXELS:,} pixels"
        raise InputError(f"an image of {header.width}x{header.height} pixels is too large", hint=hint)
    mode = header.mode
    named = MODES.index(mode) if mode in MODES else _OTHER_MDC if isinstance(mode, str) else _OWN
    beta = round(header.beta / BETA_STEP)
    numbers = [
        header.height,
        header.width,
        round(header.quality / QUALITY_STEP) + _QUALITIES * named,
        header.slices,
        beta << 1 if beta >= 0 else -beta << 1 | 1,
    ]
    body = b"".join(map(varint, numbers))
    if named == _OTHER_MDC:
        body += varint(int(str(mode).removeprefix("MDC-")))
    elif named == _OWN:
        lower = np.tril_indices(header.slices, -1)
        body += np.packbits(np.array(mode, dtype=bool)[lower]).tobytes()
    return sealed(body)


def read_header(payload: bytes, packets: int) -> ResiCompHeader:
    """The header in packet 0, whose checksum was verified.

    Args:
        payload: Of packet 0.
        packets: Of the whole stream.

    Raises:
        InputError: The payload is not a header, or belongs to a stream of another number of packets.
    """
    numbers = integers(body := unsealed(payload))
    start = list(islice(numbers, 5))
    if len(start) < 5 or start[3] != packets - 1:
        raise InputError(f"packet 0 is not a header of ResiComp for {packets - 1} slices")
    height, width, both, slices, beta = start
    named = both // _QUALITIES
    mode: str | tuple[tuple[int, ...], ...]
    if named < len(MODES):
        mode = MODES[named]
    else:
        mode = _own_mode(body, slices) if named == _OWN else f"MDC-{next(numbers, 0)}"
    sign = -1 if beta & 1 else 1
    quality = both % _QUALITIES * QUALITY_STEP
    header = ResiCompHeader(height, width, quality, slices, sign * (beta >> 1) * BETA_STEP, mode)
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE and height * width <= MAX_PIXELS):
        raise InputError(f"damaged payload: an image of {width}x{height} pixels", hint=f"at most {MAX_PIXELS:,} pixels")
    tokens = -(-height // _TOKEN) * -(-width // _TOKEN)
    if slices > tokens or abs(header.beta) > _LARGEST_BETA:
        raise InputError(f"damaged payload: {slices} slices of {tokens} tokens with beta {header.beta:g}")
    return header


def _own_mode(body: bytes, slices: int) -> tuple[tuple[int, ...], ...]:
    entries = slices * (slices - 1) // 2
    packed = np.frombuffer(body[len(body) - -(-entries // 8) :], np.uint8)
    if 8 * len(packed) < entries:
        raise InputError(f"packet 0 holds no context matrix of {slices} slices")
    matrix = np.zeros((slices, slices), dtype=np.int64)
    matrix[np.tril_indices(slices, -1)] = np.unpackbits(packed)[:entries]
    return tuple(tuple(map(int, row)) for row in own_contexts(matrix).tolist())


def write_slice(code: bytes, first_payload: bytes, place: int) -> bytes:
    """Payload of a slice.

    Args:
        code: Of the slice.
        first_payload: Packet 0's payload.
        place: Position of the packet in the stream.

    >>> first = write_header(ResiCompHeader(16, 16, 1.0, slices=1, beta=2.2))
    >>> payload = write_slice(b"coded", first, place=1)
    >>> read_slice(payload), verify_checksums([first, payload]).tolist()
    (b'coded', [True, True])
    """
    return sealed(code, seal_key(first_payload) + place)


def read_slice(payload: bytes) -> bytes:
    """The code in a slice's payload, whose checksum was verified."""
    return unsealed(payload)


def verify_checksums(payloads: Sequence[bytes]) -> BoolArray:
    """Which packets are as they were written, bool (n,); none if packet 0 is damaged or empty."""
    if not payloads or len(payloads[0]) <= CRC_BYTES:
        return np.zeros(len(payloads), dtype=bool)
    return intact_payloads(payloads)

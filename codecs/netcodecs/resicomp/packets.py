"""Packets of ResiComp: one protected head of a dozen bytes, then one packet for each slice.

A slice's packet is its code and a CRC-32 that is seeded with the head's and with the packet's place, so that nothing
reaches the entropy decoder but what its own encoder wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.limits import MAX_PIXELS
from netcodecs.common.seal import CRC_BYTES, is_intact, seal_key, sealed, unsealed
from netcodecs.common.varint import integers, varint
from netcodecs.resicomp.modes import MODES, context_matrix, own_contexts
from netsim.errors import InputError

__all__ = ["BETA_STEP", "QUALITY_STEP", "Head", "read_head", "read_slice", "sound", "write_head", "write_slice"]

BoolArray = NDArray[np.bool_]

QUALITY_STEP = 1 / 1024  # resolution of the quality in the head
BETA_STEP = 1 / 20
_QUALITIES = 4097  # 0 … 4 in steps; the number that follows holds quality and mode
_OTHER_MDC, _OWN = len(MODES), len(MODES) + 1
_LARGEST_SIDE = 65535
_LARGEST_BETA = 100  # of Eq. 10's exponent
_TOKEN = 16  # pixels of a token's side


@dataclass(frozen=True)
class Head:
    """What a receiver must know first. mode: a name, or the rows of an own matrix. beta: Eq. 10's exponent."""

    height: int
    width: int
    quality: float
    slices: int
    beta: float
    mode: str | tuple[tuple[int, ...], ...] = field(default="LC")

    @property
    def contexts(self) -> BoolArray:
        """bool [L, L]"""
        return context_matrix(self.mode, self.slices)


def write_head(head: Head) -> bytes:
    """Payload of packet 0. Quality and beta must be multiples of their steps.

    Raises InputError if the picture is too large.

    >>> len(write_head(Head(512, 768, 2.0, slices=10, beta=2.2, mode="MDC-2")))
    12
    """
    if max(head.height, head.width) > _LARGEST_SIDE or head.height * head.width > MAX_PIXELS:
        hint = f"at most {_LARGEST_SIDE} a side and {MAX_PIXELS:,} pixels"
        raise InputError(f"a picture of {head.width}x{head.height} is too large", hint=hint)
    named = MODES.index(head.mode) if head.mode in MODES else _OTHER_MDC if isinstance(head.mode, str) else _OWN
    beta = round(head.beta / BETA_STEP)
    numbers = [
        head.height,
        head.width,
        round(head.quality / QUALITY_STEP) + _QUALITIES * named,
        head.slices,
        beta << 1 if beta >= 0 else -beta << 1 | 1,
    ]
    body = b"".join(map(varint, numbers))
    if named == _OTHER_MDC:
        body += varint(int(str(head.mode).removeprefix("MDC-")))
    elif named == _OWN:
        lower = np.tril_indices(head.slices, -1)
        body += np.packbits(np.array(head.mode, dtype=bool)[lower]).tobytes()
    return sealed(body)


def read_head(payload: bytes, packets: int) -> Head:
    """The head of a payload found sound before. packets: of the whole stream.

    Raises InputError if it is no head all the same, or one of another number of packets.
    """
    numbers = integers(body := unsealed(payload))
    start = list(islice(numbers, 5))
    if len(start) < 5 or start[3] != packets - 1:
        raise InputError(f"packet 0 is no head of ResiComp's for {packets - 1} slices")
    height, width, both, slices, beta = start
    named = both // _QUALITIES
    mode: str | tuple[tuple[int, ...], ...]
    if named < len(MODES):
        mode = MODES[named]
    else:
        mode = _own_mode(body, slices) if named == _OWN else f"MDC-{next(numbers, 0)}"
    sign = -1 if beta & 1 else 1
    head = Head(height, width, both % _QUALITIES * QUALITY_STEP, slices, sign * (beta >> 1) * BETA_STEP, mode)
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE and height * width <= MAX_PIXELS):
        raise InputError(f"damaged payload: a picture of {width}x{height}", hint=f"at most {MAX_PIXELS:,} pixels")
    tokens = -(-height // _TOKEN) * -(-width // _TOKEN)
    if slices > tokens or abs(head.beta) > _LARGEST_BETA:
        raise InputError(f"damaged payload: {slices} slices of {tokens} tokens with beta {head.beta:g}")
    return head


def _own_mode(body: bytes, slices: int) -> tuple[tuple[int, ...], ...]:
    entries = slices * (slices - 1) // 2
    packed = np.frombuffer(body[len(body) - -(-entries // 8) :], np.uint8)
    if 8 * len(packed) < entries:
        raise InputError(f"packet 0 holds no context matrix of {slices} slices")
    matrix = np.zeros((slices, slices), dtype=np.int64)
    matrix[np.tril_indices(slices, -1)] = np.unpackbits(packed)[:entries]
    return tuple(tuple(map(int, row)) for row in own_contexts(matrix).tolist())


def write_slice(coded: bytes, head: bytes, place: int) -> bytes:
    """Payload of a slice. head: packet 0's payload. place: position in the stream.

    >>> head = write_head(Head(16, 16, 1.0, slices=1, beta=2.2))
    >>> payload = write_slice(b"coded", head, place=1)
    >>> read_slice(payload), sound([head, payload]).tolist(), sound([head, payload[1:]]).tolist()
    (b'coded', [True, True], [True, False])
    """
    return sealed(coded, seal_key(head) + place)


def read_slice(payload: bytes) -> bytes:
    """The code of a slice's payload, found sound before."""
    return unsealed(payload)


def sound(payloads: Sequence[bytes]) -> BoolArray:
    """Which packets are as they were written, bool (n,); none if packet 0 is not."""
    if not payloads or len(payloads[0]) <= CRC_BYTES or not is_intact(payloads[0]):
        return np.zeros(len(payloads), dtype=bool)
    key = seal_key(payloads[0])
    return np.array([True, *(is_intact(payload, key + place) for place, payload in enumerate(payloads[1:], 1))])

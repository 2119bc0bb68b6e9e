"""Checksums that tie a stream's packets together: each packet's depends on the first packet and on its own place.

Entropy decoders can crash on bytes that no encoder wrote. Behind a checksum, they only see what their own encoder
wrote for this packet of this stream.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CRC_BYTES", "intact_payloads", "is_intact", "seal_key", "sealed", "unsealed"]

_CRC = struct.Struct(">I")
CRC_BYTES = _CRC.size


def _crc(body: bytes, seed: int) -> bytes:
    return _CRC.pack(zlib.crc32(body, seed & 0xFFFFFFFF))


def sealed(body: bytes, seed: int = 0) -> bytes:
    """A body and its CRC-32.

    Args:
        body: Anything.
        seed: 0 for the first packet; ``seal_key`` of the first packet + the packet's place for the others.
    """
    return body + _crc(body, seed)


def unsealed(payload: bytes) -> bytes:
    """The body of a payload that :func:`is_intact` has accepted."""
    return payload[:-CRC_BYTES]


def is_intact(payload: bytes, seed: int = 0) -> bool:
    """Whether a payload is as it was sealed.

    >>> payload = sealed(b"coded", seed=1)
    >>> is_intact(payload, 1), is_intact(payload, 2), is_intact(payload[1:], 1)
    (True, False, False)
    """
    return len(payload) >= CRC_BYTES and payload[-CRC_BYTES:] == _crc(payload[:-CRC_BYTES], seed)


def seal_key(first_payload: bytes) -> int:
    """What the first packet's checksum adds to the seeds of the others."""
    return int(_CRC.unpack(first_payload[-CRC_BYTES:])[0])


def intact_payloads(payloads: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which packets of a stream are as they were sealed.

    Args:
        payloads: All packets of the stream.

    Returns:
        bool (n,); all False if packet 0 is damaged, since the other checksums depend on it.

    >>> first = sealed(b"header")
    >>> second = sealed(b"coded", seal_key(first) + 1)
    >>> intact_payloads([first, second, second]).tolist(), intact_payloads([second, second]).tolist()
    ([True, True, False], [False, False])
    """
    if not payloads or not is_intact(payloads[0]):
        return np.zeros(len(payloads), dtype=bool)
    key = seal_key(payloads[0])
    return np.array([True, *(is_intact(payload, key + place) for place, payload in enumerate(payloads[1:], 1))])

"""Checksums that tie a stream's packets together: each packet's depends on the first packet and on its own place.

Entropy decoders can crash on bytes that no encoder wrote. Behind a checksum, they only see what their own encoder
wrote for this packet of this stream.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["CRC_BYTES", "is_intact", "seal_key", "sealed", "unsealed"]

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

"""The protected packets in front of a latent's packets: image size, quality and the coded hyperprior.

The first packet holds height and width (2 bytes each), the quality in steps of ``QUALITY_STEP`` (2 bytes) and the
number of header packets (1 byte); the hyperprior follows, cut into as many parts as there are header packets. Every
packet of the stream ends with a CRC-32 that is seeded with packet 0's checksum and the packet's place
(``netcodecs.common.seal``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.limits import MAX_PIXELS
from netcodecs.common.seal import CRC_BYTES, intact_payloads, seal_key, sealed, unsealed
from netsim.errors import InputError

__all__ = ["QUALITY_STEP", "StreamHeader", "read_header", "verify_checksums", "write_header"]

QUALITY_STEP = 1 / 1024
_FIELDS = struct.Struct(">HHHB")
_MOST_PACKETS = 255


@dataclass(frozen=True)
class StreamHeader:
    """What a receiver needs before it reads a latent packet.

    Attributes:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        quality: Operating point, a multiple of ``QUALITY_STEP``, below 64.
        hyperprior: The coded hyperprior; whatever else the codec protects may stand in front of it.
    """

    height: int
    width: int
    quality: float
    hyperprior: bytes


def write_header(header: StreamHeader, limit_bytes: int) -> list[bytes]:
    """Payloads of a stream's header.

    Args:
        header: What they hold.
        limit_bytes: Largest payload.

    Returns:
        One payload, or more where the hyperprior does not fit into one.

    Raises:
        InputError: The image is too large, or the limit is too small for 255 payloads.

    >>> [len(payload) for payload in write_header(StreamHeader(16, 16, 1.0, bytes(20)), limit_bytes=22)]
    [21, 14]
    """
    if not _has_size(header.height, header.width):
        hint = f"at most 65535 a side and {MAX_PIXELS:,} pixels"
        raise InputError(f"an image of {header.width}x{header.height} pixels is too large", hint=hint)
    room = limit_bytes - _FIELDS.size - CRC_BYTES
    body = header.hyperprior
    count = max(1, -(-len(body) // room)) if room > 0 else _MOST_PACKETS + 1
    if count > _MOST_PACKETS:
        raise InputError(f"packets of {limit_bytes} bytes are too small for the protected {len(body)} bytes")
    bounds = [len(body) * i // count for i in range(count + 1)]
    parts = [body[a:b] for a, b in pairwise(bounds)]
    fields = _FIELDS.pack(header.height, header.width, round(header.quality / QUALITY_STEP), count)
    first = sealed(fields + parts[0])
    return [first, *(sealed(part, seal_key(first) + i) for i, part in enumerate(parts[1:], 1))]


def _has_size(height: int, width: int) -> bool:
    return 0 < height < 1 << 16 and 0 < width < 1 << 16 and height * width <= MAX_PIXELS


def verify_checksums(payloads: Sequence[bytes]) -> tuple[int, NDArray[np.bool_]]:
    """Which packets are as they were written.

    Args:
        payloads: All packets of a stream.

    Returns:
        The number of header packets, 0 if the header is damaged or incomplete; and bool (n,), True = intact: all False
        if the header is damaged.
    """
    none, intact = (0, np.zeros(len(payloads), bool)), intact_payloads(payloads)
    if not intact.any() or len(payloads[0]) < _FIELDS.size + CRC_BYTES:
        return none
    height, width, _, headers = _FIELDS.unpack_from(payloads[0])
    if not (_has_size(height, width) and 0 < headers <= len(payloads)):
        return none
    return (headers, intact) if intact[:headers].all() else none


def read_header(payloads: Sequence[bytes]) -> StreamHeader:
    """The header from its packets' payloads, which :func:`verify_checksums` has accepted."""
    height, width, quality, _ = _FIELDS.unpack_from(payloads[0])
    bodies = [unsealed(payload) for payload in payloads]
    return StreamHeader(height, width, quality * QUALITY_STEP, b"".join([bodies[0][_FIELDS.size :], *bodies[1:]]))

"""The encoder's own reconstruction: MD5 of each plane, from the decoded picture hash SEI of HEVC and VVC.

libx265 and libvvenc write the message behind the picture when asked to (H.265 and H.274, decoded picture hash). It is
taken out of the bitstream, so that it is neither sent nor counted, and used to check the decoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from netsim.errors import InputError

__all__ = ["PlaneHashes", "checked_against", "hash_planes", "split_picture_hash"]

PlaneHashes = tuple[str, ...]
"""MD5 of each plane's samples in hexadecimal: luma, then the two chroma planes."""

_START = b"\x00\x00\x01"
_SUFFIX_SEI = {"hevc": (bytes([40 << 1, 1]), 1), "vvc": (bytes([0, 24 << 3 | 1]), 2)}
"""NAL unit header of a suffix SEI message, and how many bytes its payload has in front of the digests."""
_PICTURE_HASH, _MD5, _DIGEST_BYTES, _PLANES = 132, 0, 16, 3


def split_picture_hash(bitstream: bytes, standard: str) -> tuple[bytes, PlaneHashes]:
    """A bitstream without its picture hash, and the hash.

    Args:
        bitstream: Annex B byte stream of one picture whose last NAL unit is the hash.
        standard: ``hevc`` or ``vvc``.

    Raises:
        InputError: The last NAL unit is not an MD5 picture hash of three planes.
    """
    header, front = _SUFFIX_SEI[standard]
    at = bitstream.rfind(_START)
    unit = bitstream[at + len(_START) :].replace(b"\x00\x00\x03", b"\x00\x00") if at >= 0 else b""
    payload = unit[len(header) + 2 :]
    size = front + _PLANES * _DIGEST_BYTES
    expected = header + bytes([_PICTURE_HASH, size, _MD5])
    if not unit.startswith(expected) or len(payload) <= size:
        raise InputError(f"the {standard} encoder wrote no MD5 picture hash", hint="another version of ffmpeg may")
    starts = range(front, size, _DIGEST_BYTES)
    return bitstream[:at], tuple(payload[start : start + _DIGEST_BYTES].hex() for start in starts)


def hash_planes(planes: bytes, samples: Sequence[int]) -> PlaneHashes:
    """MD5 of each plane of raw 10-bit video (two bytes a sample, little endian, as both standards hash it).

    Args:
        planes: The planes, one behind the other.
        samples: How many samples each plane has.

    >>> hash_planes(b"ab" * 6, [4, 1, 1]) == tuple(hashlib.md5(b"ab" * n).hexdigest() for n in (4, 1, 1))
    True
    """
    found, start = [], 0
    for count in samples:
        found.append(hashlib.md5(planes[start : start + 2 * count], usedforsecurity=False).hexdigest())
        start += 2 * count
    return tuple(found)


def checked_against(reconstruction: PlaneHashes, decoded: PlaneHashes, decoder: str) -> None:
    """Raises InputError unless the decoded planes are those that the encoder reconstructed."""
    if decoded != reconstruction:
        message = f"{decoder} decodes a bitstream to another image than its encoder reconstructed"
        raise InputError(message, hint="encoder and decoder don't fit together: use another version of one")

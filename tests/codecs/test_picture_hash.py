"""Decoded picture hash messages: taken off a bitstream, or refused."""

from __future__ import annotations

import pytest
from netcodecs.classical.picture_hash import split_picture_hash

from netsim.errors import InputError

PICTURE = bytes.fromhex("00000001420100000126aabb")
DIGESTS = (bytes(16), bytes(range(16)), bytes([255] * 16))


def escaped(data: bytes) -> bytes:
    """With an emulation prevention byte wherever the standards ask for one."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


@pytest.mark.parametrize(("standard", "front"), [("hevc", "5001 8431 00"), ("vvc", "00c1 8432 0000")])
def test_the_message_is_taken_off_and_its_escapes_undone(standard: str, front: str) -> None:
    unit = bytes.fromhex(front) + b"".join(DIGESTS) + b"\x80"
    assert escaped(unit) != unit
    body, digests = split_picture_hash(PICTURE + b"\0\0\1" + escaped(unit), standard)
    assert body == PICTURE
    assert digests == tuple(digest.hex() for digest in DIGESTS)


@pytest.mark.parametrize(
    "bitstream",
    [
        b"",
        b"abc",
        PICTURE,
        PICTURE + b"\0\0\1" + bytes.fromhex("5001 8431 00") + bytes(range(1, 40)),
        PICTURE + b"\0\0\1" + bytes.fromhex("5001 8431 01") + bytes(range(1, 50)),
    ],
)
def test_a_bitstream_without_a_whole_md5_message_is_refused(bitstream: bytes) -> None:
    with pytest.raises(InputError, match="the hevc encoder wrote no MD5 picture hash"):
        split_picture_hash(bitstream, "hevc")

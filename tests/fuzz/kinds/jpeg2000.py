"""Payloads of ``jpeg2000``, both receivers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netcodecs.classical.jpeg2000 import Jpeg2000, Jpeg2000Settings

from netsim.codec import Codec, OperatingPoint, Stream
from tests.fuzz.kinds._payloads import attempt_stream, coded_photos

WORDS = [
    *(b"\xff\x4f", b"\xff\x51", b"\xff\x52", b"\xff\x5c", b"\xff\x53", b"\xff\x5d", b"\xff\x90", b"\xff\x93"),
    *(b"\xff\xd9", b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\xff\xff", b"\x80", b"\x81\x00", b"\x00\x01\x00\x00"),
]


def attempt(rng: Random, folder: Path) -> object:
    """One damaged stream."""
    codec, streams = rng.choice(_coded())
    return attempt_stream(rng, codec, streams, WORDS)


def prepare() -> None:
    """Makes the streams."""
    _coded()


@cache
def _coded() -> list[tuple[Codec, list[Stream]]]:
    settings = (
        Jpeg2000Settings(),
        Jpeg2000Settings(receiver="resilient"),
        Jpeg2000Settings(receiver="resilient", packets=3),
        Jpeg2000Settings(packets=120),
    )
    return coded_photos(map(Jpeg2000, settings), OperatingPoint("bpp", 5.0))

"""Payloads of ``jpeg`` and ``webp``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.fuzz.kinds._payloads import attempt_stream, coded_photos

WORDS = [
    *(b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xd9", b"\xff\xdd\x00\x04"),
    *(b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ANMF", b"ALPH", b"\xff\xff\xff\xff", b"\xff\xff", b"\x00\x00"),
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
    codecs = [create_codec(name, {"packets": 4}) for name in ("jpeg", "webp")]
    return coded_photos(codecs, OperatingPoint("quality", 60))

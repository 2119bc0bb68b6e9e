"""Payloads of ``resicomp``, with checksums as they are and made good."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.fuzz.kinds._payloads import attempt_stream, photo
from tests.fuzz.kinds.progressive import _sealed

WORDS = [b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\x83\xff\x7f", b"\0\0\0\0", b"\xff" * 8, b"\xa0\0", b"\x0b"]
SETTINGS = [
    {"mode": "MDC-2", "slices": 4},
    {"mode": "ISC", "slices": 3, "conceal": "mean"},
    {"mode": "000/100/110", "conceal": "zero"},
]


def attempt(rng: Random, folder: Path) -> object:
    """One damaged stream."""
    codec, streams = rng.choice(_coded())
    return attempt_stream(rng, codec, streams, WORDS, _sealed)


def prepare() -> None:
    """Makes the streams."""
    _coded()


@cache
def _coded() -> list[tuple[Codec, list[Stream]]]:
    found = []
    for settings in SETTINGS:
        codec = create_codec("resicomp", settings)
        images = (photo(48, 60), photo(64, 33))
        found.append((codec, [codec.encode(image, OperatingPoint("quality", 1.0)) for image in images]))
    return found

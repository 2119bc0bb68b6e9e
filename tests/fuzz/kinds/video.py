"""Payloads of ``vvc`` and ``hevc``. Each decoding is a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.fuzz.kinds._payloads import attempt_stream, photo

WORDS = [*(b"\0\0\1", b"\0\0\3", b"\0\0\1\x40\1", b"\0\0\1\0\x79", b"\xff\xff\xff\xff", b"\0\x10")]


def attempt(rng: Random, folder: Path) -> object:
    """One damaged stream."""
    codec, streams = rng.choice(_coded())
    return attempt_stream(rng, codec, streams, WORDS)


def prepare() -> None:
    """Makes the streams."""
    _coded()


@cache
def _coded() -> list[tuple[Codec, list[Stream]]]:
    found = []
    for name, settings in (("vvc", {"preset": "faster", "packets": 4}), ("hevc", {"preset": "fast", "packets": 4})):
        codec = create_codec(name, settings)
        images = (photo(48, 60), photo(64, 33))
        found.append((codec, [codec.encode(image, OperatingPoint("qp", 30)) for image in images]))
    return found

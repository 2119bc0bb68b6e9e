"""Payloads of ``vvc`` and ``hevc``. Each decoding is a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.fuzz.kinds._payloads import attempt_stream, coded_photos

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
    presets = {"vvc": "faster", "hevc": "fast"}
    codecs = [create_codec(name, {"preset": preset, "packets": 4}) for name, preset in presets.items()]
    return coded_photos(codecs, OperatingPoint("qp", 30))

"""Payloads of the channel-progressive family, with checksums as they are and made good."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.fuzz.kinds._payloads import attempt_stream, photo

CODECS = {"mbt-mean": {"lost": "mean"}, "random": {}, "progdtd": {}, "scr-mca-u": {}, "scr-mca-ge": {}}
WORDS = [b"\0\1", b"\xff\xff", b"\0\0", b"\xff\0", b"\0\0\0\0", b"\xff" * 8, b"\xc0\0", b"\x0c\0\1"]


def attempt(rng: Random, folder: Path) -> object:
    """One damaged stream."""
    codec, streams = rng.choice(_coded())
    return attempt_stream(rng, codec, streams, WORDS, _sealed)


def _sealed(payloads: Sequence[bytes]) -> list[bytes]:
    """CRC-32 of each packet, seeded with the first one's and the place."""
    made: list[bytes] = []
    for place, payload in enumerate(payloads):
        seed = (int.from_bytes(made[0][-4:], "big") + place) & 0xFFFFFFFF if made else 0
        body = payload[:-4]
        made.append(body + zlib.crc32(body, seed).to_bytes(4, "big"))
    return made


def prepare() -> None:
    """Makes the streams."""
    _coded()


@cache
def _coded() -> list[tuple[Codec, list[Stream]]]:
    found = []
    for name, settings in CODECS.items():
        codec = create_codec(name, settings)
        images, limits = (photo(48, 60), photo(64, 33)), (None, 60)
        coded = [codec.encode(i, OperatingPoint("quality", 1.0), n) for i, n in zip(images, limits, strict=True)]
        found.append((codec, coded))
    return found

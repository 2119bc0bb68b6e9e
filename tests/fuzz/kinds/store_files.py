"""Files of the store, damaged: what was remembered, nothing, or a refusal; never another value."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from random import Random

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.decoding.store import Store
from netsim.errors import InputError
from tests.fuzz.mutations import damaged

QUALITIES = {f"{i:064x}:1{i:04b}": 20 + i / 7 for i in range(40)} | {"none": math.inf}
STREAMS = {
    f"{i:064x}": Stream(
        (Packet(bytes([i]) * 20, protected=True), *(Packet(bytes(range(i, i + 90))) for _ in range(i))),
        (48, 64),
        OperatingPoint("qp", 30 + i),
        {"tool": "made up", "command": "encode"},
    )
    for i in range(4)
}
WORDS = [b"SQLite format 3\x00", b"qualities", b"streams", b"psnr_db", b"\x0d\x00\x00\x00", b"\xff\xff", b"\x7f" * 8]


def attempt(rng: Random, folder: Path) -> object:
    """Opens a damaged store, asks for everything and sometimes writes; whole files give everything."""
    whole = rng.random() < 0.05
    path = folder / "store.sqlite"
    for left in folder.glob("store.sqlite*"):
        left.unlink()
    content = _whole(folder)
    path.write_bytes(content if whole else damaged(_flipped(content, rng), rng, WORDS))
    with Store(path) as store:
        found = store.qualities(QUALITIES, "psnr_db")
        streams = {key: stream for key in STREAMS if (stream := store.stream(key)) is not None}
        assert found.items() <= QUALITIES.items()
        assert all(streams[key] == STREAMS[key] for key in streams)
        if whole:
            assert len(found) == len(QUALITIES)
            assert len(streams) == len(STREAMS)
        if rng.random() < 0.02:
            store.put_qualities(QUALITIES, "psnr_db")
            assert store.qualities(QUALITIES, "psnr_db").items() <= QUALITIES.items()
    if not found and not streams:
        raise InputError("everything is forgotten")  # counts as a refusal
    return found, streams


def _flipped(content: bytes, rng: Random) -> bytes:
    """A few bits of the parts in use, which damage at random seldom meets."""
    used = _used(content)
    changed = bytearray(content)
    for _ in range(rng.randint(0, 3)):
        changed[rng.choice(used)] ^= 1 << rng.randrange(8)
    return bytes(changed)


@cache
def _used(content: bytes) -> list[int]:
    return [i for i, byte in enumerate(content) if byte]


@cache
def _whole(folder: Path) -> bytes:
    path = folder / "template.sqlite"
    path.unlink(missing_ok=True)
    with Store(path) as store:
        store.put_qualities(QUALITIES, "psnr_db")
        for key, stream in STREAMS.items():
            store.put_stream(key, stream)
    return path.read_bytes()

"""Damage to bytes and texts, from a seeded generator."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["damaged", "damaged_text"]


def damaged(data: bytes, rng: Random, words: Sequence[bytes] = ()) -> bytes:
    """``data`` after one to four mutations: bit flips, cuts, insertions, repetitions, zeroes, a word spliced in.

    words: tokens of the format, which reach deeper code than random bytes do.
    """
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        _mutate(found, rng, words)
    return bytes(found)


def damaged_text(text: str, rng: Random, words: Sequence[str] = ()) -> str:
    """The same for a text; what is no longer UTF-8 is replaced."""
    return damaged(text.encode(), rng, [word.encode() for word in words]).decode(errors="replace")


def _mutate(data: bytearray, rng: Random, words: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    length = min(len(data) - at, 1 << rng.randint(0, 8))
    way = rng.randrange(7)
    if way == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif way == 1:
        del data[at:]
    elif way == 2:
        del data[at : at + length]
    elif way == 3:
        data[at:at] = rng.randbytes(rng.randint(1, 16))
    elif way == 4:
        data[at:at] = data[at : at + length] * rng.randint(1, 3)
    elif way == 5:
        data[at : at + length] = bytes(length)
    elif words:
        data[at : at + rng.choice([0, length])] = rng.choice(words)

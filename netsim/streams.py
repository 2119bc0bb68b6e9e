"""All randomness: counter-based streams keyed by seed, purpose, trial and slot.

A stream's numbers depend on its key alone, never on the order of draws: the same scenario gives the same draws for any
number of workers, in any order, after a kill and in any engine.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Streams"]


class _Key(np.random.bit_generator.ISeedSequence):
    """Gives Philox its key as a seed sequence would: NumPy then skips the system's entropy, the slowest step."""

    def __init__(self, key: NDArray[np.uint64]) -> None:
        self.key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return self.key


class Streams:
    """Random streams of one (seed, purpose, …).

    The Philox key is derived from a ``SeedSequence`` with the purpose as spawn key. Trial and slot fill the upper half
    of Philox's 256-bit counter, so a slot has 2**128 blocks of its own; 2**64 of them for each attempt (retransmissions
    have streams of their own, so that the other draws stay the same).

    Args:
        seed: The scenario's seed, 0 or more.
        *purpose: Strings that name what is drawn ("channel", "EP4"); different purposes never share a number.

    >>> a, b = Streams(7, "channel", "EP4"), Streams(7, "channel", "EP4")
    >>> _ = a.at(0, 0).random(5)                      # draws elsewhere change nothing
    >>> bool(a.at(3, 1).random() == b.at(3, 1).random())
    True
    """

    def __init__(self, seed: int, *purpose: str) -> None:
        digest = hashlib.sha256("\x00".join(purpose).encode()).digest()
        words = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        sequence = np.random.SeedSequence(seed, spawn_key=words)
        self.key: NDArray[np.uint64] = sequence.generate_state(2, np.uint64).astype(np.uint64)
        self._seed: Any = _Key(self.key)

    def at(self, trial: int, slot: int, attempt: int = 0) -> np.random.Generator:
        """A fresh generator for one slot of one trial.

        Args:
            trial: Number of the trial.
            slot: Number of the slot.
            attempt: Number of the retransmission; 0: the first transmission.

        Returns:
            The generator; equal arguments give equal numbers.
        """
        counter = np.array([0, attempt, slot, trial], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(self._seed, counter=counter))

"""Recordings as runs of equal outcomes: a likelihood then takes time per run, not per packet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = ["LossRuns"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LossRuns:
    """Runs of received and of lost packets, of one or more recordings.

    Attributes:
        symbols: int64 [r], 1 where the packets of a run are lost, else 0.
        which: int64 [r], place of the run's length in ``lengths``.
        starts: int64 [recordings + 1], first run of each recording, and the number of runs.
        lengths: int64 [d], all different, rising.
    """

    symbols: IntArray
    which: IntArray
    starts: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, recordings: Iterable[BoolArray]) -> LossRuns:
        """Runs of recordings.

        Args:
            recordings: bool [n] each, True = received; empty ones do not count.

        Returns:
            Their runs, one recording after the other.

        Raises:
            InputError: There are no packets.

        >>> runs = LossRuns.of([np.array([True, True, False]), np.array([False, False])])
        >>> runs.symbols, runs.run_lengths, runs.starts
        (array([0, 1, 1]), array([2, 1, 2]), array([0, 2, 3]))
        """
        symbols, lengths, starts = [], [], [0]
        for received in recordings:
            if not len(received):
                continue
            lost = ~np.asarray(received, dtype=bool)
            edges = np.flatnonzero(np.concatenate([[True], lost[1:] != lost[:-1], [True]]))
            symbols.append(lost[edges[:-1]].astype(np.int64))
            lengths.append(np.diff(edges))
            starts.append(starts[-1] + len(edges) - 1)
        if not symbols:
            raise InputError("no packets to fit a channel to", hint="a recording with at least one packet")
        distinct, which = np.unique(np.concatenate(lengths), return_inverse=True)
        return cls(np.concatenate(symbols), which.astype(np.int64), np.array(starts), distinct.astype(np.int64))

    @property
    def run_lengths(self) -> IntArray:
        """int64 [r], packets of each run."""
        return self.lengths[self.which]

    @property
    def recordings(self) -> int:
        """Number of recordings."""
        return len(self.starts) - 1

    @property
    def packets(self) -> int:
        """Number of packets."""
        return int(self.run_lengths.sum())

    @property
    def packets_lost(self) -> int:
        """Number of lost packets."""
        return int(self.run_lengths[self.symbols == 1].sum())

    @property
    def recording_lengths(self) -> IntArray:
        """int64 [recordings], packets of each."""
        return np.asarray(np.add.reduceat(self.run_lengths, self.starts[:-1]))

    def chosen(self, recordings: Sequence[int]) -> LossRuns:
        """The runs of some recordings.

        Args:
            recordings: Numbers from 0.

        Returns:
            Their runs alone.
        """
        parts = [np.arange(self.starts[i], self.starts[i + 1]) for i in recordings]
        rows = np.concatenate(parts)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        distinct, which = np.unique(self.run_lengths[rows], return_inverse=True)
        return LossRuns(self.symbols[rows], which.astype(np.int64), starts, distinct.astype(np.int64))

    def split(self) -> tuple[LossRuns, LossRuns] | None:
        """Every other recording in one part, the rest in another; of a single recording its halves.

        Returns:
            Two parts; None where there is too little.
        """
        if self.recordings > 1:
            return self.chosen(range(0, self.recordings, 2)), self.chosen(range(1, self.recordings, 2))
        received = np.repeat(self.symbols == 0, self.run_lengths)
        middle = len(received) // 2
        return (LossRuns.of([received[:middle]]), LossRuns.of([received[middle:]])) if middle else None

    def beginning(self, rows: int) -> LossRuns:
        """The first runs.

        Args:
            rows: How many runs.

        Returns:
            These runs; all where there are no more.
        """
        if len(self.symbols) <= rows:
            return self
        starts = np.append(self.starts[self.starts < rows], rows)
        distinct, which = np.unique(self.run_lengths[:rows], return_inverse=True)
        return LossRuns(self.symbols[:rows], which.astype(np.int64), starts, distinct.astype(np.int64))

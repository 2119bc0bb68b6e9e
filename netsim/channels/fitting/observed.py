"""What recordings show: loss rate, lengths of bursts and gaps, autocorrelation, losses among ten packets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = ["LAGS", "LONGEST", "WINDOW", "Observed", "observe"]

Vector = NDArray[np.float64]

LAGS = 20
"""Lags of the autocorrelation: 1 … 20 packets."""
WINDOW = 10
"""Packets of a window in which losses are counted."""
LONGEST = 1000
"""Longest burst or gap that is counted apart; longer ones count as this long in the distributions alone."""


@dataclass(frozen=True)
class Observed:
    """Statistics of recordings. A burst is a run of losses, a gap a run of received packets.

    Bursts and gaps that a recording's beginning or end cuts off count as long as they show.

    Attributes:
        packets: Packets of all recordings.
        recordings: Number of recordings.
        loss_rate: Share lost.
        mean_burst: Mean length of a burst in packets; 0 without losses.
        mean_gap: Mean length of a gap in packets; 0 where all is lost.
        bursts: float64 [LONGEST + 1], share of bursts of each length.
        gaps: float64 [LONGEST + 1], share of gaps of each length.
        autocorrelation: float64 [LAGS], correlation of the loss of two packets 1 … LAGS apart; 0 without variance.
        loss_counts: float64 [WINDOW + 1], share of windows with so many losses; NaN where no recording is so long.
    """

    packets: int
    recordings: int
    loss_rate: float
    mean_burst: float
    mean_gap: float
    bursts: Vector
    gaps: Vector
    autocorrelation: Vector
    loss_counts: Vector

    def longer(self, kind: str) -> Vector:
        """Share of bursts or gaps of at least each length.

        Args:
            kind: ``bursts`` or ``gaps``.

        Returns:
            float64 [LONGEST + 1].
        """
        shares: Vector = getattr(self, kind)
        return np.asarray(shares[::-1].cumsum()[::-1])


@compiled
def _count(lost: Any, lags: Any, windows: Any, runs: Any, totals: Any) -> None:
    """Adds one recording's counts.

    lags: int64 [LAGS, 4]: pairs, first lost, second lost, both; windows: int64 [WINDOW + 1]; runs: int64
    [2, LONGEST + 1] of gaps and bursts; totals: int64 [2, 2]: number and packets of gaps and bursts.
    """
    packets = len(lost)
    most, width, longest = len(lags), len(windows) - 1, runs.shape[1] - 1
    before = np.zeros(most + 1, dtype=np.int64)  # losses among the first packets
    after = np.zeros(most + 1, dtype=np.int64)  # losses among the last packets
    total = 0
    inside = 0
    length = 0
    for i in range(packets):
        now = lost[i]
        total += now
        inside += now
        if i >= width:
            inside -= lost[i - width]
        if i >= width - 1:
            windows[inside] += 1
        if now:
            for lag in range(1, min(most, i) + 1):
                lags[lag - 1, 3] += lost[i - lag]
        length += 1
        if i == packets - 1 or lost[i + 1] != now:
            runs[now, min(length, longest)] += 1
            totals[now, 0] += 1
            totals[now, 1] += length
            length = 0
    for lag in range(1, most + 1):
        if lag <= packets:
            before[lag] = before[lag - 1] + lost[lag - 1]
            after[lag] = after[lag - 1] + lost[packets - lag]
        if lag < packets:
            lags[lag - 1, 0] += packets - lag
            lags[lag - 1, 1] += total - after[lag]
            lags[lag - 1, 2] += total - before[lag]


def observe(recordings: Iterable[NDArray[np.bool_]]) -> Observed:
    """Statistics of recordings.

    Args:
        recordings: Received, bool [n] each.

    Returns:
        Statistics over all of them; no window or pair of packets reaches over an end.

    Raises:
        InputError: There are no packets.

    >>> seen = observe([np.array([True, False, False, True, True])])
    >>> seen.loss_rate, seen.mean_burst, seen.mean_gap
    (0.4, 2.0, 1.5)
    """
    lags, windows = np.zeros((LAGS, 4), dtype=np.int64), np.zeros(WINDOW + 1, dtype=np.int64)
    runs, totals = np.zeros((2, LONGEST + 1), dtype=np.int64), np.zeros((2, 2), dtype=np.int64)
    count = 0
    for received in recordings:
        if len(received):
            _count((~np.asarray(received, dtype=bool)).astype(np.uint8), lags, windows, runs, totals)
            count += 1
    packets = int(totals[:, 1].sum())
    if not packets:
        raise InputError("no packets to describe", hint="a recording with at least one packet")
    rate = float(totals[1, 1] / packets)
    pairs, first, second, both = lags.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = both / pairs - rate * (first + second) / pairs + rate**2
        autocorrelation = np.where((pairs > 0) & (0 < rate < 1), covariance / (rate * (1 - rate)), 0.0)
        shares = runs / np.maximum(totals[:, :1], 1)
        loss_counts = windows / windows.sum()
        means = totals[:, 1] / np.maximum(totals[:, 0], 1)
    return Observed(
        packets=packets,
        recordings=count,
        loss_rate=rate,
        mean_burst=float(means[1]),
        mean_gap=float(means[0]),
        bursts=shares[1],
        gaps=shares[0],
        autocorrelation=autocorrelation,
        loss_counts=loss_counts,
    )

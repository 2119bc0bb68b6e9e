"""How well a channel fits: statistics of recordings beside those of the channel, with bands by simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.fitting.observed import WINDOW, Observed, observe
from netsim.channels.markov import MarkovChannel
from netsim.channels.traces.model import BoolArray

__all__ = ["COVERAGE", "Card", "Line", "goodness_card"]

Vector = NDArray[np.float64]

COVERAGE = 0.95
"""Of a band: probability that it holds the statistic of one more recording of the channel.

It holds that of the recording that the channel was fitted to more often: 98 % of all lines, if the family is right.
"""

# what a recording must have for a statistic to exist
_NEEDS = {
    "mean_burst": "bursts",
    "bursts": "bursts",
    "mean_gap": "gaps",
    "gaps": "gaps",
    "autocorrelation": "correlation",
}
_SIMULATIONS = 200
_FEWEST = 40  # a band of 95 % takes 39
_PACKETS = 20_000_000  # simulated in all, where that leaves enough simulations
_AT_ONCE = 500_000  # packets sampled at once, to bound memory
_BURSTS, _GAPS, _LAGS = (2, 5, 10, 50), (2, 10, 100, 1000), (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class Line:
    """One statistic.

    Attributes:
        name: In words.
        recorded: Of the recordings.
        fitted: Mean over simulations of the channel.
        low: Lower end of the band.
        high: Upper end of the band.
    """

    name: str
    recorded: float
    fitted: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the recorded value is in the band, or equal to it up to rounding."""
        slack = 1e-9 * max(1.0, abs(self.recorded))
        return self.low - slack <= self.recorded <= self.high + slack


@dataclass(frozen=True)
class Card:
    """A channel beside recordings.

    Attributes:
        channel: The channel.
        recorded: Statistics of the recordings.
        simulated: Statistics of simulations of the channel, as long as the recordings.
    """

    channel: MarkovChannel
    recorded: Observed
    simulated: tuple[Observed, ...]

    def band(self, of: str) -> tuple[Vector, Vector, Vector]:
        """Mean and band of a statistic over the simulations that have it: one without losses has no burst.

        Args:
            of: loss_rate, mean_burst, mean_gap, autocorrelation, loss_counts, bursts or gaps (the latter two: share at
                least so long).

        Returns:
            (mean, lower end, upper end), one value per lag, count or length; NaN where no simulation has it.
        """
        values = np.array([_values(one, of) for one in self.simulated])
        values = values[~np.isnan(values).any(axis=1)]
        if not len(values):
            return (np.full(len(_values(self.recorded, of)), np.nan),) * 3
        # Of n + 1 equal draws each is as likely the recording: ranks p (n + 1), which NumPy calls Weibull's
        low, high = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0, method="weibull")
        return values.mean(axis=0), low, high

    def lines(self) -> list[Line]:
        """The card as numbers.

        Returns:
            One line per number.
        """
        chosen = {
            "loss_rate": [("loss rate", 0)],
            "mean_burst": [("mean burst", 0)],
            "mean_gap": [("mean gap", 0)],
            "bursts": [(f"bursts of {n} or more", n) for n in _BURSTS],
            "gaps": [(f"gaps of {n} or more", n) for n in _GAPS],
            "autocorrelation": [(f"correlation at lag {lag}", lag - 1) for lag in _LAGS],
            "loss_counts": [(f"{lost} of {WINDOW} lost", lost) for lost in range(WINDOW + 1)],
        }
        found = []
        for of, places in chosen.items():
            mean, low, high = self.band(of)
            ours = _values(self.recorded, of)
            found += [Line(name, *(float(v[at]) for v in (ours, mean, low, high))) for name, at in places]
        return [line for line in found if np.isfinite(line.recorded)]


def _values(seen: Observed, of: str) -> Vector:
    """A statistic; NaN where there is none: lengths of bursts without losses, correlations without variance."""
    values = seen.longer(of) if of in ("bursts", "gaps") else np.atleast_1d(getattr(seen, of))
    rate = seen.loss_rate
    known = {"bursts": rate > 0, "gaps": rate < 1, "correlation": 0 < rate < 1}
    return values if known.get(_NEEDS.get(of, ""), True) else np.full(len(values), np.nan)


def goodness_card(channel: MarkovChannel, recordings: Sequence[BoolArray], seed: int = 0) -> Card:
    """Simulate a channel as often as it takes for bands, over recordings of the same lengths.

    Args:
        channel: Fitted, or any other.
        recordings: Received, bool [n] each.
        seed: Of the simulations.

    Returns:
        The card.

    Raises:
        InputError: There are no packets.
    """
    recorded = observe(recordings)
    lengths = np.array([len(one) for one in recordings if len(one)])
    # As long as the recordings, however long: counts of rare events do not scale as means do
    count = int(np.clip(_PACKETS // recorded.packets, _FEWEST, _SIMULATIONS))
    simulated = tuple(observe(_simulated(channel, lengths, np.random.default_rng([seed, i]))) for i in range(count))
    return Card(channel, recorded, simulated)


def _simulated(channel: MarkovChannel, lengths: NDArray[np.int64], rng: np.random.Generator) -> Iterator[BoolArray]:
    """Recordings of a channel, each from its start."""
    for length, number in zip(*(each.tolist() for each in np.unique(lengths, return_counts=True)), strict=True):
        together = max(1, _AT_ONCE // length)
        starts = channel.initial_states(rng.random(number))
        for states in np.split(starts, range(together, number, together)):
            received = np.empty((len(states), length), dtype=bool)
            for first in range(0, length, _AT_ONCE):
                part = received[:, first : first + _AT_ONCE]
                part[:], states = channel.receive_many(rng.random((*part.shape, 2)), states)
            yield from received

"""How well a channel fits: statistics of recordings beside those of the channel, with bands by simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.fitting.observed import WINDOW, Observed, observe
from netsim.channels.markov import MarkovChannel
from netsim.channels.traces.model import BoolArray

__all__ = ["COVERAGE", "Card", "Line", "goodness_card"]

Vector = NDArray[np.float64]

COVERAGE = 0.95
"""Of a band: share of simulated recordings inside it."""

_SIMULATIONS = 200
_FEWEST = 40
_PACKETS = 20_000_000  # simulated in all
_PACKETS_EACH = 500_000  # of one simulation; of more recorded packets the band is scaled
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
        shrink: Width of a band of the recordings over that of a simulation: below 1 where simulations are shorter.
    """

    channel: MarkovChannel
    recorded: Observed
    simulated: tuple[Observed, ...]
    shrink: float

    def band(self, of: str) -> tuple[Vector, Vector, Vector]:
        """Mean and band of a statistic over the simulations.

        Args:
            of: loss_rate, mean_burst, mean_gap, autocorrelation, loss_counts, bursts or gaps (the latter two: share at
                least so long).

        Returns:
            (mean, lower end, upper end), one value per lag, count or length.
        """
        values = np.array([_values(one, of) for one in self.simulated])
        mean = values.mean(axis=0)
        low, high = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0)
        return mean, mean + self.shrink * (low - mean), mean + self.shrink * (high - mean)

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
    return seen.longer(of) if of in ("bursts", "gaps") else np.atleast_1d(getattr(seen, of))


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
    shrink = 1.0
    if recorded.packets > _PACKETS_EACH:
        lengths = _shorter(lengths, _PACKETS_EACH)
        shrink = float(np.sqrt(lengths.sum() / recorded.packets))
    count = int(np.clip(_PACKETS // lengths.sum(), _FEWEST, _SIMULATIONS))
    simulated = tuple(observe(_simulated(channel, lengths, np.random.default_rng([seed, i]))) for i in range(count))
    return Card(channel, recorded, simulated, shrink)


def _shorter(lengths: NDArray[np.int64], packets: int) -> NDArray[np.int64]:
    """Recordings of the same kind with some ``packets`` packets: evenly chosen ones, or one that is cut."""
    if len(lengths) == 1:
        return np.array([packets])
    wanted = max(1, int(len(lengths) * packets / lengths.sum()))
    chosen = lengths[np.linspace(0, len(lengths) - 1, wanted).astype(int)]
    return np.minimum(chosen, packets)


def _simulated(channel: MarkovChannel, lengths: NDArray[np.int64], rng: np.random.Generator) -> list[BoolArray]:
    """Recordings of a channel, each from its start."""
    found: list[BoolArray] = []
    for length in np.unique(lengths).tolist():
        trials = int((lengths == length).sum())
        states = channel.initial_states(rng.random(trials))
        received, _ = channel.receive_many(rng.random((trials, length, 2)), states)
        found += list(received)
    return found

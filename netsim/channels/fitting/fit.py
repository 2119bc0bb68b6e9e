"""Fits families of channels to recordings and compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from netsim.channels.fitting.baum_welch import Parameters, log_likelihood, maximise
from netsim.channels.fitting.families import Family, family_names
from netsim.channels.fitting.runs import LossRuns
from netsim.channels.markov import MarkovChannel
from netsim.channels.traces.model import BoolArray

__all__ = ["Fit", "compare_families", "fit_family"]

_TRIAL_RUNS = 20_000  # of the recordings' beginning, on which starts are tried
_TRIAL_CYCLES = 25
_STARTS, _KEPT = 8, 2
_SPREAD = 0.05  # of the copies of a state that is split


@dataclass(frozen=True)
class Fit:
    """A family's channel of greatest likelihood.

    Attributes:
        family: The family.
        parameters: The channel's.
        log_likelihood: Of all recordings, in nats, each from the channel's stationary start.
        packets: Of all recordings.
        converged: Whether the maximisation ended by itself.
        history: Log-likelihood after each step of the last maximisation; it never falls.
        held_out_bits: Mean log2-likelihood per packet of recordings that the channel was not fitted to: each half of
            the recordings under the channel fitted to the other half. None where there was too little to split.
    """

    family: Family
    parameters: Parameters
    log_likelihood: float
    packets: int
    converged: bool
    history: tuple[float, ...] = ()
    held_out_bits: float | None = None

    @property
    def bic(self) -> float:
        """Bayesian information criterion: free · ln(packets) − 2 · log-likelihood; the least is best."""
        return self.family.free * float(np.log(self.packets)) - 2 * self.log_likelihood

    @property
    def channel(self) -> MarkovChannel:
        """The channel, named as its family."""
        return self.family.channel(self.parameters)


def fit_family(
    runs: LossRuns, family: Family, *, seed: int = 0, starts: int = _STARTS, near: Iterable[Parameters] = ()
) -> Fit:
    """The channel of a family under which recordings are likeliest.

    Starts are tried on the recordings' beginning; the best go on with all recordings. Like any maximisation of a
    likelihood with several maxima, it may miss the greatest; more starts make that less likely.

    Args:
        runs: The recordings.
        family: The family.
        seed: Of the random starts.
        starts: Number of starts.
        near: Further starts: channels that smaller families gave, as this family has them.

    Returns:
        The fit.
    """
    rng = np.random.default_rng([seed, len(family.states), family.free])
    if family.exact:
        candidates = list(islice(family.starts(runs, rng), 1))
    else:
        given = list(near)
        tried = [*given, *islice(family.starts(runs, rng), starts)]
        short = runs.beginning(_TRIAL_RUNS)
        found = [maximise(short, start, tolerance=0.1, cycles=_TRIAL_CYCLES) for start in tried]
        ranked = sorted(found, key=lambda one: -one.log_likelihood)[:_KEPT]
        candidates = [ranked[0].parameters]
        candidates += [one.parameters for one in ranked[1:] if not _alike(one.parameters, candidates[0])]
        if given and short is not runs:  # the best of smaller families, which knows all recordings
            candidates.append(max(given, key=lambda one: log_likelihood(runs, one)))
    ways = [maximise(runs, one) for one in candidates]
    best = max(ways, key=lambda one: one.log_likelihood)
    return Fit(family, best.parameters, best.log_likelihood, runs.packets, best.converged, best.history)


def _alike(one: Parameters, other: Parameters) -> bool:
    """Whether two channels lose nearly alike, whatever the order of their states."""
    first, second = (MarkovChannel("", each.transition, each.loss) for each in (one, other))
    counts, others = first.loss_count_probabilities(10), second.loss_count_probabilities(10)
    if not np.allclose(counts, others, rtol=0.05, atol=1e-3):
        return False
    return all(abs(first.autocorrelation(lag) - second.autocorrelation(lag)) < 0.01 for lag in (1, 2, 5, 20))


def compare_families(
    recordings: Iterable[BoolArray] | LossRuns,
    families: Sequence[str] | None = None,
    *,
    states: int = 3,
    seed: int = 0,
    starts: int = _STARTS,
    held_out: bool = True,
    on_fit: Callable[[Fit], None] | None = None,
) -> list[Fit]:
    """Fit several families, and order them by BIC.

    Args:
        recordings: Received, bool [n] each.
        families: Names; None: all.
        states: Most states of a general hidden Markov model.
        seed: Of the random starts.
        starts: Starts per family.
        held_out: Also fit halves of the recordings, and find how likely the other half is.
        on_fit: Called with each fit as it is done.

    Returns:
        The fits, the least BIC first.

    Raises:
        InputError: No packets, an unknown family, or too many states.
    """
    chosen = family_names(list(families) if families is not None else None, states)
    runs = recordings if isinstance(recordings, LossRuns) else LossRuns.of(recordings)
    halves = runs.split() if held_out else None
    fits: list[Fit] = []
    for family in chosen:
        fit = fit_family(runs, family, seed=seed, starts=starts, near=_near(family, fits))
        if halves is not None:
            fit = replace(fit, held_out_bits=_held_out(halves, family, fit))
        fits.append(fit)
        if on_fit is not None:
            on_fit(fit)
    return sorted(fits, key=lambda one: one.bic)


def _held_out(halves: tuple[LossRuns, LossRuns], family: Family, fit: Fit) -> float:
    """Both halves under the channel of the other one. Each maximisation starts at the channel of all recordings."""
    total = 0.0
    for ours, theirs in (halves, halves[::-1]):
        start = next(family.starts(ours, np.random.default_rng(0))) if family.exact else fit.parameters
        total += log_likelihood(theirs, maximise(ours, start).parameters)
    return total / np.log(2) / sum(half.packets for half in halves)


def _near(family: Family, fits: Sequence[Fit]) -> Iterator[Parameters]:
    """Channels of smaller families as this family has them: one of their states is split in two."""
    if not family.name.startswith("hmm-"):
        return
    size = len(family.states)
    for fit in fits:
        if fit.parameters.states == size:
            yield _opened(fit.parameters)
        elif fit.parameters.states == size - 1:
            for state in range(size - 1):
                yield _opened(_split(fit.parameters, state))


def _split(parameters: Parameters, state: int) -> Parameters:
    """The same channel with one more state, nearly a copy of ``state``."""
    transition, loss = parameters.transition, parameters.loss
    copied = np.vstack([transition, transition[state]])
    shared = copied[:, [state]] * np.array([0.5 + _SPREAD, 0.5 - _SPREAD])
    wide = np.hstack([copied, shared[:, 1:]])
    wide[:, state] = shared[:, 0]
    odds = np.append(loss, loss[state] + _SPREAD * (0.5 - loss[state]))
    return Parameters(wide, odds)


def _opened(parameters: Parameters) -> Parameters:
    """The same with no probability of exactly 0 or 1."""
    transition = parameters.transition + 1e-4
    return Parameters(transition / transition.sum(axis=1, keepdims=True), parameters.loss.clip(1e-4, 1 - 1e-4))

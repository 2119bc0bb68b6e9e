"""Families of channels to fit: which probabilities are free, and where a maximisation starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.fitting.baum_welch import Parameters
from netsim.channels.fitting.runs import LossRuns
from netsim.channels.markov import MarkovChannel
from netsim.errors import InputError, did_you_mean

__all__ = ["STATES_LIMIT", "Family", "families", "family_names"]

Vector = NDArray[np.float64]
Starts = Callable[[LossRuns, np.random.Generator], Iterator[Parameters]]

STATES_LIMIT = 8
"""Most states of a general hidden Markov model."""


@dataclass(frozen=True)
class Family:
    """A kind of channel.

    Attributes:
        name: bernoulli, gilbert, gilbert-elliott, three-state, hmm-3, hmm-4, …
        states: Names of its states.
        free: Number of free parameters.
        starts: From recordings to parameters to begin with, without end; probabilities of 0 and 1 stay.
        exact: The first start needs one step of EM at most: the states show in the outcomes.
    """

    name: str
    states: tuple[str, ...]
    free: int
    starts: Starts
    exact: bool = False

    def channel(self, parameters: Parameters, name: str = "") -> MarkovChannel:
        """The channel of some parameters.

        Args:
            parameters: Transition and loss probabilities, in any order of states.
            name: The channel's; empty: the family's.

        Returns:
            The channel, its states in the family's order.
        """
        order = _order(self, parameters)
        transition, loss = parameters.transition[np.ix_(order, order)], parameters.loss[order]
        return MarkovChannel(name or self.name, transition, loss, self.states)


def _order(family: Family, parameters: Parameters) -> list[int]:
    """Rising loss; of a three-state chain, G before I by how long the chain stays."""
    stays = np.diag(parameters.transition)
    if family.name == "three-state":
        return [0, 1, 2] if stays[0] >= stays[2] else [2, 1, 0]
    if family.name == "gilbert":
        return [0, 1]
    return sorted(range(parameters.states), key=lambda i: (parameters.loss[i], -stays[i]))


def _means(runs: LossRuns) -> tuple[float, float, float]:
    """Loss rate, mean burst and mean gap; the latter two at least 1."""
    lengths, lost = runs.run_lengths, runs.symbols == 1
    burst = float(lengths[lost].mean()) if lost.any() else 1.0
    gap = float(lengths[~lost].mean()) if (~lost).any() else 1.0
    return runs.packets_lost / runs.packets, burst, gap


def _inner(p: float) -> float:
    """A probability that is neither 0 nor 1: an impossible transition never becomes possible."""
    return float(np.clip(p, 1e-9, 1 - 1e-9))


def _two_states(p: float, r: float, loss_good: float, loss_bad: float) -> Parameters:
    p, r = _inner(p), _inner(r)
    return Parameters(np.array([[1 - p, p], [r, 1 - r]]), np.array([loss_good, loss_bad]))


def _bernoulli(runs: LossRuns, rng: np.random.Generator) -> Iterator[Parameters]:
    while True:
        yield Parameters(np.eye(1), np.array([runs.packets_lost / runs.packets]))


def _gilbert(runs: LossRuns, rng: np.random.Generator) -> Iterator[Parameters]:
    """States are outcomes: transitions counted inside recordings."""
    lost = runs.symbols == 1
    inside = np.ones(len(lost), dtype=bool)
    inside[runs.starts[1:] - 1] = False  # what follows a recording's last run is unknown
    lengths = runs.run_lengths
    leaves = [
        float((inside & which).sum() / max(1, (lengths[which] - ~inside[which]).sum())) for which in (~lost, lost)
    ]
    while True:
        yield _two_states(leaves[0], leaves[1], 0.0, 1.0)


def _gilbert_elliott(runs: LossRuns, rng: np.random.Generator) -> Iterator[Parameters]:
    rate, burst, _ = _means(runs)
    first = next(_gilbert(runs, rng))
    yield Parameters(first.transition, np.array([_inner(0.05 * rate), 0.95]))
    yield _two_states(0.5, 0.9, _inner(rate / 2), _inner(min(1.0, 1.5 * rate)))
    while True:
        stay = np.exp(rng.uniform(0, np.log(20 * burst)))
        share = rng.uniform(0.05, 0.6)
        loss_bad = rng.uniform(rate, 1)
        loss_good = _inner(rate * rng.uniform(0, 0.9))
        leave = 1 / max(1.02, stay)
        yield _two_states(min(0.95, leave * share / (1 - share)), leave, loss_good, _inner(loss_bad))


def _three_state(runs: LossRuns, rng: np.random.Generator) -> Iterator[Parameters]:
    _, burst, gap = _means(runs)
    leave = _inner(1 / max(burst, 1.001))
    while True:
        share = rng.uniform(0.1, 0.9)  # of bursts that end in I
        short = np.exp(rng.uniform(0, np.log(max(gap, 1.1))))
        long = max(1.02, (gap - share * short) / (1 - share))
        good, between = _inner(1 / long), _inner(1 / max(short, 1.02))
        rows = [[1 - good, good, 0.0], [leave * (1 - share), 1 - leave, leave * share], [0.0, between, 1 - between]]
        yield Parameters(np.array(rows), np.array([0.0, 1.0, 0.0]))


def _hidden(states: int) -> Starts:
    def starts(runs: LossRuns, rng: np.random.Generator) -> Iterator[Parameters]:
        rate, _, gap = _means(runs)
        longest = np.log(max(20.0, 4 * gap))
        while True:
            stays = 1 - 1 / np.exp(rng.uniform(0.05, longest, states))
            transition = rng.dirichlet(np.ones(states), states) * (1 - stays)[:, None] + np.diag(stays)
            loss = np.sort(rng.beta(0.5, 0.5, states)).clip(1e-4, 1 - 1e-4)
            loss[0] = min(loss[0], _inner(rate))
            yield Parameters(transition, loss)

    return starts


def families(states: int = 3) -> tuple[Family, ...]:
    """All families, smaller ones first.

    Args:
        states: Most states of a general hidden Markov model; from 3.

    Returns:
        Bernoulli, Gilbert, Gilbert–Elliott, three states, and hidden Markov models of 3 to ``states`` states. (One of
        two states is Gilbert–Elliott.)

    Raises:
        InputError: ``states`` is out of range.

    >>> [(family.name, family.free) for family in families()]
    [('bernoulli', 1), ('gilbert', 2), ('gilbert-elliott', 4), ('three-state', 4), ('hmm-3', 9)]
    """
    if not 3 <= states <= STATES_LIMIT:
        raise InputError(f"{states} states", hint=f"from 3 to {STATES_LIMIT}", key=("states",))
    general = [Family(f"hmm-{n}", tuple(f"S{i}" for i in range(n)), n * n, _hidden(n)) for n in range(3, states + 1)]
    return (
        Family("bernoulli", ("G",), 1, _bernoulli, exact=True),
        Family("gilbert", ("G", "B"), 2, _gilbert, exact=True),
        Family("gilbert-elliott", ("G", "B"), 4, _gilbert_elliott),
        Family("three-state", ("G", "B", "I"), 4, _three_state),
        *general,
    )


def family_names(names: list[str] | None, states: int = 3) -> tuple[Family, ...]:
    """Families by name.

    Args:
        names: Families; None: all.
        states: Most states of a hidden Markov model.

    Returns:
        Families, each once, in the order of the names.

    Raises:
        InputError: An unknown name.
    """
    known = {family.name: family for family in families(max(states, *_states_in(names)))}
    if names is None:
        return tuple(known.values())
    for name in names:
        if name not in known:
            raise InputError(f"no family `{name}`", hint=did_you_mean(name, known), key=("family",))
    return tuple(known[name] for name in dict.fromkeys(names))


def _states_in(names: list[str] | None) -> list[int]:
    numbers = [name.removeprefix("hmm-") for name in names or [] if name.startswith("hmm-")]
    return [
        3,
        *(int(number) for number in numbers if re.fullmatch(r"[0-9]{1,2}", number) and int(number) <= STATES_LIMIT),
    ]

"""Closed forms of a hidden Markov loss channel, as pure functions of its matrices.

Everywhere: ``transition`` float64 [S, S] with rows that sum to one, ``loss`` float64 [S], the probability
that a packet is lost in each state, and ``start`` float64 [S], the distribution of the state *before* the
first packet (the chain steps, then the packet is drawn). Masks: True (1) = received.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = [
    "MASK_PACKETS_LIMIT",
    "autocorrelation",
    "burst_length_probabilities",
    "closed_classes",
    "loss_count_probabilities",
    "loss_rate",
    "mask_probabilities",
    "mean_burst",
    "stationary",
    "transition_after",
]

Vector = NDArray[np.float64]

MASK_PACKETS_LIMIT = 24  # 2**24 probabilities take 128 MiB, and the recursion some 500 MiB


def closed_classes(transition: Vector) -> list[list[int]]:
    """The sets of states that the chain never leaves once it is in them, as sorted index lists.

    Args:
        transition: float64 [S, S], rows that sum to one.

    Returns:
        One list of states for each set.

    >>> closed_classes(np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.0, 0.2, 0.8]]))
    [[0, 1]]
    """
    size = len(transition)
    reach = (transition > 0) | np.eye(size, dtype=bool)
    for _ in range(max(1, size.bit_length())):  # each squaring doubles the path length looked at
        reach = reach @ reach
    classes = {tuple(np.flatnonzero(reach[i] & reach[:, i]).tolist()) for i in range(size)}
    return sorted([list(c) for c in classes if reach[c[0]].sum() == len(c)])


def stationary(transition: Vector, states: Sequence[str] | None = None) -> Vector:
    """The stationary distribution, float64 [S]; states that the chain leaves for ever get exactly zero.

    Grassmann–Taksar–Heyman elimination, which subtracts nothing and so is accurate to the last digits.

    Args:
        transition: float64 [S, S].
        states: Names for the error.

    Returns:
        float64 [S].

    Raises:
        InputError: There are several stationary distributions, or a probability is too small to compute one.

    >>> stationary(np.array([[0.9, 0.1], [0.3, 0.7]]))
    array([0.75, 0.25])
    """
    classes = closed_classes(transition)
    if len(classes) > 1:
        labels = [", ".join(states[i] if states else str(i) for i in members) for members in classes]
        raise InputError(
            "the chain has no single stationary distribution: it never leaves "
            + " nor ".join(f"{{{x}}}" for x in labels),
            hint="let the chain return from every state, or give `start:` a state",
        )
    members = np.array(classes[0])
    p = transition[np.ix_(members, members)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(len(p) - 1, 0, -1):
            p[:n, n] /= p[n, :n].sum()
            p[:n, :n] += np.outer(p[:n, n], p[n, :n])
        weights = np.ones(len(p))
        for n in range(1, len(p)):
            weights[n] = weights[:n] @ p[:n, n]
        result = np.zeros(len(transition))
        result[members] = weights / weights.sum()
    if not np.isfinite(result).all():
        least = transition[transition > 0].min()
        raise InputError(
            f"a transition probability of {least:g} is too small to compute with", hint="a larger probability, or 0"
        )
    return result


def transition_after(transition: Vector, steps: int) -> Vector:
    """Probabilities of going from state to state in a number of steps.

    Rows are scaled to sum to one: rounding lets those of a bare power drift, by a factor of 10³⁰ after 10¹⁸ steps.

    Args:
        transition: float64 [S, S], rows that sum to one.
        steps: Number of steps, 0 or more.

    Returns:
        float64 [S, S].

    >>> transition_after(np.array([[0.5, 0.5], [0.25, 0.75]]), 2)
    array([[0.375 , 0.625 ],
           [0.3125, 0.6875]])
    """
    power = np.linalg.matrix_power(transition, steps)
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def loss_rate(transition: Vector, loss: Vector) -> float:
    """Long-run share of packets lost (ε): the stationary distribution times the loss probabilities.

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.

    Returns:
        A share from 0 to 1.

    Raises:
        InputError: The chain has no single stationary distribution.

    >>> loss_rate(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.0, 1.0]))
    0.25
    """
    return float(stationary(transition) @ loss)


def mean_burst(transition: Vector, loss: Vector) -> float:
    """Mean length of a run of consecutive losses (γ), in packets, in stationarity.

    P(lost) / P(received, then lost). 0 if nothing is ever lost, infinity if losses never end.

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.

    Returns:
        Packets.

    Raises:
        InputError: The chain has no single stationary distribution.

    >>> round(mean_burst(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.0, 1.0])), 12)
    3.333333333333
    """
    pi = stationary(transition)
    lost = float(pi @ loss)
    begins = float((pi * (1 - loss)) @ transition @ loss)
    if lost == 0:
        return 0.0
    return lost / begins if begins > 0 else float("inf")


def autocorrelation(transition: Vector, loss: Vector, lag: int) -> float:
    """Correlation of the loss of two packets ``lag`` apart, in stationarity; 1 at lag 0.

    0 at other lags where nothing or everything is lost (no variance).

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.
        lag: Packets, 0 or more.

    Returns:
        A correlation from -1 to 1.

    Raises:
        InputError: ``lag`` < 0.

    >>> round(autocorrelation(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.0, 1.0]), 2), 12)  # (1 - .1 - .3)**2
    0.36
    """
    if lag < 0:
        raise InputError(f"lag {lag} is negative", hint="a lag is a number of packets, 0 or more")
    if lag == 0:
        return 1.0
    pi = stationary(transition)
    rate = float(pi @ loss)
    variance = rate * (1 - rate)
    if variance <= 0:
        return 0.0
    # sum of (loss - rate) products: the mean is taken out first, so that long lags decay to zero cleanly
    centred = loss - rate
    joint = float((pi * centred) @ transition_after(transition, lag) @ centred)
    return joint / variance


def loss_count_probabilities(transition: Vector, loss: Vector, start: Vector, packets: int) -> Vector:
    """Distribution of the number of packets lost among the first ``packets`` after ``start``.

    Forward recursion over (losses so far, state): exact, O(packets² · S²).

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.
        start: float64 [S], distribution of the state before the first packet.
        packets: Length of the window, at least 1.

    Returns:
        float64 [packets + 1], P(k lost) at index k; it sums to 1.

    Raises:
        InputError: ``packets`` < 1.

    >>> loss_count_probabilities(np.array([[1.0]]), np.array([0.5]), np.array([1.0]), 2)
    array([0.25, 0.5 , 0.25])
    """
    _check_packets(packets)
    table = np.zeros((packets + 1, len(start)))
    table[0] = start
    for sent in range(packets):
        stepped = table[: sent + 1] @ transition
        table[: sent + 1] = stepped * (1 - loss)
        table[1 : sent + 2] += stepped * loss
    return np.asarray(table.sum(axis=1))


def mask_probabilities(transition: Vector, loss: Vector, start: Vector, packets: int) -> Vector:
    """Probability of every loss mask of the first ``packets`` after ``start``.

    Forward recursion over (mask so far, state): exact, O(2^packets · S²).

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.
        start: float64 [S], distribution of the state before the first packet.
        packets: Length of the window, 1 to ``MASK_PACKETS_LIMIT``.

    Returns:
        float64 [2**packets]; bit j of the index is set where packet j is received (index 0: all lost). It sums to 1.

    Raises:
        InputError: ``packets`` < 1 or above MASK_PACKETS_LIMIT.

    >>> mask_probabilities(np.array([[1.0]]), np.array([0.25]), np.array([1.0]), 2)
    array([0.0625, 0.1875, 0.1875, 0.5625])
    """
    _check_packets(packets)
    if packets > MASK_PACKETS_LIMIT:
        raise InputError(
            f"{packets} packets have 2^{packets} masks",
            hint=f"at most {MASK_PACKETS_LIMIT}; the loss count has no limit",
        )
    table = np.asarray(start, dtype=np.float64)[None, :]
    for _ in range(packets - 1):
        stepped = table @ transition
        table = np.concatenate([stepped * loss, stepped * (1 - loss)])
    stepped = table @ transition
    return np.concatenate([stepped @ loss, stepped @ (1 - loss)])


def burst_length_probabilities(transition: Vector, loss: Vector, longest: int) -> Vector:
    """Law of the length of a run of losses, in stationarity.

    Args:
        transition: float64 [S, S], rows that sum to one.
        loss: float64 [S], probability that a packet is lost in each state.
        longest: Longest run, in packets, at least 1.

    Returns:
        float64 [longest + 1], P(a run is k packets long) at index k (index 0 is 0); what is missing to one belongs to
        longer runs. All zero if no run ever begins.

    Raises:
        InputError: ``longest`` < 1.

    >>> burst_length_probabilities(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0.0, 1.0]), 3)
    array([0.   , 0.5  , 0.25 , 0.125])
    """
    _check_packets(longest)
    result = np.zeros(longest + 1)
    lost = ((stationary(transition) * (1 - loss)) @ transition) * loss  # state at the first loss of a run
    if lost.sum() <= 0:
        return result
    lost = lost / lost.sum()
    for length in range(1, longest + 1):
        stepped = lost @ transition
        result[length] = stepped @ (1 - loss)
        lost = stepped * loss
    return result


def _check_packets(packets: int) -> None:
    if packets < 1:
        raise InputError(f"{packets} packets", hint="a window holds at least one packet")

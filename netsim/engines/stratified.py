"""Long streams: masks drawn by loss count, with the exact probability of each count.

Where there are too many masks to take them all, plain sampling spends nearly all draws on the same few loss counts
and misses the rare heavy ones. Here every count that matters (a stratum) gets draws in proportion to its
probability, at least two, and each draw carries probability / draws as its weight. The counts' probabilities
are exact, so only the spread *inside* a count is left to chance.

Within a stratum masks are drawn from the chain given its count, exactly: with
B_t[s, k] = P(k losses in packets t … n−1 | state s before packet t), the next state and loss are drawn with
probability ∝ P[s, s'] · P(loss | s') · B_{t+1}[s', k − loss].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.engines.batch import SlotBatch, settled
from netsim.engines.event import Offer
from netsim.engines.exact import ChainSlot, chain_slots
from netsim.links.profile import LinkProfile
from netsim.streams import Streams

__all__ = ["allocation", "masks_with_count", "simulate_strata"]

Vector = NDArray[np.float64]

_IGNORED = 1e-7  # probability of all counts together that get no draw; stated as unresolved
_LEAST_DRAWS = 2  # a spread needs two


def simulate_strata(
    slots: int, offer: Callable[[int], Offer], channel: Channel, link: LinkProfile, streams: Streams, draws: int
) -> Iterator[SlotBatch]:
    """About ``draws`` weighted outcomes of each slot; a batch's weights sum to 1 less what is not covered.

    offer(slot): what the slot sends. Slots are drawn independently of each other, each from its own distribution.
    Raises InputError where the channel is no Markov chain or lateness is random.
    """
    for slot in chain_slots(slots, offer, channel, link):
        tables = slot.count_probabilities()
        probability = slot.start @ tables[0]
        counts, sizes, rest = allocation(probability, draws)
        rng = streams.at(0, slot.plan.slot)
        masks = masks_with_count(slot, tables, np.repeat(counts, sizes), rng)
        weight = np.repeat(probability[counts] / sizes, sizes)
        yield settled(slot.plan, slot.lost(masks), slot.plan.arrival_s, np.arange(len(masks)), weight, rest)


def allocation(probability: Vector, draws: int) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """(counts that get draws, how many each, probability of the others).

    >>> allocation(np.array([0.7, 0.2, 0.1 - 1e-8, 1e-8]), 10)[1]
    array([7, 2, 2])
    """
    order = np.argsort(probability, kind="stable")
    ignored = order[np.cumsum(probability[order]) <= _IGNORED]
    counts = np.setdiff1d(np.arange(len(probability)), ignored)
    sizes = np.maximum(np.rint(draws * probability[counts]).astype(np.int64), _LEAST_DRAWS)
    return counts, sizes, float(probability[ignored].sum())


def masks_with_count(
    slot: ChainSlot, tables: list[Vector], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """One mask per entry of ``counts``, drawn from the chain given that so many packets are lost: bool [m, n].

    tables: the slot's ``count_probabilities``.
    """
    powers, loss, start = slot.powers, slot.channel.loss, slot.start
    left = counts.copy()
    state = _drawn((start[None, :] * tables[0][:, counts].T), rng.random(len(counts)))
    received = np.ones((len(counts), len(powers)), dtype=bool)
    states = len(loss)
    for t, power in enumerate(powers):
        after = tables[t + 1].T  # [n + 1, S]
        arrives = power[state] * (1 - loss) * after[left]
        goes = power[state] * loss * np.where(left[:, None] > 0, after[np.maximum(left - 1, 0)], 0.0)
        choice = _drawn(np.concatenate([arrives, goes], axis=1), rng.random(len(counts)))
        lost, state = choice >= states, choice % states
        received[:, t] = ~lost
        left -= lost
    return received


def _drawn(weights: Vector, uniforms: Vector) -> NDArray[np.int64]:
    """An index per row, drawn in proportion to the row's weights."""
    cumulative = np.cumsum(weights, axis=1)
    return np.asarray((uniforms[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1))

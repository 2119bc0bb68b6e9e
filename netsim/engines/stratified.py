"""Weighted sampling for schemes with too many usable masks to decode all of them.

An outcome is a usable mask: the packets that the decoder can use. ``usable`` is cheap and decoding is not, so the
probabilities of all outcomes are computed before any is decoded:

- up to ``ALL_MASKS_PACKETS`` packets at risk: exactly, from all masks;
- beyond: from ``DRAWN_MASKS`` independent draws of the chain.

Then a slot's ``draws`` decodings are allocated as sampling theory recommends (Särndal, Swensson, Wretman, "Model
Assisted Survey Sampling", §3.6). Outcomes so likely that proportional sampling would take them anyway are taken with
certainty, each with its own probability; failed outcomes need no decoding and are certain, too. The others are sampled
in proportion to their probability, in independent replicates. A replicate draws once from each part of equal
probability, with outcomes ordered by the number of usable packets, then by which: so each replicate contains light and
heavy losses in their true shares. The replicates' weights are calibrated so that their mean number of usable packets
is the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.engines.exact import ALL_MASKS_PACKETS, ChainSlot, chain_slots, slot_table
from netsim.engines.outcomes import SlotOutcomes
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.links.profile import LinkProfile
from netsim.streams import Streams

__all__ = ["DRAWN_MASKS", "Selection", "drawn_masks", "select", "simulate_strata"]

BoolArray = NDArray[np.bool_]
Vector = NDArray[np.float64]
Usable = Callable[[int, BoolArray], BoolArray]

DRAWN_MASKS = 1 << 14
"""Masks drawn to estimate the outcomes' probabilities where there are too many packets to take all masks."""

_LEAST_DECODINGS = 60  # with fewer, the sampled part is so skewed that no interval from it is valid
_LEAST_DRAWS = 20  # of the outcomes that are not certain
_REPLICATES = 20  # at most: the interval has one degree of freedom less in each slot


def simulate_strata(
    slots: int,
    burst: Callable[[int], PacketBurst],
    channel: Channel,
    link: LinkProfile,
    streams: Streams,
    draws: int,
    usable: Usable = lambda slot, received: received,
) -> Iterator[SlotOutcomes]:
    """Weighted outcomes of each slot; about ``draws`` of them need decoding.

    A slot's weights sum to 1. ``trials`` is 0 for outcomes taken with their own probability and 1, 2, … for the
    replicates; ``drawn`` is the number of masks that the probabilities were estimated from, 0 where they are exact.

    Args:
        slots: Slots of a trial; each is sampled independently of the others, from its own distribution.
        burst: What a slot sends.
        channel: A Markov channel.
        link: Its lateness and drops must not be random.
        streams: Randomness of this scheme in this channel.
        draws: Decodings a slot; fewer than 60 count as 60.
        usable: Slot and received masks (bool [m, packets sent]) to usable masks (bool [m, k]); a mask without any
            usable packet failed. Default: what is received is usable.

    Raises:
        InputError: The channel is no Markov chain or lateness is random.
    """
    for slot in chain_slots(slots, burst, channel, link):
        rng = streams.at(0, slot.schedule.slot)
        if len(slot.at_risk) <= ALL_MASKS_PACKETS:
            table, drawn = slot_table(slot, coverage=1.0), 0
            masks, probability = table.masks, table.probability
        else:
            masks, drawn = drawn_masks(slot, DRAWN_MASKS, rng), DRAWN_MASKS
            probability = np.full(drawn, 1 / drawn)
        whole = slot.outcomes(masks, np.zeros(len(masks), np.int64), probability)
        selection = select(usable(slot.schedule.slot, whole.outcome == DELIVERED), probability, draws, rng)
        yield _only(whole, selection, drawn)


@dataclass(frozen=True)
class Selection:
    """The masks of a sample.

    Attributes:
        index: int64 [r], a mask's number.
        weight: float64 [r], summing to 1.
        replicate: int64 [r], 0 for masks taken with their own probability, else the replicate from 1.
    """

    index: NDArray[np.int64]
    weight: Vector
    replicate: NDArray[np.int64]


def select(usable: BoolArray, probability: Vector, draws: int, rng: np.random.Generator) -> Selection:
    """Choose the masks to decode, as the module's docstring says.

    Args:
        usable: bool [m, k], the usable packets of each mask.
        probability: float64 [m], summing to 1.
        draws: Number of decodings; fewer than 60 count as 60.
        rng: Draws the replicates.
    """
    draws = max(draws, _LEAST_DECODINGS)
    outcomes, outcome = _distinct(usable)
    likelihood = np.bincount(outcome, probability, len(outcomes))
    packets = outcomes.sum(axis=1)
    shown = np.flatnonzero(packets > 0)
    likeliest = shown[np.argsort(-likelihood[shown], kind="stable")]
    certain = packets == 0
    certain[likeliest[: _certain(likelihood[likeliest], draws)]] = True
    known = np.flatnonzero(certain[outcome])
    left = np.flatnonzero(~certain[outcome])
    if not len(left):
        return Selection(known, probability[known], np.zeros(len(known), dtype=np.int64))
    left = left[np.lexsort((left, outcome[left], packets[outcome[left]]))]
    cumulative = np.cumsum(probability[left])
    budget = max(draws - int(np.count_nonzero(certain & (packets > 0))), _LEAST_DRAWS)
    replicates = min(_REPLICATES, budget)
    each = budget // replicates
    place = (np.arange(each) + rng.random((replicates, each))) / each * cumulative[-1]
    drawn = left[np.minimum(np.searchsorted(cumulative, place.reshape(-1), side="right"), len(left) - 1)]
    size = packets[outcome[left]]
    share = _calibrated(
        packets[outcome[drawn]].reshape(replicates, each).mean(axis=1),
        float((probability[left] * size).sum()) / cumulative[-1],
    )
    return Selection(
        np.concatenate([known, drawn]),
        np.concatenate([probability[known], np.repeat(cumulative[-1] * share / each, each)]),
        np.concatenate([np.zeros(len(known), dtype=np.int64), np.repeat(np.arange(1, replicates + 1), each)]),
    )


def _distinct(usable: BoolArray) -> tuple[BoolArray, NDArray[np.int64]]:
    """The distinct rows in lexicographic order, and the number of each row's; on packed bits, which sort faster."""
    packed = np.packbits(usable, axis=1)
    words = np.zeros((len(packed), -(-max(packed.shape[1], 1) // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    numbers = words.view(">u8").astype(np.uint64)
    alone = numbers.shape[1] == 1
    _, first, which = np.unique(
        numbers[:, 0] if alone else numbers, axis=None if alone else 0, return_index=True, return_inverse=True
    )
    return usable[first], which.reshape(-1)


def _calibrated(usable: Vector, mean: float) -> Vector:
    """Shares of the replicates, summing to 1, with which their mean number of usable packets is the known mean.

    Equal shares with a linear correction (Deville and Särndal, "Calibration estimators in survey sampling", 1992), as
    much of it as leaves every share above a tenth of an equal one.

    >>> _calibrated(np.array([4.0, 6.0]), 5.5)
    array([0.25, 0.75])
    """
    off = usable - usable.mean()
    squares = float((off**2).sum())
    if squares == 0:
        return np.full(len(usable), 1 / len(usable))
    change = (mean - usable.mean()) * off * len(usable) / squares
    worst = float(change.min())
    return np.asarray((1 + change * min(1.0, -0.9 / worst if worst < 0 else 1.0)) / len(usable))


def _certain(likelihood: Vector, draws: int) -> int:
    """Number of the likeliest outcomes that are taken with certainty; ``likelihood`` falls.

    An outcome is certain while its probability is at least the average that a remaining draw stands for.

    >>> _certain(np.array([0.7, 0.2, 0.04, 0.03, 0.03]), 4), _certain(np.array([0.5, 0.5]), 2)
    (2, 2)
    """
    if len(likelihood) <= draws:
        return len(likelihood)
    rest = likelihood[::-1].cumsum()[::-1]
    for taken in range(draws):
        if likelihood[taken] * (draws - taken) < rest[taken]:
            return taken
    return draws


def drawn_masks(slot: ChainSlot, count: int, rng: np.random.Generator) -> BoolArray:
    """Masks of the packets at risk, drawn from the chain: bool [count, n], True = received."""
    state = _drawn(np.broadcast_to(slot.start, (count, len(slot.start))), rng.random(count))
    received = np.empty((count, len(slot.powers)), dtype=bool)
    for packet, power in enumerate(slot.powers):
        state = _drawn(power[state], rng.random(count))
        received[:, packet] = rng.random(count) >= slot.channel.loss[state]
    return received


def _drawn(weights: Vector, uniforms: Vector) -> NDArray[np.int64]:
    """An index per row, drawn in proportion to the row's weights."""
    cumulative = np.cumsum(weights, axis=1)
    index = (uniforms[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    return np.asarray(np.minimum(index, weights.shape[1] - 1))


def _only(whole: SlotOutcomes, selection: Selection, drawn: int) -> SlotOutcomes:
    """The outcomes of the selected masks."""
    index = selection.index
    return replace(
        whole,
        trials=selection.replicate,
        weight=selection.weight,
        start_s=whole.start_s[index],
        end_s=whole.end_s[index],
        sent_s=whole.sent_s[index],
        arrival_s=whole.arrival_s[index],
        outcome=whole.outcome[index],
        drawn=drawn,
    )

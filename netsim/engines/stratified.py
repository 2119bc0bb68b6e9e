"""Weighted sampling for schemes with too many usable masks to decode all of them.

An outcome is a usable mask: the packets that the decoder can use. ``usable`` is cheap and decoding is not, so the
probabilities of all outcomes are computed before any is decoded:

- up to ``ALL_MASKS_PACKETS`` packets at risk: exactly, from all masks;
- beyond: from ``DRAWN_MASKS`` independent draws of each channel's chain, with each mask's own probability (the balance
  heuristic: Veach and Guibas, "Optimally combining sampling techniques", SIGGRAPH 1995).

One sample of masks serves all channels of a scheme, so that each is decoded once for all of them. A slot's ``draws``
decodings are allocated in proportion to a mask's size: its probability over each channel, given that a packet is lost,
averaged over the channels, so that channels with few losses have their share of the sample; times one more than the
number of packets that it lacks, since quality is harder to predict where more is missing. Outcomes so large that
proportional sampling would take them anyway are taken with certainty; failed outcomes need no decoding and are certain,
too (Särndal, Swensson, Wretman, "Model Assisted Survey Sampling", §3.6). The others are sampled in independent
replicates. A replicate draws once from each part of equal size, with outcomes ordered by the number of usable packets,
then by which.

The mean is a cross-fitted difference estimator (ibid., §6.3). For each replicate, a surrogate of the quality
(``netsim.statistics.surrogate``) is fitted to all decoded outcomes outside the replicate. Its expectation over all
masks is known; the replicate estimates the expectation of the surrogate's error. The estimate is the average over
replicates. It is unbiased for any surrogate, and linear in the qualities, so it is written as weights, which may be
negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.engines.exact import ALL_MASKS_PACKETS, ChainSlot, all_masks, chain_slots
from netsim.engines.outcomes import SlotOutcomes
from netsim.errors import InputError
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile
from netsim.statistics.surrogate import features, fold
from netsim.streams import Streams

__all__ = [
    "DRAWN_MASKS",
    "LEAST_DECODINGS",
    "MOST_PACKETS",
    "Selection",
    "drawn_masks",
    "estimator_weights",
    "given_a_loss",
    "select",
    "simulate_strata",
]

BoolArray = NDArray[np.bool_]
Integers = NDArray[np.int64]
Vector = NDArray[np.float64]
Usable = Callable[[int, BoolArray], BoolArray]

DRAWN_MASKS = 1 << 14
"""Masks drawn per channel where there are too many packets to take all masks."""

MOST_PACKETS = 1000
"""Packets of a slot that can be lost: the surrogate has two coefficients for each, and is fitted in their square."""

LEAST_DECODINGS = 60  # with fewer, the sampled part is so skewed that no interval from it is valid
_LEAST_DRAWS = 20  # of the outcomes that are not certain
_FEATURES_LIMIT = 1 << 22  # numbers at a time; all masks of 16 packets are one block
_REPLICATES = 10  # the interval has one degree of freedom less in each slot


def simulate_strata(
    slots: int,
    burst: Callable[[int], PacketBurst],
    channels: Sequence[Channel],
    which: int,
    link: LinkProfile,
    streams: Streams,
    draws: int,
    usable: Usable = lambda slot, received: received,
) -> Iterator[SlotOutcomes]:
    """Weighted outcomes of each slot over one of several channels; about ``draws`` of them need decoding.

    The outcomes are the same for each of the channels, their weights differ. A slot's weights sum to 1. ``trials`` is 0
    for outcomes taken with certainty and 1, 2, … for the replicates; ``drawn`` is the number of independent masks that
    the probabilities were estimated from, 0 where they are exact.

    Args:
        slots: Slots of a trial; each is sampled independently of the others, from its own distribution.
        burst: What a slot sends.
        channels: Markov channels that share the decodings.
        which: The channel whose weights are wanted.
        link: Its lateness and drops must not be random.
        streams: Randomness of this scheme, the same for each of the channels.
        draws: Decodings a slot, for all channels together; fewer than 60 count as 60.
        usable: Slot and received masks (bool [m, packets sent]) to usable masks (bool [m, k]); a mask without any
            usable packet failed. Default: all received packets are usable.

    Yields:
        The outcomes of one slot.

    Raises:
        InputError: A channel is not a Markov chain, lateness is random, or too many packets can be lost.
    """
    for slot in zip(*(chain_slots(slots, burst, channel, link) for channel in channels), strict=True):
        number = slot[0].schedule.slot
        rng = streams.at(0, number)
        if len(slot[0].at_risk) > MOST_PACKETS:
            message = f"{len(slot[0].at_risk):,} packets of a slot can be lost: too many for the stratified engine"
            raise InputError(message, hint=f"at most {MOST_PACKETS:,}; engine: auto, array or event samples them")
        masks, probability, drawn = _masks(slot, rng)
        of_masks = usable(number, slot[0].received(masks))
        sample = select(of_masks, given_a_loss(masks, probability), draws, rng)
        design = sample.design_weight(probability[which])
        left = ~sample.certain & of_masks.any(axis=1)
        mean = _mean_features(of_masks[left], probability[which, left])
        weight = estimator_weights(of_masks[sample.index], sample.replicate, design, mean)
        outcomes = slot[0].outcomes(masks[sample.index], sample.replicate, weight)
        independent = _independent(of_masks, probability[which]) if drawn else 0
        yield replace(outcomes, design_weight=design, drawn=independent)


def _independent(usable: BoolArray, probability: Vector) -> int:
    """How many independent masks of one channel tell as much as those drawn for all channels.

    1 / Σ p² would be right only for what is independent of the weights p. Where one channel alone fails, its failing
    masks have the greatest weights. So the share of failures, and the number of usable packets, which stands for the
    quality, are taken as they are: the variance of their weighted means is Σ p²·(x - mean)². The less counts. It is at
    least ``DRAWN_MASKS`` but for rounding, since no weight is above 1 / ``DRAWN_MASKS`` by much.

    Args:
        usable: bool [m, k], the usable packets of each drawn mask.
        probability: float64 [m], their weights over the channel, summing to 1.
    """
    packets = usable.sum(axis=1)
    found = float(1 / (probability**2).sum())
    for x in (packets > 0, packets):
        apart = (x - probability @ x) ** 2
        spread, variance = float(probability @ apart), float(probability**2 @ apart)
        found = min(found, spread / variance if variance > 0 else float(DRAWN_MASKS))
    return round(found)


def _mean_features(usable: BoolArray, probability: Vector) -> Vector:
    """The masks' features, weighted by probability: block by block, since features take 16 bytes a packet."""
    rows = max(_FEATURES_LIMIT // (1 + 2 * usable.shape[1]), 1)
    blocks = [slice(first, first + rows) for first in range(0, max(len(usable), 1), rows)]
    found = [probability[block] @ features(usable[block]) for block in blocks]
    return np.asarray(found[0] if len(found) == 1 else np.sum(found, axis=0))


def _masks(slot: Sequence[ChainSlot], rng: np.random.Generator) -> tuple[BoolArray, Vector, bool]:
    """The masks of a slot's packets at risk, their probabilities over each channel, and whether they were drawn.

    Returns:
        bool [m, n]; float64 [channels, m], each row summing to 1; whether they were drawn.
    """
    drawn = len(slot[0].at_risk) > ALL_MASKS_PACKETS
    if not drawn:
        masks = all_masks(len(slot[0].at_risk))
        probability = np.stack([one.mask_probabilities(masks) for one in slot])
    else:
        masks = np.concatenate([drawn_masks(one, DRAWN_MASKS, rng) for one in slot])
        of_chain = np.stack([one.mask_probabilities(masks) for one in slot])
        probability = of_chain / of_chain.mean(axis=0)
        probability /= probability.sum(axis=1, keepdims=True)
    possible = probability.any(axis=0)
    return masks[possible], probability[:, possible], drawn


def given_a_loss(masks: BoolArray, probability: Vector) -> Vector:
    """The channels' mean probability of each mask, given that a packet is lost; up to a factor.

    Args:
        masks: bool [m, n], True = received.
        probability: float64 [channels, m]; of a channel that loses nothing, it counts as it is.

    Returns:
        float64 [m], above 0 where a channel's probability is.
    """
    loss = probability[:, ~masks.all(axis=1)].sum(axis=1, keepdims=True)
    return np.asarray((probability / np.where(loss > 0, loss, 1)).mean(axis=0))


@dataclass(frozen=True)
class Selection:
    """The masks of a sample of r.

    Attributes:
        index: int64 [r], a mask's number.
        replicate: int64 [r], 0 for masks taken with certainty, else the replicate from 1.
        expansion: float64 [r], 1 for masks taken with certainty, else 1 / (how often a replicate draws the mask on
            average × replicates).
        certain: bool [m], which of all masks are taken with certainty.
    """

    index: Integers
    replicate: Integers
    expansion: Vector
    certain: BoolArray

    def design_weight(self, probability: Vector) -> Vector:
        """Horvitz–Thompson weights under a distribution of the masks.

        Args:
            probability: float64 [m], of each mask.

        Returns:
            float64 [r], of each row that is decoded.
        """
        return probability[self.index] * self.expansion


def select(usable: BoolArray, probability: Vector, draws: int, rng: np.random.Generator) -> Selection:
    """Choose the masks to decode, as the module's docstring says.

    Args:
        usable: bool [m, k], the usable packets of each mask.
        probability: float64 [m], above 0, up to a factor: from ``given_a_loss``.
        draws: Number of decodings; fewer than 60 count as 60.
        rng: Draws the replicates.

    Returns:
        The masks of the sample.
    """
    draws = max(draws, LEAST_DECODINGS)
    outcomes, outcome = _distinct(usable)
    packets = outcomes.sum(axis=1)
    size = probability * (1 + outcomes.shape[1] - packets)[outcome]
    of_outcome = np.bincount(outcome, size, len(outcomes))
    shown = np.flatnonzero(packets > 0)
    largest = shown[np.argsort(-of_outcome[shown], kind="stable")]
    certain = packets == 0
    certain[largest[: _certain(of_outcome[largest], draws)]] = True
    known, left = (np.flatnonzero(which) for which in (certain[outcome], ~certain[outcome]))
    budget = max(draws - int(np.count_nonzero(certain & (packets > 0))), _LEAST_DRAWS)
    each = budget // _REPLICATES if len(left) else 0
    left = left[np.lexsort((left, outcome[left], packets[outcome[left]]))]
    cumulative = np.cumsum(size[left])
    place = (np.arange(each) + rng.random((_REPLICATES, each))) / max(each, 1) * cumulative[-1:]
    drawn = left[np.minimum(np.searchsorted(cumulative, place.reshape(-1), side="right"), len(left) - 1)]
    return Selection(
        index=np.concatenate([known, drawn]),
        replicate=np.concatenate([np.zeros(len(known), np.int64), np.repeat(np.arange(1, _REPLICATES + 1), each)]),
        expansion=np.concatenate([np.ones(len(known)), cumulative[-1:] / (_REPLICATES * each * size[drawn])]),
        certain=certain[outcome],
    )


def estimator_weights(usable: BoolArray, replicate: Integers, design: Vector, mean: Vector) -> Vector:
    """Weights of the cross-fitted difference estimator: the estimate is their sum with the qualities.

    Args:
        usable: bool [r, k], the usable packets of each row of the sample.
        replicate: int64 [r], 0 for rows taken with certainty.
        design: float64 [r], the rows' Horvitz–Thompson weights.
        mean: float64 [p], the features of all masks that are neither certain nor failed, weighted by probability.

    Returns:
        float64 [r], with the sum of ``design``'s certain rows and ``mean``'s constant.
    """
    weight = design.copy()
    replicates = int(replicate.max(initial=0))
    for out in range(1, replicates + 1):
        mine, fit = replicate == out, fold(usable, replicate, out)
        missing = mean / replicates - design[mine] @ features(usable[mine])
        weight[fit.rows] += missing @ fit.operator
    return weight


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


def _certain(size: Vector, draws: int) -> int:
    """Number of the largest outcomes that are taken with certainty; ``size`` falls.

    An outcome is certain while its size is at least the average that a remaining draw stands for.

    >>> _certain(np.array([0.7, 0.2, 0.04, 0.03, 0.03]), 4), _certain(np.array([0.5, 0.5]), 2)
    (2, 2)
    """
    if len(size) <= draws:
        return len(size)
    rest = size[::-1].cumsum()[::-1]
    for taken in range(draws):
        if size[taken] * (draws - taken) < rest[taken]:
            return taken
    return draws


def drawn_masks(slot: ChainSlot, count: int, rng: np.random.Generator) -> BoolArray:
    """Masks of the packets at risk, drawn from the chain.

    Args:
        slot: The slot.
        count: How many.
        rng: Draws them.

    Returns:
        bool [count, n], True = received.
    """
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

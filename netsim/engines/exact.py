"""The exact engine: the possible masks with their probabilities. No seed, no noise.

Up to ``ALL_MASKS_PACKETS`` packets every mask is taken. Beyond that, one mask represents all that the receiver
decodes alike: where the number of losses decides, or the first packets do (``netsim.engines.deciding``). Elsewhere
masks are taken in order of probability until a stated coverage is reached; the residual mass is returned, so that a
result can carry a rigorous bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.markov import MarkovChannel
from netsim.channels.statistics import transition_after
from netsim.engines.deciding import (
    CELLS_LIMIT,
    Beginnings,
    LossCounts,
    deciding_beginnings,
    loss_counts_after,
    states_after,
)
from netsim.engines.outcomes import SlotOutcomes, resolve_outcomes
from netsim.engines.schedule import SlotSchedule, transmission_schedule
from netsim.errors import InputError
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.timing import chain_steps

__all__ = [
    "ALL_MASKS_PACKETS",
    "MOST_PACKETS",
    "ChainSlot",
    "MaskTable",
    "all_masks",
    "chain_slots",
    "distributions",
    "mask_table",
    "slot_table",
    "why_not_exact",
]

BoolArray = NDArray[np.bool_]
Vector = NDArray[np.float64]
Usable = Callable[[BoolArray], BoolArray]

ALL_MASKS_PACKETS = 16
MOST_PACKETS = 3000
"""Packets of a slot that can be lost. Masks of as many losses, each of so many packets, take half a gigabyte."""

_MASKS_LIMIT = 1 << 17
_SHRINK = 8.0  # the threshold's step between two tries
_DIGITS = 12  # of a mean number of packets


@dataclass(frozen=True)
class MaskTable:
    """Masks with their probabilities.

    Attributes:
        masks: bool [m, n], True = received.
        probability: float64 [m].
        residual_mass: Probability of all other masks.
    """

    masks: BoolArray
    probability: Vector
    residual_mass: float


def why_not_exact(channel: Channel, link: LinkProfile) -> str:
    """Why a channel on a link has no closed form here.

    Args:
        channel: The channel.
        link: The link.

    Returns:
        A clause; empty if it has a closed form.
    """
    if not isinstance(channel, MarkovChannel):
        return f"channel {channel.name} is not a Markov chain"
    if link.jitter_s and link.deadline_s is not None:
        return f"jitter on link {link.name} decides at random what is late"
    return ""


def distributions(
    slots: int,
    burst: Callable[[int], PacketBurst],
    channel: Channel,
    link: LinkProfile,
    coverage: float,
    by_count: Callable[[int], int | None],
    usable: Callable[[int], Usable | None] = lambda slot: None,
) -> Iterator[SlotOutcomes]:
    """The possible outcomes of each slot, weighted by their probabilities. Times are those without jitter.

    Args:
        slots: Number of slots.
        burst: What a slot sends.
        channel: A Markov channel.
        link: Its lateness must not be random.
        coverage: Probability to cover where there are too many masks to take all, as in ``mask_table``.
        by_count: Where only the number of lost packets of a slot matters to the receiver, how many of its packets
            hold data (the rest is parity); then a mask or a few stand for all with as many losses where there are too
            many masks. Else None.
        usable: Of a slot, what the decoder can use of the packets that are received in time, bool [m, sent] to bool
            [m, k], monotone; None: unknown. Where it is known, and the first packets of a slot with too many masks
            decide it, a few masks stand for all.

    Yields:
        The outcomes of one slot; their weights and ``residual_mass`` sum to 1.

    Raises:
        InputError: There is no closed form, or too many packets can be lost.
    """
    for slot in chain_slots(slots, burst, channel, link):
        if len(slot.at_risk) > MOST_PACKETS:
            message = f"{len(slot.at_risk):,} packets of a slot can be lost: too many for the exact engine"
            raise InputError(message, hint=f"at most {MOST_PACKETS:,}; engine: auto, array or event samples them")
        data_packets = by_count(slot.schedule.slot) if len(slot.at_risk) > ALL_MASKS_PACKETS else None
        if data_packets is not None:
            table = _counts(slot, data_packets)
        else:
            table = _decided(slot, usable(slot.schedule.slot)) or slot_table(slot, coverage)
        trials = np.zeros(len(table.masks), dtype=np.int64)
        yield slot.outcomes(table.masks, trials, table.probability, table.residual_mass)


def slot_table(slot: ChainSlot, coverage: float) -> MaskTable:
    """Masks of the packets that a slot can lose.

    Args:
        slot: The slot.
        coverage: As in ``mask_table``.

    Returns:
        Masks and their probabilities.
    """
    if slot.channel.step_s is None:
        return mask_table(slot.channel, len(slot.at_risk), slot.start, coverage)
    return _table(slot.powers, slot.channel.loss, slot.start, coverage)


@dataclass(frozen=True)
class ChainSlot:
    """A slot's packets on a Markov channel.

    Attributes:
        channel: The channel, S states.
        schedule: The slot's transmission schedule.
        at_risk: int64 [n], the packets that the channel can lose.
        powers: n arrays float64 [S, S], the chain's transition before each of them.
        start: float64 [S], distribution of the state before the first.
    """

    channel: MarkovChannel
    schedule: SlotSchedule
    at_risk: NDArray[np.int64]
    powers: list[Vector]
    start: Vector

    @property
    def late(self) -> BoolArray:
        """bool [n], which of the packets at risk come too late."""
        return self.schedule.late[self.at_risk]

    def lost(self, received: BoolArray) -> BoolArray:
        """Which packets the channel loses under masks of the packets at risk.

        Args:
            received: bool [m, n] over the packets at risk.

        Returns:
            bool [m, all packets of the slot].
        """
        lost = np.zeros((len(received), len(self.schedule.dropped)), dtype=bool)
        lost[:, self.at_risk] = ~received
        return lost

    def received(self, masks: BoolArray) -> BoolArray:
        """Which packets arrive in time under masks of the packets at risk.

        Args:
            masks: bool [m, n], True = received.

        Returns:
            bool [m, all packets of the slot].
        """
        return np.asarray(~(self.lost(masks) | self.schedule.late | self.schedule.dropped))

    def mask_probabilities(self, masks: BoolArray) -> Vector:
        """Probability of each mask of the packets at risk.

        Args:
            masks: bool [m, n], True = received.

        Returns:
            float64 [m].
        """
        loss = self.channel.loss
        state = np.broadcast_to(self.start, (len(masks), len(self.start)))
        for power, received in zip(self.powers, masks.T, strict=True):
            state = (state @ power) * np.where(received[:, None], 1 - loss, loss)
        return np.asarray(state.sum(axis=1))

    def outcomes(
        self, masks: BoolArray, trials: NDArray[np.int64], weight: Vector, residual_mass: float = 0.0
    ) -> SlotOutcomes:
        """Packet outcomes under masks of the packets at risk.

        Args:
            masks: bool [m, n], True = received.
            trials: int64 [m], numbers that the log gets.
            weight: float64 [m].
            residual_mass: Probability that the masks do not cover.

        Returns:
            One outcome per mask.
        """
        arrival_s = self.schedule.arrival_s
        return resolve_outcomes(self.schedule, self.lost(masks), arrival_s, trials, weight, residual_mass)


def chain_slots(
    slots: int, burst: Callable[[int], PacketBurst], channel: Channel, link: LinkProfile
) -> Iterator[ChainSlot]:
    """The slots of a trial, each with the distribution of the chain's state at its start.

    Args:
        slots: Number of slots.
        burst: What a slot sends.
        channel: A Markov channel.
        link: Its lateness must not be random.

    Yields:
        Slot after slot.

    Raises:
        InputError: The channel is not a Markov chain, or lateness is random.
    """
    reason = why_not_exact(channel, link)
    if reason or not isinstance(channel, MarkovChannel):
        raise InputError(f"there is no closed form: {reason}", hint="engine: auto, array or event samples it")
    start, before_s = channel.start_distribution, 0.0
    for schedule in transmission_schedule(slots, burst, link):
        protected = np.array(burst(schedule.slot).protected, dtype=bool)
        at_risk = np.flatnonzero(~protected & ~schedule.dropped)
        powers, before_s = _step_matrices(channel, schedule.sent_s[at_risk], before_s)
        yield ChainSlot(channel, schedule, at_risk, powers, start)
        if channel.start != "stationary":  # a stationary start stays what it is, to the bit
            for power in powers:
                start = start @ power


def _step_matrices(channel: MarkovChannel, sent_s: Vector, before_s: float) -> tuple[list[Vector], float]:
    """The chain's transition before each of these packets, and the time of the last of them.

    One step each, or with ``step_s`` as many as lie between the packets' times. before_s: time of the packet before.
    """
    if channel.step_s is None or not len(sent_s):
        return [channel.transition] * len(sent_s), before_s
    steps = chain_steps(np.concatenate([[before_s], sent_s[:-1]]), sent_s, channel.step_s)
    return [transition_after(channel.transition, int(step)) for step in steps], float(sent_s[-1])


def _counts(slot: ChainSlot, data_packets: int) -> MaskTable:
    """A mask or a few for each number of losses."""
    data = slot.at_risk < data_packets
    counts = loss_counts_after(slot.powers, slot.channel.loss, slot.late, data)[0]
    return MaskTable(*_count_masks(counts, slot.start, slot.late, data), 0.0)


def _count_masks(counts: LossCounts, state: Vector, late: BoolArray, data: BoolArray) -> tuple[BoolArray, Vector]:
    """Masks of each number of losses that is possible, the first packets of each kind lost, and their probabilities.

    Late packets are missing for the decoder whether they are lost or not, so the number of losses is that of packets
    in time. For each number, as many late packets and as many data packets are lost as on average: where that is no
    whole number, those on either side of it share the probability. So the means of all counts in the log are exact.

    Args:
        counts: Of the packets.
        state: float64 [S], probability of each state before them.
        late: bool [n], which packets come too late.
        data: bool [n], which packets hold data; the others are parity.

    Returns:
        bool [m, n], float64 [m].
    """
    probability = state @ counts.probability
    possible = np.flatnonzero(probability > 0)
    late_mean, data_mean = (state @ table[:, possible] / probability[possible] for table in (counts.late, counts.data))
    in_time, parity = data & ~late, ~data & ~late
    data_mean = data_mean.clip(np.maximum(possible - parity.sum(), 0), np.minimum(possible, in_time.sum()))
    rows = [
        np.stack([possible, late_lost, data_lost, probability[possible] * late_share * data_share])
        for late_lost, late_share in _whole_numbers(late_mean.clip(0, late.sum()))
        for data_lost, data_share in _whole_numbers(data_mean)
    ]
    lost, late_lost, data_lost, weight = np.stack(rows, axis=2).reshape(4, -1, 1)  # all rows of a number together
    place = np.select([late, in_time], [np.cumsum(late), np.cumsum(in_time)], np.cumsum(parity))
    masks = place > np.select([late, in_time], [late_lost, data_lost], lost - data_lost)
    return masks[weight[:, 0] > 0], weight[weight > 0]


def _whole_numbers(mean: Vector) -> list[tuple[Vector, Vector]]:
    """The whole numbers on either side of each mean, each with the share at which they have this mean."""
    mean = mean.round(_DIGITS)
    below = np.floor(mean)
    return [(below, below + 1 - mean), (below + 1, mean - below)]


def _decided(slot: ChainSlot, usable: Usable | None) -> MaskTable | None:
    """Masks whose first packets decide what is usable, one for each number of losses behind them.

    So the mean number of lost packets is exact, too. None where every mask can be listed, or where the first packets do
    not decide.
    """
    if usable is None or len(slot.at_risk) <= ALL_MASKS_PACKETS:
        return None
    found = deciding_beginnings(len(slot.at_risk), lambda masks: usable(slot.received(masks)))
    return None if found is None else _with_rests(slot, found)


def _with_rests(slot: ChainSlot, beginnings: Beginnings) -> MaskTable:
    loss, data = slot.channel.loss, np.ones(len(slot.at_risk), dtype=bool)
    states = states_after(beginnings, slot.powers, loss, slot.start)
    rests = loss_counts_after(slot.powers, loss, slot.late, data)
    masks, probability = [], []
    for mask, length, state in zip(beginnings.masks, beginnings.length, states, strict=True):
        behind, weight = _count_masks(rests[length], state, slot.late[length:], data[length:])
        masks.append(np.concatenate([np.tile(mask[:length], (len(behind), 1)), behind], axis=1))
        probability.append(weight)
    return MaskTable(np.concatenate(masks), np.concatenate(probability), 0.0)


def all_masks(packets: int) -> BoolArray:
    """Every mask, in the order of ``MarkovChannel.mask_probabilities``: bit j of the index = packet j received.

    Args:
        packets: Their number n.

    Returns:
        bool [2**n, n].

    >>> all_masks(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    index = np.arange(1 << packets, dtype=np.int64)[:, None]
    return (index >> np.arange(packets)) & 1 == 1


def mask_table(channel: MarkovChannel, packets: int, start: Vector, coverage: float) -> MaskTable:
    """The masks of a number of packets, with their probabilities.

    Args:
        channel: A Markov channel of S states.
        packets: Number of packets.
        start: float64 [S], distribution of the state before the first packet.
        coverage: Probability to cover where there are too many masks to take all.

    Returns:
        Masks of probability above 0, their probabilities, and the probability that is not covered.
    """
    if 0 < packets <= ALL_MASKS_PACKETS:
        probability = channel.mask_probabilities(packets, start)
        possible = probability > 0
        return MaskTable(all_masks(packets)[possible], probability[possible], 0.0)
    return _table([channel.transition] * packets, channel.loss, start, coverage)


def _table(powers: list[Vector], loss: Vector, start: Vector, coverage: float) -> MaskTable:
    """Masks in order of probability, until they cover enough, and the one without a loss."""
    if len(powers) <= ALL_MASKS_PACKETS:
        found = _above(powers, loss, start, 0.0)
        if found is not None:
            return found
    threshold = 1e-3
    best = _above(powers, loss, start, threshold)
    while best is not None and best.probability.sum() < coverage:
        threshold /= _SHRINK
        wider = _above(powers, loss, start, threshold)
        if wider is None:
            break
        best = wider
    if best is None:  # even the likeliest are too many: more packets than this engine is for
        return MaskTable(np.ones((0, len(powers)), dtype=bool), np.zeros(0), 1.0)
    order = np.argsort(-best.probability, kind="stable")
    covered = np.cumsum(best.probability[order])
    keep = order[: int(np.searchsorted(covered, coverage)) + 1]
    masks, probability = best.masks[keep], best.probability[keep]
    if not masks.all(axis=1).any():  # its image bounds those of all other masks, however rare it is
        state = start
        for power in powers:
            state = (state @ power) * (1 - loss)
        if state.sum() > 0:
            masks = np.concatenate([masks, np.ones((1, len(powers)), dtype=bool)])
            probability = np.append(probability, state.sum())
    return MaskTable(masks, probability, float(max(0.0, 1 - probability.sum())))


def _above(powers: list[Vector], loss: Vector, start: Vector, threshold: float) -> MaskTable | None:
    """All possible masks at least as likely as ``threshold``; a mask is never likelier than its beginning.

    None if there are too many.
    """
    state, masks = start[None, :], np.zeros((1, 0), dtype=bool)
    most = min(_MASKS_LIMIT, CELLS_LIMIT // max(len(powers), 1))
    for power in powers:
        after = state @ power
        state = np.concatenate([after * loss, after * (1 - loss)])
        bit = np.repeat([False, True], len(masks))[:, None]
        masks = np.concatenate([np.concatenate([masks, masks]), bit], axis=1)
        total = state.sum(axis=1)
        likely = (total >= threshold) & (total > 0)
        state, masks = state[likely], masks[likely]
        if len(masks) > most:
            return None
    probability = state.sum(axis=1)
    residual = float(max(0.0, 1 - probability.sum())) if threshold else 0.0
    return MaskTable(masks, probability, residual)

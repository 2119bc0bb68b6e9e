"""Transport of one part of a plan row: an engine's outcomes, as arrays of log rows. Values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netsim.channels.calls import ChannelFault
from netsim.codec import Codec, Stream
from netsim.codec_calls import usable_packets
from netsim.control.spec import chosen
from netsim.decoding.cases import row_stream_keys
from netsim.decoding.collapse import Arrays, Sender, collapse
from netsim.decoding.streams import StreamKey, codec_of
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.engines.exact import distributions
from netsim.engines.outcomes import SlotOutcome, SlotOutcomes, stack_outcomes
from netsim.engines.schedule import SlotSchedule, transmission_schedule
from netsim.engines.stratified import simulate_strata
from netsim.errors import placed
from netsim.links.packets import Arq, PacketBurst, Report
from netsim.protection.base import BoolArray, ProtectedStream
from netsim.protection.calls import check_recovery, protected_stream
from netsim.runs.parts import PartKey
from netsim.scenario.plan import Plan, PlanRow
from netsim.streams import Streams

__all__ = ["link_randomness", "transport_part"]

Senders = dict[tuple[int, int], Sender]


def transport_part(plan: Plan, key: PartKey, streams: Mapping[tuple[int, int], Stream]) -> Arrays:
    """Send the slots of a part.

    Args:
        plan: The plan.
        key: Which row and trials.
        streams: Per image and choice (number of one of the row's schemes) the stream.

    Returns:
        Arrays of log rows: see ``netsim.decoding.collapse.collapse``.
    """
    row = plan.rows[key.row]
    senders = _senders(row, row_stream_keys(plan, row), streams)
    place = row.schemes[0].where if row.control is None else ""  # a controller's own faults are not the codec's
    try:
        with placed(place):
            outcomes = _ENGINES[key.engine](plan, row, senders, key)
            return collapse(senders, outcomes, images=len(plan.image_names), at_arrivals=plan.log == "packets")
    except ChannelFault as error:
        raise error.at(plan.written.channel_places.get(row.channel_name, "")) from None


def _senders(
    row: PlanRow, keys: Mapping[tuple[int, int], StreamKey], streams: Mapping[tuple[int, int], Stream]
) -> Senders:
    """Per image and choice: the image ready to be sent."""
    found = {}
    for (image, choice), stream in streams.items():
        protection = row.schemes[choice].protection
        with placed(row.schemes[choice].where):
            protected = protected_stream(protection, stream)
            check_recovery(protection, protected)
            codec = codec_of(keys[image, choice])
            found[image, choice] = _sender(codec, stream, protected, row, choice, protection.arq)
    return found


def _sender(
    codec: Codec, stream: Stream, protected: ProtectedStream, row: PlanRow, choice: int, arq: Arq | None
) -> Sender:
    link = row.link
    sizes, marks = protected.sent.sizes_bytes.tolist(), protected.sent.protected.tolist()
    burst = PacketBurst(tuple(sizes), tuple(marks), choice, arq)
    on_time = link.deadline_s is None and link.queue_packets is None  # then what the channel can't take does arrive
    can_lose = row.channel.can_lose and not all(marks)
    worst = protected.recover((np.array(marks, dtype=bool) | (not row.channel.can_lose)) & on_time)
    can_fail = not usable_packets(codec, stream, worst).any()
    return Sender(codec, stream, protected, burst, can_fail, can_lose)


def _burst(plan: Plan, senders: Senders, slot: int, choice: int = 0) -> PacketBurst:
    return senders[slot % len(plan.image_names), choice].burst


def link_randomness(plan: Plan, row: PlanRow) -> tuple[Streams, Streams]:
    """Randomness of a row's losses and of its jitter.

    It depends on the names of channel and link, not on the scheme: all schemes meet the same losses.

    Args:
        plan: The plan.
        row: One of its rows.

    Returns:
        (of losses, of jitter)
    """
    return Streams(plan.seed, "losses", row.channel_name), Streams(plan.seed, "jitter", row.link_name)


def _event(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    channel, link = row.channel, row.link
    losses, jitter = link_randomness(plan, row)

    def receptions(trial: int) -> list[SlotOutcome]:
        controller = None if row.control is None else row.control.for_trial()

        def burst(slot: int, reports: Sequence[Report]) -> PacketBurst:
            choice = 0 if controller is None else chosen(controller, slot, reports, len(row.schemes))
            return _burst(plan, senders, slot, choice)

        return simulate_trial(plan.slots, burst, channel, link, losses, jitter, trial)

    return stack_outcomes((trial, receptions(trial)) for trial in range(key.first, key.last))


def _array(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    losses, jitter = link_randomness(plan, row)

    def burst(slot: int) -> PacketBurst:
        return _burst(plan, senders, slot)

    return simulate_trials(plan.slots, burst, row.channel, row.link, losses, jitter, key.first, key.last)


def _exact(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    images, channel = len(plan.image_names), row.channel

    def burst(slot: int) -> PacketBurst:
        return _burst(plan, senders, slot)

    alike = getattr(channel, "start", "") == "stationary" and channel.step_s is None and plan.slots % images == 0
    alike = alike and _rounds_alike(transmission_schedule(plan.slots, burst, row.link), images)
    slots = images if alike else plan.slots  # further rounds would say the same again

    def by_count(slot: int) -> int | None:
        sender = senders[slot % images, 0]
        if plan.log == "packets" or not (sender.codec.all_needed and sender.protected.count_decides):
            return None
        return len(sender.stream)

    def usable(slot: int) -> Callable[[BoolArray], BoolArray] | None:
        sender = senders[slot % images, 0]
        if plan.log == "packets" or len(sender.protected.sent) > len(sender.stream):
            return None  # which packets arrive, or are recovered, is in the log: it takes the whole mask
        return lambda received: usable_packets(sender.codec, sender.stream, sender.protected.recover(received))

    return distributions(slots, burst, channel, row.link, plan.coverage, by_count, usable)


def _rounds_alike(slots: Sequence[SlotSchedule], images: int) -> bool:
    """Whether the link makes the same packets of an image late, and drops the same, in all its slots."""
    firsts = [slots[slot.slot % images] for slot in slots]
    return all(
        np.array_equal(slot.late, first.late) and np.array_equal(slot.dropped, first.dropped)
        for slot, first in zip(slots, firsts, strict=True)
    )


def _stratified(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    def burst(slot: int) -> PacketBurst:
        return _burst(plan, senders, slot)

    def usable(slot: int, received: BoolArray) -> BoolArray:
        sender = senders[slot % len(plan.image_names), 0]
        return usable_packets(sender.codec, sender.stream, sender.protected.recover(received))

    # all channels of a scheme share one sample; schemes are sampled independently of each other
    same = [one for one in plan.rows.over_channels(row.index) if one.engine == row.engine]
    scheme = row.schemes[0]
    sent = (scheme.codec.name, scheme.codec.settings_text, scheme.operating_point, scheme.protection_name)
    strata = Streams(plan.seed, "strata", *sent)
    which = [one.index for one in same].index(row.index)
    return simulate_strata(
        plan.slots, burst, [one.channel for one in same], which, row.link, strata, plan.trials, usable
    )


_ENGINES: Any = {"event": _event, "array": _array, "exact": _exact, "stratified": _stratified}

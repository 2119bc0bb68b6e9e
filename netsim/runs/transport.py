"""Transport of one part of a plan row: an engine's outcomes, written as arrays of log rows."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netsim.codec import Codec, Stream
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.engines.exact import distributions
from netsim.engines.outcomes import SlotOutcome, SlotOutcomes, stack_outcomes
from netsim.engines.schedule import SlotSchedule, transmission_schedule
from netsim.engines.stratified import simulate_strata
from netsim.errors import InputError
from netsim.links.packets import Arq, PacketBurst, Report
from netsim.links.profile import LinkProfile
from netsim.protection.base import BoolArray, ProtectedStream
from netsim.runs.atomic import write_atomically
from netsim.runs.collapse import Arrays, Sender, collapse
from netsim.runs.context import RunContext, check_inputs, codec_cache, stream_key_of
from netsim.scenario.plan import Plan, PlanRow
from netsim.streams import Streams

__all__ = ["PartKey", "parts_of", "read_part", "transport_part"]

_SLOTS_IN_PART = 1 << 15


@dataclass(frozen=True, order=True)
class PartKey:
    """Trials first … last − 1 of a plan row under an engine: the unit of work and of resuming."""

    row: int
    first: int
    last: int
    engine: str

    def path(self, folder: Path) -> Path:
        return folder / f"row-{self.row:06d}-{self.first:09d}-{self.last:09d}-{self.engine}.npz"


def parts_of(plan: Plan, row: PlanRow, first: int, last: int) -> list[PartKey]:
    """Trials first … last − 1 of a row, cut into parts; the cut depends on the scenario alone, never on workers."""
    step = max(1, _SLOTS_IN_PART // plan.slots) if row.engine != "stratified" else last  # strata can't be cut
    return [PartKey(row.index, at, min(at + step, last), row.engine) for at in range(first, last, step)]


def read_part(path: Path, run_id: str | None = None) -> Arrays:
    """Read a part.

    Args:
        path: Its file.
        run_id: The run that it must belong to; None: any.

    Returns:
        Per log row its numbers, and ``case`` pointing into case_image, case_tag, case_mask.

    Raises:
        InputError: If the file is not as ``transport_part`` wrote it for this run and under this name.
    """
    content = path.read_bytes()
    content, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if checksum == _checksum(path, content):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        if run_id in (None, str(arrays.pop("run_id"))):
            return arrays
    raise InputError(f"`{path}` is damaged, or of another run", hint="run the same command again: it makes it anew")


def _checksum(path: Path, content: bytes) -> bytes:
    """The name counts: two parts may not change places."""
    return hashlib.sha256(path.name.encode() + b"\0" + content).digest()


_CHECKSUM_BYTES = 32


def transport_part(job: RunContext, key: PartKey) -> None:
    """Simulate a part and write its arrays. Raises InputError if an input has changed since the run began."""
    row = job.plan.rows[key.row]
    senders = _senders(job, row)
    arrays = collapse(job.plan, senders, _ENGINES[key.engine](job.plan, row, senders, key))
    check_inputs(job)
    content = io.BytesIO()
    np.savez(content, run_id=np.array(job.plan.run_id), **arrays)
    path = key.path(job.parts)
    write_atomically(path, lambda file: file.write(content.getvalue() + _checksum(path, content.getvalue())))


Senders = dict[tuple[int, int], Sender]


def _senders(job: RunContext, row: PlanRow) -> Senders:
    """Per (image, tag): the picture ready to be sent; tag = which of the row's schemes."""
    cache, found = codec_cache(job.store_path), {}
    for image in range(len(job.plan.image_names)):
        for tag, scheme in enumerate(row.schemes):
            stream_key = stream_key_of(job.plan, row, image, scheme)
            stream, codec = cache.encode(stream_key), cache.codec(stream_key)
            protected = scheme.protection.protect(stream)
            _check_recovery(protected)
            found[image, tag] = _sender(codec, stream, protected, row.link, tag, scheme.protection.arq)
    return found


def _sender(
    codec: Codec, stream: Stream, protected: ProtectedStream, link: LinkProfile, tag: int, arq: Arq | None
) -> Sender:
    sizes, marks = protected.sent.sizes_bytes.tolist(), protected.sent.protected.tolist()
    offer = PacketBurst(tuple(sizes), tuple(marks), tag, arq)
    on_time = link.deadline_s is None and link.queue_packets is None  # then what the channel can't take does arrive
    worst = protected.recover(np.array(marks, dtype=bool) & on_time)
    return Sender(codec, stream, protected, offer, can_fail=not codec.usable(stream, worst).any())


def _check_recovery(protected: ProtectedStream) -> None:
    """Really decode the parity once per stream: with as many packets missing, from the first on, as it may lose."""
    received = np.ones(len(protected.sent), dtype=bool)
    for packet in np.flatnonzero(~protected.sent.protected):
        received[packet] = False
        if not protected.recover(received).all():
            received[packet] = True
            break
    if not received.all():
        sent = [packet.payload for packet in protected.sent.packets]
        recovered = protected.recovered_payloads(received)
        if recovered != sent[: len(recovered)]:
            raise AssertionError("the erasure code gave other bytes than were sent")


def _offer(plan: Plan, senders: Senders, slot: int, tag: int = 0) -> PacketBurst:
    return senders[slot % len(plan.image_names), tag].offer


def _randomness(plan: Plan, row: PlanRow) -> tuple[Streams, Streams]:
    """Losses and jitter depend on the channel's and the link's name, not on the scheme: all meet the same."""
    return Streams(plan.seed, "losses", row.channel_name), Streams(plan.seed, "jitter", row.link_name)


def _event(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    channel, link = row.channel, row.link
    losses, jitter = _randomness(plan, row)

    def receptions(trial: int) -> list[SlotOutcome]:
        controller = None if row.control is None else row.control.for_trial()

        def offer(slot: int, reports: Sequence[Report]) -> PacketBurst:
            tag = 0 if controller is None else controller.choose(slot, reports)
            return _offer(plan, senders, slot, tag)

        return simulate_trial(plan.slots, offer, channel, link, losses, jitter, trial)

    return stack_outcomes((trial, receptions(trial)) for trial in range(key.first, key.last))


def _array(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    losses, jitter = _randomness(plan, row)

    def offer(slot: int) -> PacketBurst:
        return _offer(plan, senders, slot)

    return simulate_trials(plan.slots, offer, row.channel, row.link, losses, jitter, key.first, key.last)


def _exact(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    images, channel = len(plan.image_names), row.channel

    def offer(slot: int) -> PacketBurst:
        return _offer(plan, senders, slot)

    alike = getattr(channel, "start", "") == "stationary" and channel.step_s is None and plan.slots % images == 0
    alike = alike and _rounds_alike(transmission_schedule(plan.slots, offer, row.link), images)
    slots = images if alike else plan.slots  # further rounds would say the same again

    def by_count(slot: int) -> bool:
        sender = senders[slot % images, 0]
        return sender.codec.all_needed and sender.protected.count_decides

    return distributions(slots, offer, channel, row.link, plan.coverage, by_count)


def _rounds_alike(slots: Sequence[SlotSchedule], images: int) -> bool:
    """Whether the link makes the same packets of an image late, and drops the same, in all its slots."""
    firsts = [slots[slot.slot % images] for slot in slots]
    return all(
        np.array_equal(slot.late, first.late) and np.array_equal(slot.dropped, first.dropped)
        for slot, first in zip(slots, firsts, strict=True)
    )


def _stratified(plan: Plan, row: PlanRow, senders: Senders, key: PartKey) -> Iterator[SlotOutcomes]:
    def offer(slot: int) -> PacketBurst:
        return _offer(plan, senders, slot)

    def usable(slot: int, received: BoolArray) -> BoolArray:
        sender = senders[slot % len(plan.image_names), 0]
        return sender.codec.usable(sender.stream, sender.protected.recover(received))

    # all channels of a scheme share one sample; schemes are sampled independently of each other
    same = [one for one in plan.rows if (one.schemes, one.link, one.engine) == (row.schemes, row.link, row.engine)]
    scheme = row.schemes[0]
    sent = (scheme.codec.name, scheme.codec.settings_text, scheme.operating_point, scheme.protection_name)
    strata = Streams(plan.seed, "strata", *sent)
    which = [one.index for one in same].index(row.index)
    return simulate_strata(
        plan.slots, offer, [one.channel for one in same], which, row.link, strata, plan.trials, usable
    )


_ENGINES: Any = {"event": _event, "array": _array, "exact": _exact, "stratified": _stratified}

"""Images of chosen slots of a run, decoded again from its streams and masks and checked against its log."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.ranked_slots import SAMPLED
from netsim.analysis.replay import SchemeOnLink, scheme_stream_key
from netsim.codec import Stream
from netsim.codec_calls import decoded_images, usable_packets
from netsim.control.spec import chosen
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.engines.event import simulate_trial
from netsim.engines.outcomes import SlotOutcome
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, LOST, OUTCOMES, UNSENT, PacketBurst, Report
from netsim.metrics.psnr import psnr_db
from netsim.protection.base import ProtectedStream
from netsim.protection.calls import protected_stream
from netsim.runs.transport import link_randomness
from netsim.scenario.plan import Plan, PlanRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SentImage", "ShownImage", "chosen_slots", "slot_images"]

Pixels = NDArray[np.uint8]

_TOLERANCE_DB = 0.01  # a log made on another device may differ in the last bits of a learned codec's image


@dataclass(frozen=True, eq=False)
class ShownImage:
    """What a scheme shows in a slot.

    Attributes:
        scheme: As in the log.
        sent_as: Operating point; for a controlled scheme also the choice that it made for this slot.
        bpp: Of all that was sent.
        packets: Outcome of each packet, in sending order: delivered, lost, late or dropped.
        image: uint8 [H, W, 3]; None where no packet is usable.
        psnr_db: NaN where no packet is usable; inf for an exact image.
        logged: Whether the log has this slot. False under the exact and the stratified engine: their logs weight
            masks, and this one is drawn with the run's seed, as the event engine draws it.
    """

    scheme: str
    sent_as: str
    bpp: float
    packets: tuple[str, ...]
    image: Pixels | None
    psnr_db: float
    logged: bool


@dataclass(frozen=True, eq=False)
class SentImage:
    """A slot: the image that was sent, and what each scheme shows of it.

    Attributes:
        trial: Number of the trial.
        slot: Number of the slot.
        name: The image's name.
        image: uint8 [H, W, 3].
        shown: One a scheme.
    """

    trial: int
    slot: int
    name: str
    image: Pixels
    shown: tuple[ShownImage, ...]


def chosen_slots(log: pd.DataFrame, rows: Sequence[PlanRow], slots: int, trial: int, count: int) -> list[int]:
    """The first slots of a trial in which a packet of some scheme did not arrive; then, if these are few, the others.

    Args:
        log: The run's.
        rows: Rows of the plan that are shown together.
        slots: How many slots a trial has.
        trial: Number of the trial.
        count: How many are chosen, at most.

    Returns:
        Numbers of slots, in order of time. Where no row's log has slots in time, the first ``count``.
    """
    mine = log[(log["trial"] == trial) & log["packet"].isna() & log["row"].isin([row.index for row in rows])]
    mine = mine[mine["engine"].isin(SAMPLED)]
    missing = mine["packets_lost"] + mine["packets_late"] + mine["packets_dropped"]
    struck = sorted({int(slot) for slot in mine.loc[missing > 0, "slot"]})
    others = (slot for slot in range(slots) if slot not in set(struck))
    chosen = struck[:count]
    while len(chosen) < count and (slot := next(others, None)) is not None:
        chosen.append(slot)
    return sorted(chosen)


def slot_images(
    plan: Plan, log: pd.DataFrame, rows: Sequence[PlanRow], trial: int, slots: Sequence[int]
) -> list[SentImage]:
    """The images of some slots of a trial, as some rows of the plan show them.

    The trial is simulated again with the run's seed, up to the last of the slots, and each mask is decoded. Streams
    come from the store. What the log says of a slot (packets lost, packets usable, PSNR) must come out again.

    Args:
        plan: The run's, from ``replayed_plan``.
        log: The run's.
        rows: Rows with the same images in the same slots.
        trial: Number of the trial.
        slots: Numbers of slots.

    Returns:
        The original of each slot, and what each row shows of it; by slot, ascending.

    Raises:
        InputError: The run has no such trial or slot, or a slot does not come out as the log has it.
    """
    if bad := [slot for slot in slots if not 0 <= slot < plan.slots]:
        raise InputError(f"no slot {bad[0]}", where="--slot", hint=f"the run has slots 0 … {plan.slots - 1}")
    sent = sorted(set(slots))
    with Store() as store:
        cache = CodecCache(store)
        decode = _decoder(cache)
        shown = [dict(_of_row(plan, log, _Sender(plan, cache, row), trial, sent, decode)) for row in rows]
    found = []
    for slot in sent:
        item = plan.images.items[slot % len(plan.image_names)]
        found.append(SentImage(trial, slot, item.name, item.pixels(), tuple(one[slot] for one in shown)))
    return found


class _Sender:
    """A row's streams, made when a slot first sends them."""

    def __init__(self, plan: Plan, cache: CodecCache, row: PlanRow) -> None:
        self.plan, self.cache, self.row = plan, cache, row
        self._ready: dict[tuple[int, int], tuple[Any, Stream, ProtectedStream]] = {}

    def ready(self, slot: int, choice: int) -> tuple[Any, Stream, ProtectedStream]:
        """Address, stream, and stream with redundancy, of a slot sent in one of the row's ways."""
        image = slot % len(self.plan.image_names)
        if (image, choice) not in self._ready:
            scheme = self.row.schemes[choice]
            key = scheme_stream_key(self.plan, image, SchemeOnLink(scheme, self.row))
            stream = self.cache.encode(key)
            self._ready[image, choice] = key, stream, protected_stream(scheme.protection, stream)
        return self._ready[image, choice]

    def outcomes(self, trial: int, slots: int) -> list[SlotOutcome]:
        """The first slots of a trial by the event engine, which draws what the array engine draws."""
        controller = None if self.row.control is None else self.row.control.for_trial()

        def burst(slot: int, reports: Sequence[Report]) -> PacketBurst:
            choice = 0 if controller is None else chosen(controller, slot, reports, len(self.row.schemes))
            sent = self.ready(slot, choice)[2].sent
            arq = self.row.schemes[choice].protection.arq
            return PacketBurst(tuple(sent.sizes_bytes.tolist()), tuple(sent.protected.tolist()), choice, arq)

        losses, jitter = link_randomness(self.plan, self.row)
        return simulate_trial(slots, burst, self.row.channel, self.row.link, losses, jitter, trial)


def _of_row(
    plan: Plan, log: pd.DataFrame, sender: _Sender, trial: int, slots: Sequence[int], decode: Callable[..., Any]
) -> Iterator[tuple[int, ShownImage]]:
    row = sender.row
    logged = _logged(log, row, trial)
    if not slots:
        return
    outcomes = {outcome.slot: outcome for outcome in sender.outcomes(trial, slots[-1] + 1)}
    for slot in slots:
        outcome = outcomes[slot]
        key, stream, protected = sender.ready(slot, outcome.choice)
        usable = usable_packets(sender.cache.codec(key), stream, protected.recover(outcome.received[None]))
        image = decode(key, stream, usable) if usable.any() else None
        quality = math.nan if image is None else float(psnr_db(key.image.pixels(), image[None])[0])
        if logged is not None:
            _check(row, slot, outcome, int(usable.sum()), quality, logged)
        sizes = np.tile(protected.sent.sizes_bytes, outcome.attempts)
        bpp = 8 * int(sizes[outcome.outcome != UNSENT].sum()) / math.prod(key.image.shape)
        scheme = row.schemes[outcome.choice]
        way = scheme.operating_point if row.control is None else f"{scheme.label}, {scheme.operating_point}"
        yield slot, ShownImage(row.label, way, bpp, _packets(outcome), image, quality, logged is not None)


def _logged(log: pd.DataFrame, row: PlanRow, trial: int) -> pd.DataFrame | None:
    """The log's slots of a row in a trial, by number; None where its engine weights masks."""
    mine = log[(log["row"] == row.index) & log["packet"].isna()]
    if not set(mine["engine"]) <= set(SAMPLED):
        return None
    mine = mine[mine["trial"] == trial]
    if mine.empty:
        raise InputError(f"{row.label} over {row.channel_name} has no trial {trial}", where="--trial")
    return mine.set_index("slot")


def _check(row: PlanRow, slot: int, outcome: SlotOutcome, usable: int, quality: float, logged: pd.DataFrame) -> None:
    """Raises InputError if a slot does not come out as the log has it."""
    then: Any = logged.loc[slot]
    before = math.nan if then["status"] == "failed" else float(then["psnr_db"])
    same_quality = before == quality or abs(before - quality) <= _TOLERANCE_DB or math.isnan(before + quality)
    same_failure = math.isnan(before) == math.isnan(quality)
    same_mask = (int(then["packets_lost"]), int(then["packets_usable"])) == (outcome.count(LOST), usable)
    if not (same_mask and same_quality and same_failure):
        now = f"{outcome.count(LOST)} packets lost, {usable} usable, {quality:.2f} dB"
        old = f"{then['packets_lost']} lost, {then['packets_usable']} usable, {before:.2f} dB"
        message = f"slot {slot} of {row.label} over {row.channel_name} comes out differently: {now}; in the log {old}"
        raise InputError(message, hint="the codec has changed since the run was made: run the scenario again")


def _packets(outcome: SlotOutcome) -> tuple[str, ...]:
    """Per packet what became of it: delivered by some transmission, else the outcome of the last one made."""
    attempts = outcome.outcome.reshape(outcome.attempts, -1)
    found = []
    for packet in attempts.T:
        made = packet[packet != UNSENT]
        found.append(OUTCOMES[DELIVERED if (made == DELIVERED).any() else int(made[-1])])
    return tuple(found)


def _decoder(cache: CodecCache) -> Callable[..., Pixels]:
    """Decodes each usable mask of a stream once."""
    known: dict[tuple[str, bytes], Pixels] = {}

    def decode(key: Any, stream: Stream, usable: NDArray[np.bool_]) -> Pixels:
        address = cache.key(key), usable.tobytes()
        if address not in known:
            known[address] = decoded_images(cache.codec(key), stream, usable)[0]
        return known[address]

    return decode

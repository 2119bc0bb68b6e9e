"""Transport of one part of a plan row: which packets arrived in each slot, and when, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Stream
from netsim.control.spec import controller_from_spec
from netsim.engines.event import Offer, SlotReception, simulate_trial
from netsim.links.processes import DELIVERED, DROPPED, LATE, LOST
from netsim.protection.base import ProtectedStream
from netsim.protection.spec import protection_from_spec
from netsim.runs.files import write_atomically
from netsim.runs.job import Job, coded_picture, row_channel, row_link, workshop
from netsim.scenario.plan import Plan, PlanRow
from netsim.streams import Streams

__all__ = ["PartKey", "parts_of", "read_part", "transport_part"]

BoolArray = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]
_SLOTS_IN_PART = 1 << 15


@dataclass(frozen=True, order=True)
class PartKey:
    """Trials first … last − 1 of a plan row: the unit of work and of resuming."""

    row: int
    first: int
    last: int

    def path(self, folder: Path) -> Path:
        return folder / f"row-{self.row:06d}-{self.first:09d}.npz"


def parts_of(plan: Plan) -> list[PartKey]:
    """The plan cut into parts; the cut depends on the scenario alone, never on workers."""
    step = max(1, _SLOTS_IN_PART // plan.slots)
    starts = range(0, plan.trials, step)
    return [PartKey(row.index, at, min(at + step, plan.trials)) for row in plan.rows for at in starts]


def read_part(path: Path) -> Arrays:
    """Arrays of a part: per log row its numbers, and ``case`` pointing into case_image, case_tag, case_mask."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def transport_part(job: Job, key: PartKey) -> None:
    """Simulate a part and write its arrays."""
    row = job.plan.rows[key.row]
    senders = _senders(job, row)
    receptions = _receptions(job.plan, row, senders, key)
    arrays = _collapse(job.plan, senders, receptions)
    job.parts.mkdir(parents=True, exist_ok=True)
    write_atomically(key.path(job.parts), lambda file: np.savez(file, **arrays))


@dataclass(frozen=True)
class _Sender:
    """A picture ready to be sent: its stream, what goes on the wire, and who decodes."""

    codec: Codec
    stream: Stream
    protected: ProtectedStream
    offer: Offer


def _senders(job: Job, row: PlanRow) -> dict[tuple[int, int], _Sender]:
    """Per (image, tag), tag = which of the row's schemes."""
    shop, found = workshop(job.store_path), {}
    for image in range(len(job.plan.image_names)):
        for tag, scheme in enumerate(row.schemes):
            coded = coded_picture(job.plan, row, image, scheme)
            stream = shop.encode(coded)
            protected = protection_from_spec(scheme.protection).protect(stream)
            _recovers(protected)
            sizes = tuple(protected.sent.sizes_bytes.tolist())
            offer = Offer(sizes, tuple(protected.sent.protected.tolist()), tag)
            found[image, tag] = _Sender(shop.codec(coded), stream, protected, offer)
    return found


def _recovers(protected: ProtectedStream) -> None:
    """Really decode the parity once per stream: without its first packets, as many as may be lost."""
    received = np.ones(len(protected.sent), dtype=bool)
    for packet in range(len(received)):
        received[packet] = False
        if not protected.recover(received).all():
            received[packet] = True
    sent = [packet.payload for packet in protected.sent.packets]
    recovered = protected.recovered_payloads(received)
    if recovered != sent[: len(recovered)] and not received.all():
        raise AssertionError("the erasure code gave other bytes than were sent")


def _receptions(
    plan: Plan, row: PlanRow, senders: dict[tuple[int, int], _Sender], key: PartKey
) -> list[tuple[int, SlotReception]]:
    """(trial, slot's reception) of all slots in the part."""
    count = len(plan.image_names)
    offers = tuple(tuple(senders[image, tag].offer for tag in range(len(row.schemes))) for image in range(count))
    if row.control is None and math.isinf(row_link(row).rate_bps):  # sizes decide nothing: many rows share one simulation
        offers = tuple(tuple(_unsized(offer) for offer in image) for image in offers)
    spec = (repr(row.channel), repr(row.link), repr(row.control))
    return _simulated(_Same(spec, (plan, row)), offers, key.first, key.last)


@dataclass(frozen=True)
class _Same:
    """Compares by its name alone, so that equal conditions of different rows meet in the cache."""

    name: tuple[str, ...]
    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def _unsized(offer: Offer) -> Offer:
    return Offer((0,) * len(offer.sizes_bytes), offer.protected, offer.tag)


@lru_cache(maxsize=2)
def _simulated(
    condition: _Same, offers: tuple[tuple[Offer, ...], ...], first: int, last: int
) -> list[tuple[int, SlotReception]]:
    plan, row = condition.value
    channel, link = row_channel(row), row_link(row)
    losses = Streams(plan.seed, "losses", channel.name)
    jitter = Streams(plan.seed, "jitter", row.link_name)
    found = []
    for trial in range(first, last):
        controller = _controller(row)

        def offer(slot: int, reports: Sequence[Any], choose: Any = controller) -> Offer:
            tag = choose.choose(slot, reports) if choose is not None else 0
            return offers[slot % len(offers)][tag]

        found += [(trial, slot) for slot in simulate_trial(plan.slots, offer, channel, link, losses, jitter, trial)]
    return found


def _controller(row: PlanRow) -> Any:
    if row.control is None:
        return None
    return controller_from_spec(row.control, [protection_from_spec(s.protection) for s in row.schemes])


def _collapse(plan: Plan, senders: dict[tuple[int, int], _Sender], slots: list[tuple[int, SlotReception]]) -> Arrays:
    """From receptions to log rows: counts, and the distinct usable masks."""
    groups: dict[tuple[int, int], list[int]] = {}
    rows = [row for trial, slot in slots for row in _log_rows(plan, trial, slot)]
    for i, row in enumerate(rows):
        groups.setdefault((row.image, row.tag), []).append(i)
    total = len(rows)
    arrays: Arrays = {name: np.array([getattr(row, name) for row in rows], dtype=kind) for name, kind in _PLAIN.items()}
    for name in ("sent", "delivered", "lost", "late", "dropped", "recovered", "usable"):
        arrays[name] = np.zeros(total, dtype=np.int32)
    arrays["bytes"], arrays["case"] = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    cases: list[tuple[int, int, str]] = []
    for (image, tag), members in sorted(groups.items()):
        sender = senders[image, tag]
        at = np.array(members)
        fates = np.stack([rows[i].fate for i in members])
        _count(arrays, at, fates, sender)
        received = fates == DELIVERED
        recovered = sender.protected.recover(received)
        data = _data_received(sender, received)
        usable = sender.codec.usable(sender.stream, recovered)
        arrays["recovered"][at] = (recovered & ~data).sum(axis=1)
        arrays["usable"][at] = usable.sum(axis=1)
        masks, inverse = np.unique(usable, axis=0, return_inverse=True)
        arrays["case"][at] = len(cases) + inverse.reshape(-1)
        cases += [(image, tag, "".join("1" if bit else "0" for bit in mask)) for mask in masks]
    arrays["case_image"] = np.array([case[0] for case in cases], dtype=np.int32)
    arrays["case_tag"] = np.array([case[1] for case in cases], dtype=np.int32)
    arrays["case_mask"] = np.array([case[2] for case in cases], dtype=np.str_)
    return arrays


_PLAIN = {"trial": np.int32, "slot": np.int32, "packet": np.int32, "start_s": np.float64, "time_s": np.float64} | {
    "image": np.int32,
    "tag": np.int32,
}
_UNDER_WAY = 255


@dataclass(frozen=True)
class _LogRow:
    trial: int
    slot: int
    packet: int
    start_s: float
    time_s: float
    image: int
    tag: int
    fate: NDArray[np.uint8]


def _log_rows(plan: Plan, trial: int, slot: SlotReception) -> list[_LogRow]:
    image = slot.slot % len(plan.image_names)
    rows = []
    if plan.log == "packets":
        arrived = np.flatnonzero(slot.fate == DELIVERED)
        for packet in arrived[np.argsort(slot.arrival_s[arrived], kind="stable")].tolist():
            now = float(slot.arrival_s[packet])
            rows.append(_LogRow(trial, slot.slot, packet, slot.start_s, now, image, slot.tag, _so_far(slot, now)))
    rows.append(_LogRow(trial, slot.slot, -1, slot.start_s, slot.end_s, image, slot.tag, slot.fate))
    return rows


def _so_far(slot: SlotReception, now_s: float) -> NDArray[np.uint8]:
    """Fates as they stand at a moment: packets sent later, or still on their way, are under way."""
    fate = slot.fate.copy()
    on_its_way = (fate == DELIVERED) & ~(slot.arrival_s <= now_s)
    fate[on_its_way | ~(slot.sent_s <= now_s) | ((fate == LATE) & ~(slot.arrival_s <= now_s))] = _UNDER_WAY
    return fate


def _count(arrays: Arrays, at: NDArray[np.int64], fates: NDArray[np.uint8], sender: _Sender) -> None:
    for name, fate in (("delivered", DELIVERED), ("lost", LOST), ("late", LATE), ("dropped", DROPPED)):
        arrays[name][at] = (fates == fate).sum(axis=1)
    done = fates != _UNDER_WAY
    arrays["sent"][at] = done.sum(axis=1)
    arrays["bytes"][at] = (done * np.array(sender.offer.sizes_bytes)).sum(axis=1)


def _data_received(sender: _Sender, received: BoolArray) -> BoolArray:
    """Data packets that arrived by themselves: a systematic code sends them first, as they are."""
    return received[:, : len(sender.stream)]

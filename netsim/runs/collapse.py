"""From outcomes to log rows: fates are counted, masks collapsed to what the codec can use, and de-duplicated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Stream
from netsim.decoding.cache import mask_text
from netsim.engines.outcomes import SlotOutcomes
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, UNSENT, PacketBurst
from netsim.protection.base import ProtectedStream
from netsim.scenario.plan import Plan

__all__ = ["Arrays", "Sender", "collapse"]

Arrays = dict[str, NDArray[Any]]
_FATES = {"delivered": DELIVERED, "lost": LOST, "late": LATE, "dropped": DROPPED}


@dataclass(frozen=True)
class Sender:
    """An image ready to be sent: its stream, what goes on the wire, and who decodes.

    can_fail: whether nothing may be usable: false if what can't be lost suffices for an image.
    """

    codec: Codec
    stream: Stream
    protected: ProtectedStream
    offer: PacketBurst
    can_fail: bool = True


def collapse(plan: Plan, senders: dict[tuple[int, int], Sender], batches: Iterable[SlotOutcomes]) -> Arrays:
    """Arrays of a part, one entry per log row, in the order of trial, slot and arrival.

    ``case`` points into case_image, case_tag, case_mask: the distinct usable masks. Rows that stand for
    probability that was not resolved have ``unresolved`` set.
    """
    cases: dict[tuple[int, int, str], int] = {}
    pieces = []
    for batch in batches:
        image = batch.slot % len(plan.image_names)
        sender = senders[image, batch.choice]
        outcome = _rows(sender, batch, plan.log == "packets")
        texts = mask_text(outcome.pop("usable_mask"))
        numbers = [cases.setdefault((image, batch.choice, text), len(cases)) for text in texts]
        outcome["case"] = np.array(numbers, dtype=np.int64)
        for name, value in (("slot", batch.slot), ("image", image), ("tag", batch.choice)):
            outcome[name] = np.full(len(texts), value, dtype=np.int32)
        pieces.append(outcome)
    arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = np.lexsort((arrays.pop("order"), arrays["slot"], arrays["trial"]))
    arrays = {name: values[order] for name, values in arrays.items()}
    arrays["case_image"] = np.array([image for image, _, _ in cases], dtype=np.int32)
    arrays["case_tag"] = np.array([tag for _, tag, _ in cases], dtype=np.int32)
    arrays["case_mask"] = np.array([text for _, _, text in cases], dtype=np.str_)
    return arrays


def _rows(sender: Sender, batch: SlotOutcomes, at_arrivals: bool) -> Arrays:
    rows = _outcome(sender, batch, batch.outcome, batch.end_s, np.full(len(batch.trials), -1))
    if at_arrivals:
        rows = _joined([*_arrivals(sender, batch), rows])
    if len(np.unique(batch.trials)) < len(batch.trials):  # alternatives of one trial, with their probabilities
        rows = _merged(rows)
    if batch.residual_mass > 0:
        rows = _joined([rows, _unresolved(rows, batch)])
    return rows


def _outcome(sender: Sender, batch: SlotOutcomes, fate: Any, time_s: Any, packet: Any, order: float = np.inf) -> Arrays:
    """What the log says of a slot's outcomes: fate uint8 [t, m] as it stands at time_s [t]; all transmissions count."""
    sizes = np.tile(np.array(sender.offer.sizes_bytes, dtype=np.int64), batch.attempts)
    received = (fate == DELIVERED).reshape(len(fate), batch.attempts, len(sizes) // batch.attempts).any(axis=1)
    recovered = sender.protected.recover(received)
    usable = sender.codec.usable(sender.stream, recovered)
    itself = received[:, : len(sender.stream)]  # a systematic code sends the data packets first, as they are
    settled = fate != UNSENT
    rows: Arrays = {name: (fate == value).sum(axis=1, dtype=np.int32) for name, value in _FATES.items()}
    return rows | {
        "trial": batch.trials.astype(np.int32),
        "packet": packet.astype(np.int32),
        "start_s": batch.start_s,
        "time_s": time_s,
        "sent": settled.sum(axis=1, dtype=np.int32),
        "recovered": (recovered & ~itself).sum(axis=1, dtype=np.int32),
        "usable": usable.sum(axis=1, dtype=np.int32),
        "bytes": (settled * sizes).sum(axis=1),
        "weight": batch.weight,
        "design_weight": np.full(len(fate), np.nan) if batch.design_weight is None else batch.design_weight,
        "can_fail": np.full(len(fate), sender.can_fail),
        "drawn": np.full(len(fate), batch.drawn, dtype=np.int32),
        "unresolved": np.zeros(len(fate), dtype=bool),
        "order": np.full(len(fate), order),
        "usable_mask": usable,
    }


def _arrivals(sender: Sender, batch: SlotOutcomes) -> list[Arrays]:
    """A row at each packet's arrival in time: fates as they stand then, packets on their way left out."""
    found = []
    for i in range(batch.outcome.shape[1]):
        there = np.flatnonzero(batch.outcome[:, i] == DELIVERED)
        if not len(there):
            continue
        now = batch.arrival_s[there, i]
        fate = batch.outcome[there].copy()
        arrived = batch.arrival_s[there] <= now[:, None]
        fate[(~arrived & np.isin(fate, (DELIVERED, LATE))) | (batch.sent_s[there] > now[:, None])] = UNSENT
        part = SlotOutcomes(
            slot=batch.slot,
            choice=batch.choice,
            trials=batch.trials[there],
            weight=batch.weight[there],
            design_weight=None if batch.design_weight is None else batch.design_weight[there],
            residual_mass=batch.residual_mass,
            start_s=batch.start_s[there],
            end_s=now,
            sent_s=batch.sent_s[there],
            arrival_s=batch.arrival_s[there],
            outcome=fate,
            attempts=batch.attempts,
            drawn=batch.drawn,
        )
        rows = _outcome(sender, part, fate, now, np.full(len(there), i % len(sender.offer.sizes_bytes)))
        rows["order"] = now
        found.append(rows)
    return found


def _joined(pieces: list[Arrays]) -> Arrays:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


_TELLING = ("trial", "packet", "time_s", "delivered", "lost", "late", "recovered")


def _merged(rows: Arrays) -> Arrays:
    """Outcomes that a log could not tell apart become one, with the sum of their probabilities."""
    key = np.column_stack([rows["usable_mask"], *(rows[name] for name in _TELLING)])
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    merged = {name: values[first] for name, values in rows.items()}
    for name in ("weight", "design_weight"):
        merged[name] = np.bincount(inverse.reshape(-1), weights=rows[name], minlength=len(first))
    return merged


def _unresolved(rows: Arrays, batch: SlotOutcomes) -> Arrays:
    """One row for all outcomes that were not taken: its weight bounds what they could change."""
    row = {name: values[-1:].copy() for name, values in rows.items()}
    for name in (*_FATES, "recovered", "usable"):
        row[name][:] = 0
    row["usable_mask"][:] = False
    row["weight"][:] = batch.residual_mass
    row["unresolved"][:] = True
    row["order"][:] = np.inf
    return row

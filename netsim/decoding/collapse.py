"""From an engine's outcomes to log rows: outcomes are counted, masks collapsed to usable masks and de-duplicated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Stream
from netsim.codec_calls import usable_packets
from netsim.decoding.masks import mask_text
from netsim.engines.outcomes import SlotOutcomes
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, UNSENT, PacketBurst
from netsim.protection.base import ProtectedStream

__all__ = ["Arrays", "Sender", "collapse"]

Arrays = dict[str, NDArray[Any]]
_OUTCOMES = {"delivered": DELIVERED, "lost": LOST, "late": LATE, "dropped": DROPPED}


@dataclass(frozen=True)
class Sender:
    """An image ready to be sent: its stream, what goes on the wire, and who decodes.

    can_fail: whether nothing may be usable: false if what can't be lost suffices for an image.
    can_lose: whether the channel may lose a packet.
    """

    codec: Codec
    stream: Stream
    protected: ProtectedStream
    burst: PacketBurst
    can_fail: bool = True
    can_lose: bool = True


def collapse(
    senders: dict[tuple[int, int], Sender], batches: Iterable[SlotOutcomes], *, images: int, at_arrivals: bool
) -> Arrays:
    """Arrays of a part, one entry per log row, in the order of trial, slot and arrival.

    Args:
        senders: Per image and choice.
        batches: An engine's outcomes.
        images: Number of images; slot s shows image s mod images.
        at_arrivals: Whether there is also a row at each packet's arrival.

    Returns:
        Per log row its numbers. ``case`` points into case_image, case_choice, case_mask: the distinct usable masks.
        ``unresolved`` is set in rows that stand for probability that was not resolved.
    """
    cases: dict[tuple[int, int, str], int] = {}
    pieces = []
    for batch in batches:
        image = batch.slot % images
        sender = senders[image, batch.choice]
        rows = _rows(sender, batch, at_arrivals)
        texts = mask_text(rows.pop("usable_mask"))
        numbers = [cases.setdefault((image, batch.choice, text), len(cases)) for text in texts]
        rows["case"] = np.array(numbers, dtype=np.int64)
        for name, value in (("slot", batch.slot), ("image", image), ("choice", batch.choice)):
            rows[name] = np.full(len(texts), value, dtype=np.int32)
        pieces.append(rows)
    arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = np.lexsort((arrays.pop("order"), arrays["slot"], arrays["trial"]))
    arrays = {name: values[order] for name, values in arrays.items()}
    arrays["case_image"] = np.array([image for image, _, _ in cases], dtype=np.int32)
    arrays["case_choice"] = np.array([choice for _, choice, _ in cases], dtype=np.int32)
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


def _outcome(
    sender: Sender, batch: SlotOutcomes, outcome: Any, time_s: Any, packet: Any, order: float = np.inf
) -> Arrays:
    """What the log says of a slot. outcome: uint8 [t, m], of each transmission as it stands at time_s [t]."""
    sizes = np.tile(np.array(sender.burst.sizes_bytes, dtype=np.int64), batch.attempts)
    received = (outcome == DELIVERED).reshape(len(outcome), batch.attempts, len(sizes) // batch.attempts).any(axis=1)
    recovered = sender.protected.recover(received)
    usable = usable_packets(sender.codec, sender.stream, recovered)
    itself = received[:, : len(sender.stream)]  # a systematic code sends the data packets first, as they are
    settled = outcome != UNSENT
    rows: Arrays = {name: (outcome == value).sum(axis=1, dtype=np.int32) for name, value in _OUTCOMES.items()}
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
        "design_weight": np.full(len(outcome), np.nan) if batch.design_weight is None else batch.design_weight,
        "can_fail": np.full(len(outcome), sender.can_fail),
        "can_lose": np.full(len(outcome), sender.can_lose),
        "drawn": np.full(len(outcome), batch.drawn, dtype=np.int32),
        "unresolved": np.zeros(len(outcome), dtype=bool),
        "order": np.full(len(outcome), order),
        "usable_mask": usable,
    }


def _arrivals(sender: Sender, batch: SlotOutcomes) -> list[Arrays]:
    """A row at each packet's arrival in time: outcomes as they stand then, packets on their way left out."""
    found = []
    for i in range(batch.outcome.shape[1]):
        there = np.flatnonzero(batch.outcome[:, i] == DELIVERED)
        if not len(there):
            continue
        now = batch.arrival_s[there, i]
        outcome = batch.outcome[there].copy()
        arrived = batch.arrival_s[there] <= now[:, None]
        outcome[(~arrived & np.isin(outcome, (DELIVERED, LATE))) | (batch.sent_s[there] > now[:, None])] = UNSENT
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
            outcome=outcome,
            attempts=batch.attempts,
            drawn=batch.drawn,
        )
        rows = _outcome(sender, part, outcome, now, np.full(len(there), i % len(sender.burst.sizes_bytes)))
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
    for name in (*_OUTCOMES, "recovered", "usable"):
        row[name][:] = 0
    row["usable_mask"][:] = False
    row["weight"][:] = batch.residual_mass
    row["unresolved"][:] = True
    row["order"][:] = np.inf
    return row

"""What every engine gives: one slot's outcomes, in many trials or with their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.engines.event import DELIVERED, DROPPED, LATE, LOST, SlotReception

__all__ = ["SlotBatch", "settled", "stacked"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SlotBatch:
    """Outcomes of one slot with one sender's choice (tag); t of them, n packets, m = n · attempts transmissions.

    trials: int64 [t]. weight: float64 [t], 1 for a simulated slot, a probability in the exact engine.
    rest: probability that no outcome here stands for. start_s, end_s: float64 [t], start of the slot and when its
    outcome was final. sent_s, arrival_s: float64 [t, m], nan where there was none. fate: uint8 [t, m]; in the order
    of ``SlotReception``. attempts: above 1 only with ARQ. drawn: how many masks a stratified slot's probabilities were
    estimated from; 0 where they are exact, and in the other engines.
    """

    slot: int
    tag: int
    trials: NDArray[np.int64]
    weight: Floats
    rest: float
    start_s: Floats
    end_s: Floats
    sent_s: Floats
    arrival_s: Floats
    fate: NDArray[np.uint8]
    attempts: int = 1
    drawn: int = 0


def settled(
    plan: SlotReception,
    lost: NDArray[np.bool_],
    arrival_s: Floats,
    trials: NDArray[np.int64],
    weight: Floats,
    rest: float = 0.0,
) -> SlotBatch:
    """Fates from what the channel takes and when packets arrive (lost ones: would have).

    plan: the slot's timetable; what is late in it is late without jitter, and with jitter too.
    lost: bool [t, n]. arrival_s: float64 [t, n], or [n] where packets arrive at the same times in every outcome.
    """
    dropped = plan.fate == DROPPED
    late = (plan.fate == LATE) | (arrival_s > plan.deadline_s)
    fate = np.where(lost, np.uint8(LOST), np.where(late, np.uint8(LATE), np.uint8(DELIVERED)))
    fate[:, dropped] = DROPPED
    if dropped.all():
        end_s = np.full(len(lost), plan.start_s)
    else:
        last_s = arrival_s[..., ~dropped].max(axis=-1)
        end_s = np.array(np.broadcast_to(np.minimum(last_s, plan.deadline_s), len(lost)))
    return SlotBatch(
        slot=plan.slot,
        tag=plan.tag,
        trials=trials,
        weight=weight,
        rest=rest,
        start_s=np.full(len(lost), plan.start_s),
        end_s=end_s,
        sent_s=np.broadcast_to(plan.sent_s, lost.shape),
        arrival_s=np.where(lost, np.nan, arrival_s),
        fate=fate,
    )


def stacked(trials: Iterable[tuple[int, list[SlotReception]]]) -> Iterator[SlotBatch]:
    """The event engine's receptions, trial by trial, as batches of equal slot and choice."""
    groups: dict[tuple[int, int], list[tuple[int, SlotReception]]] = {}
    for trial, receptions in trials:
        for reception in receptions:
            groups.setdefault((reception.slot, reception.tag), []).append((trial, reception))
    for (slot, tag), members in groups.items():
        ones = [reception for _, reception in members]
        yield SlotBatch(
            slot=slot,
            tag=tag,
            trials=np.array([trial for trial, _ in members], dtype=np.int64),
            weight=np.ones(len(members)),
            rest=0.0,
            start_s=np.array([one.start_s for one in ones]),
            end_s=np.array([one.end_s for one in ones]),
            sent_s=np.stack([one.sent_s for one in ones]),
            arrival_s=np.stack([one.arrival_s for one in ones]),
            fate=np.stack([one.fate for one in ones]),
            attempts=ones[0].attempts,
        )

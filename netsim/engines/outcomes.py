"""What every engine gives: a slot's outcomes, in many trials or with their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.engines.schedule import SlotSchedule
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST

__all__ = ["SlotOutcome", "SlotOutcomes", "resolve_outcomes", "stack_outcomes"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlotOutcome:
    """Outcome of one slot's n packets in one trial, in sending order: m transmissions, m = n without ARQ.

    With ARQ, m = n · attempts: transmission i < n is the first of packet i, transmission k · n + i its k-th
    retransmission.

    Attributes:
        slot: Number of the slot.
        choice: Which of the sender's ways to send it was.
        start_s: When the link got the slot's packets.
        deadline_s: Deadline, inf if there is none.
        end_s: When the outcome was final: the last arrival (a lost packet counts with the time at which it would have
            arrived), at the latest the deadline.
        sent_s: float64 [m], start of each transmission; NaN if dropped (a retransmission: when it was dropped) or not
            made.
        arrival_s: float64 [m], NaN if lost, dropped or not made; late packets have theirs.
        outcome: uint8 [m], DELIVERED, LOST, LATE or DROPPED; UNSENT if never made.
        attempts: Transmissions that a packet may have.
    """

    slot: int
    choice: int
    start_s: float
    deadline_s: float
    end_s: float
    sent_s: Floats
    arrival_s: Floats
    outcome: NDArray[np.uint8]
    attempts: int = 1

    @property
    def received(self) -> NDArray[np.bool_]:
        """bool [n]: True where a packet arrived in time, by any of its transmissions."""
        received: NDArray[np.bool_] = (self.outcome == DELIVERED).reshape(self.attempts, -1).any(axis=0)
        return received

    def count(self, outcome: int) -> int:
        """Number of transmissions with an outcome.

        Args:
            outcome: ``DELIVERED``, ``LOST``, …

        Returns:
            At most the number of transmissions.
        """
        return int(np.count_nonzero(self.outcome == outcome))


@dataclass(frozen=True)
class SlotOutcomes:
    """Outcomes of one slot with one sender's choice: t of them, n packets, m = n · attempts transmissions.

    Attributes:
        slot, choice: As in ``SlotOutcome``.
        trials: int64 [t], number of the trial.
        weight: float64 [t], 1 for a simulated slot, a probability in the exact engine.
        residual_mass: Probability of everything that no outcome here stands for.
        start_s, end_s: float64 [t].
        sent_s, arrival_s: float64 [t, m], NaN where there was none.
        outcome: uint8 [t, m]; in the order of ``SlotOutcome``.
        attempts: Transmissions that a packet may have; above 1 only with ARQ.
        design_weight: float64 [t], a stratified slot's weights without the surrogate; None in the other engines.
        drawn: How many masks a stratified slot's probabilities were estimated from; 0 where they are exact, and in the
            other engines.
    """

    slot: int
    choice: int
    trials: NDArray[np.int64]
    weight: Floats
    residual_mass: float
    start_s: Floats
    end_s: Floats
    sent_s: Floats
    arrival_s: Floats
    outcome: NDArray[np.uint8]
    attempts: int = 1
    design_weight: Floats | None = None
    drawn: int = 0


def resolve_outcomes(
    schedule: SlotSchedule,
    lost: NDArray[np.bool_],
    arrival_s: Floats,
    trials: NDArray[np.int64],
    weight: Floats,
    residual_mass: float = 0.0,
) -> SlotOutcomes:
    """Packet outcomes from what the channel loses and when packets arrive.

    Args:
        schedule: The slot's transmission schedule; what is late in it is late with jitter, too.
        lost: bool [t, n].
        arrival_s: float64 [t, n], or [n] where packets arrive at the same times in every outcome; lost packets count
            with the time at which they would have arrived.
        trials: int64 [t].
        weight: float64 [t].
        residual_mass: Probability that the outcomes do not cover.

    Returns:
        t outcomes of the slot.
    """
    late = schedule.late | (arrival_s > schedule.deadline_s)
    outcome = np.where(lost, np.uint8(LOST), np.where(late, np.uint8(LATE), np.uint8(DELIVERED)))
    outcome[:, schedule.dropped] = DROPPED
    if schedule.dropped.all():
        end_s = np.full(len(lost), schedule.start_s)
    else:
        last_s = arrival_s[..., ~schedule.dropped].max(axis=-1)
        end_s = np.array(np.broadcast_to(np.minimum(last_s, schedule.deadline_s), len(lost)))
    return SlotOutcomes(
        slot=schedule.slot,
        choice=schedule.choice,
        trials=trials,
        weight=weight,
        residual_mass=residual_mass,
        start_s=np.full(len(lost), schedule.start_s),
        end_s=end_s,
        sent_s=np.broadcast_to(schedule.sent_s, lost.shape),
        arrival_s=np.where(lost, np.nan, arrival_s),
        outcome=outcome,
    )


def stack_outcomes(trials: Iterable[tuple[int, list[SlotOutcome]]]) -> Iterator[SlotOutcomes]:
    """The event engine's outcomes, trial by trial, stacked by slot and choice.

    Args:
        trials: (number of the trial, its slots).

    Yields:
        The outcomes of all trials for one slot and choice.
    """
    groups: dict[tuple[int, int], list[tuple[int, SlotOutcome]]] = {}
    for trial, outcomes in trials:
        for outcome in outcomes:
            groups.setdefault((outcome.slot, outcome.choice), []).append((trial, outcome))
    for (slot, choice), members in groups.items():
        ones = [outcome for _, outcome in members]
        yield SlotOutcomes(
            slot=slot,
            choice=choice,
            trials=np.array([trial for trial, _ in members], dtype=np.int64),
            weight=np.ones(len(members)),
            residual_mass=0.0,
            start_s=np.array([one.start_s for one in ones]),
            end_s=np.array([one.end_s for one in ones]),
            sent_s=np.stack([one.sent_s for one in ones]),
            arrival_s=np.stack([one.arrival_s for one in ones]),
            outcome=np.stack([one.outcome for one in ones]),
            attempts=ones[0].attempts,
        )

"""The controller of ResiComp's Fig. 20: the next interval follows the mean loss of the one before.

"VTM + FEC (n ×)": the FEC share is n times the average loss of the previous interval. The paper publishes neither the
number of slots of an interval nor thresholds for its modes, so both are parameters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from netsim.control.settings import check_choice
from netsim.errors import InputError
from netsim.links.packets import Report, mean_loss
from netsim.links.timing import decimal
from netsim.protection.base import Protection
from netsim.text import number_text
from netsim.validation import check_keys, check_number, check_whole, is_number

__all__ = ["PreviousInterval", "by_share", "by_thresholds", "loss_of_previous_interval", "previous_interval"]

_LARGEST_COUNT = 10**7


def loss_of_previous_interval(slot: int, reports: Sequence[Report], interval_slots: int) -> float | None:
    """Mean measured loss of the interval before the one that contains ``slot``.

    If no report of that interval has reached the sender, the latest earlier interval with a report counts instead. The
    search goes back from the newest report and ends at one that is more than an interval older than those it looks for.

    Args:
        slot: Number of the slot.
        reports: The reports that have reached the sender.
        interval_slots: Slots of an interval.

    Returns:
        A share of packets, or None without any report.
    """
    this, wanted = slot // interval_slots, -1
    found: list[Report] = []
    for report in reversed(reports):
        interval = report.slot // interval_slots
        if interval >= this:
            continue
        if interval > wanted:
            wanted, found = interval, [report]
        elif interval == wanted:
            found.append(report)
        elif interval < wanted - 1:
            break
    return mean_loss(found) if found else None


def by_share(target: Fraction | float, shares: Sequence[Fraction | float]) -> int:
    """Index of the smallest share of at least ``target``, or else of the greatest share.

    Args:
        target: The wanted share.
        shares: Those to choose among.

    Returns:
        Its place in ``shares``.

    >>> by_share(0.2, [0.0, 0.1, 0.3, 0.5]), by_share(0.9, [0.0, 0.1, 0.3, 0.5])
    (2, 3)
    """
    enough = [i for i, share in enumerate(shares) if share >= target]
    if enough:
        return min(enough, key=lambda i: shares[i])
    return max(range(len(shares)), key=lambda i: shares[i])


def by_thresholds(loss: float, thresholds: Sequence[float]) -> int:
    """Number of the rising thresholds that the loss has reached.

    Args:
        loss: The measured loss, 0 to 1.
        thresholds: Rising.

    Returns:
        0 to their number.

    >>> [by_thresholds(loss, [0.05, 0.2]) for loss in (0.0, 0.05, 0.3)]
    [0, 1, 2]
    """
    return bisect_right(thresholds, loss)


@dataclass(frozen=True)
class PreviousInterval:
    """Chooses from the mean loss of the previous interval of ``interval_slots`` slots.

    Without thresholds it makes the choice with the smallest of ``shares`` that is at least factor × loss; with them,
    choice i where i of the thresholds are reached. With a feedback delay, late reports of an interval can change the
    choice after the next interval has begun.

    Attributes:
        interval_slots: Slots of an interval.
        factor: Multiplies the measured loss.
        shares: Parity's share of each choice.
        thresholds: Loss rates above 0, rising; None: the shares decide.
        start: The choice until the first report.
    """

    interval_slots: int
    factor: float
    shares: tuple[Fraction, ...]
    thresholds: tuple[float, ...] | None = None
    start: int = 0

    @property
    def name(self) -> str:
        rule = f"{number_text(self.factor)}×" if self.thresholds is None else "thresholds"
        return f"previous-interval {rule}"

    def choose(self, slot: int, reports: Sequence[Report]) -> int:
        """The choice by the loss rate of the interval before; ``start`` until a report of it has come.

        Args:
            slot: Number of the slot, from 0.
            reports: The reports that have reached the sender, in order of arrival.

        Returns:
            Index of the choice.
        """
        loss = loss_of_previous_interval(slot, reports, self.interval_slots)
        if loss is None:
            return self.start
        if self.thresholds is not None:
            return by_thresholds(loss, self.thresholds)
        return by_share(decimal(self.factor) * _ratio(loss), self.shares)


def _ratio(value: float) -> Fraction:
    """The ratio of two counts that a float64 was rounded from, so that 3 × 1/10 is not above a share of 30 %."""
    return Fraction(value).limit_denominator(_LARGEST_COUNT)


def previous_interval(settings: Mapping[str, Any], protections: Sequence[Protection]) -> PreviousInterval:
    """The controller of ``previous-interval: {interval_slots: 10, factor: 2}``.

    ``thresholds`` may replace ``factor``; ``start`` is the choice until the first report.

    Args:
        settings: What the scenario gives: ``interval_slots``, ``factor`` or ``thresholds``, ``start``.
        protections: The protections to choose among.

    Returns:
        The controller.

    Raises:
        InputError: A faulty setting; ``key`` is relative to the settings.
    """
    check_keys(settings, ("interval_slots", "factor", "thresholds", "start"))
    values = {"interval_slots": 10, "factor": 1.0, "start": 0, "thresholds": None} | dict(settings)
    check_whole("interval_slots", values["interval_slots"], least=1)
    check_number("factor", values["factor"])
    check_choice("start", values["start"], protections)
    thresholds = values["thresholds"]
    if thresholds is not None:
        _check_thresholds(thresholds, len(protections))
        if "factor" in settings:
            raise InputError("factor and thresholds are two rules", hint="give one of them", key=("thresholds",))
    return PreviousInterval(
        values["interval_slots"],
        float(values["factor"]),
        tuple(_ratio(protection.share) for protection in protections),
        None if thresholds is None else tuple(float(threshold) for threshold in thresholds),
        values["start"],
    )


def _check_thresholds(thresholds: Any, choices: int) -> None:
    numbers = isinstance(thresholds, list | tuple) and all(is_number(value) and 0 < value <= 1 for value in thresholds)
    if not numbers or len(thresholds) != choices - 1 or list(thresholds) != sorted(thresholds):
        hint = f"{choices} choices have {choices - 1} thresholds between them: loss rates above 0, rising"
        raise InputError(f"thresholds {thresholds!r} do not fit", hint=hint, key=("thresholds",))

"""What a controller gains: its quality beside the best fixed choice and beside an oracle (ResiComp, Fig. 20).

All schemes of a run meet the same channel realisations, so the fixed choices of the same run tell what each slot would
have shown under another choice. The oracle makes one choice per interval, as the controller does, but knows the losses
of the interval: no controller with this interval can be better. That holds only where each choice meets the same losses
whatever was chosen before: a chain that steps with each packet is in another state after choices that send more
packets, and a queue is longer after larger ones. Elsewhere there is no oracle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.slot_values import can_fail, can_lose, slot_quality
from netsim.errors import InputError
from netsim.scenario.plan import Plan, PlanRow
from netsim.statistics.intervals import Estimate, batch_labels, difference_interval, quality_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ControlledRow", "choice_names", "controlled_rows", "course", "gains"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ControlledRow:
    """A controlled row of a plan, with what each of its choices alone shows in the same slots.

    Attributes:
        row: The plan's row.
        interval_slots: Slots between two choices.
        choice: int64 [trials, slots], the choice made.
        quality_db: float64 [trials, slots].
        fixed_db: float64 [choices, trials, slots], of each choice alone.
        loss_rate: float64 [trials, slots], share of the packets lost.
        failed: bool [trials, slots].
        fixed_failed: bool [choices, trials, slots], likewise of each choice alone.
        fixed_loss_rate: float64 [choices, trials, slots], likewise.
        can_fail: Whether a slot of the row, and of each choice alone, can fail.
        can_lose: Whether the channel may lose packets of all of them.
        no_oracle: Why the choices alone tell nothing of an oracle; empty where they do.
    """

    row: PlanRow
    interval_slots: int
    choice: NDArray[np.int64]
    quality_db: Floats
    fixed_db: Floats
    loss_rate: Floats
    failed: Bools
    fixed_failed: Bools
    fixed_loss_rate: Floats
    can_fail: tuple[bool, ...]
    can_lose: bool = False
    no_oracle: str = ""

    @property
    def best_fixed(self) -> int:
        """The choice that alone has the highest mean quality over all trials."""
        return int(self.fixed_db.mean(axis=(1, 2)).argmax())

    @property
    def oracle_choice(self) -> NDArray[np.int64]:
        """int64 [trials, slots], the oracle's choices."""
        interval = np.arange(self.quality_db.shape[1]) // self.interval_slots
        found = np.empty(self.quality_db.shape, dtype=np.int64)
        for one in np.unique(interval):
            found[:, interval == one] = self.fixed_db[:, :, interval == one].mean(axis=2).argmax(axis=0)[:, None]
        return found

    @property
    def oracle_db(self) -> Floats:
        """float64 [trials, slots], the quality of the oracle's choices."""
        return chosen(self.fixed_db, self.oracle_choice)


def chosen(of_choices: NDArray[Any], choice: NDArray[np.int64]) -> NDArray[Any]:
    """What each slot's choice has.

    Args:
        of_choices: [choices, trials, slots].
        choice: int64 [trials, slots].

    Returns:
        [trials, slots].
    """
    return np.take_along_axis(of_choices, choice[None], axis=0)[0]


def controlled_rows(plan: Plan, log: pd.DataFrame) -> list[ControlledRow]:
    """The controlled rows of a plan.

    Args:
        plan: The plan of the run.
        log: Its log.

    Returns:
        In the plan's order.

    Raises:
        InputError: No row is controlled, or a choice does not stand alone in the run or was not simulated slot by slot.
    """
    slots = log[log["packet"].isna()]
    by_row: dict[Any, pd.DataFrame] = dict(list(slots.groupby("row", sort=False)))
    fixed = {(row.schemes[0], row.channel_name, row.link_name): row.index for row in plan.rows if row.control is None}
    found = []
    for row in plan.rows:
        if row.control is None:
            continue
        alone = [fixed.get((scheme, row.channel_name, row.link_name)) for scheme in row.schemes]
        if None in alone:
            message = f"{row.schemes[alone.index(None)].label} is a choice of {row.label}, but does not run alone"
            raise InputError(message, hint="control: [none, …] runs each choice alone, too")
        parts = [by_row[index] for index in (row.index, *alone) if index is not None]
        _check_simulated(row, parts)
        trials = min(part["trial"].nunique() for part in parts)  # with `precision` rows have more or fewer
        mine, *fixed_parts = [part[part["trial"] < trials] for part in parts]
        keys = [(row.settings_text(i), scheme.protection_name) for i, scheme in enumerate(row.schemes)]
        made = [keys.index(key) for key in zip(mine["settings"], mine["protection"], strict=True)]
        choice, quality = _table(mine, np.array(made)), _table(mine, slot_quality(mine, plan.failure_db))
        fixed_db = np.stack([_table(part, slot_quality(part, plan.failure_db)) for part in fixed_parts])
        found.append(
            ControlledRow(
                row,
                _interval_slots(row),
                choice,
                quality,
                fixed_db,
                _loss_rate(mine),
                _table(mine, (mine["status"] == "failed").to_numpy()),
                np.stack([_table(part, (part["status"] == "failed").to_numpy()) for part in fixed_parts]),
                np.stack([_loss_rate(part) for part in fixed_parts]),
                tuple(can_fail(part) for part in (mine, *fixed_parts)),
                all(can_lose(part) for part in (mine, *fixed_parts)),
                _why_no_oracle(row, fixed_parts) or _why_unlike(quality, chosen(fixed_db, choice)),
            )
        )
    if not found:
        raise InputError("no row of the run is controlled", hint="control: [none, {previous-interval: {…}}]")
    return found


def _check_simulated(row: PlanRow, parts: Sequence[pd.DataFrame]) -> None:
    """Check that a row's choices were simulated slot by slot, as the row itself was."""
    for part in parts:
        engine = str(part["engine"].iloc[0])
        if engine not in ("array", "event"):
            message = (
                f"{part['scheme'].iloc[0]}, a choice of {row.label}, has no slots: engine {engine} weights outcomes"
            )
            raise InputError(message, hint="engine: event simulates each choice slot by slot")


def _why_no_oracle(row: PlanRow, fixed_parts: Sequence[pd.DataFrame]) -> str:
    """Why choices may meet other losses than the same choices do after others; empty where they may not."""
    if not row.channel.has_memory:
        return ""
    alike = {"packets_sent": "numbers of packets"} | ({} if row.channel.step_s is None else {"bytes": "sizes"})
    for column, what in alike.items():
        first, *others = [_table(part, part[column].to_numpy()) for part in fixed_parts]
        if any((first != other).any() for other in others):
            return f"its choices send unlike {what}, over a channel with memory"
    return ""


def _why_unlike(quality: Floats, alone: Floats) -> str:
    """What differs from the slots of the same choices alone, as where a queue grew; empty if nothing does."""
    return (
        "" if np.allclose(quality, alone, rtol=0, atol=1e-3) else "its slots show other than the same choices do alone"
    )


def _loss_rate(part: pd.DataFrame) -> Floats:
    sent = np.maximum(part["packets_sent"].to_numpy(dtype=float), 1)
    return _table(part, part["packets_lost"].to_numpy(dtype=float) / sent)


def _interval_slots(row: PlanRow) -> int:
    """Slots between two choices; a controller without ``interval_slots`` may choose anew in each slot."""
    return int(getattr(row.control.controller, "interval_slots", 1)) if row.control is not None else 1


def _table(part: pd.DataFrame, values: NDArray[Any]) -> NDArray[Any]:
    """Values of a row's slots as [trials, slots]."""
    order = np.lexsort((part["slot"].to_numpy(), part["trial"].to_numpy()))
    return values[order].reshape(part["trial"].nunique(), -1)


def choice_names(row: PlanRow) -> list[str]:
    """Short names of a controlled row's choices: as little of what they differ in as tells them apart.

    Args:
        row: A controlled row.

    Returns:
        One name per choice: context mode, protection, operating point, the codec's settings.
    """
    protections = [scheme.protection_name.removeprefix("reed-solomon ") for scheme in row.schemes]
    ways = [[scheme.codec.mode for scheme in row.schemes], protections]
    ways += [[scheme.operating_point for scheme in row.schemes], [scheme.codec.label for scheme in row.schemes]]
    ways += [[scheme.codec.settings_text for scheme in row.schemes]]
    names = [""] * len(row.schemes)
    for way in ways:
        if len(set(names)) < len(names) and len(set(way)) > 1:
            names = [f"{name} {own}".strip() for name, own in zip(names, way, strict=True)]
    return names if any(names) else protections


def gains(plan: Plan, rows: list[ControlledRow]) -> pd.DataFrame:
    """One row per controlled row: mean PSNR, that of the best fixed choice and of the oracle, with 95 % intervals.

    The intervals are those of a summary; those of ``gain`` (over the best fixed choice) and ``regret`` (the oracle's
    lead) are those of ``netsim compare``, of differences slot by slot. The best fixed choice is the best of this run,
    found with hindsight. Oracle and regret are NaN where there is none; the column ``no_oracle`` says why.

    Args:
        plan: The plan of the run.
        rows: From ``controlled_rows``.

    Returns:
        Columns channel, link, scheme, operating_point, trials, slots, interval_slots, best_fixed, and per quantity its
        value and the ends of its interval.
    """
    import pandas as pd

    lines = []
    for one in rows:
        line: dict[str, Any] = {
            "channel": one.row.channel_name,
            "link": one.row.link_name,
            "scheme": one.row.label,
            "operating_point": one.row.operating_point,
            "trials": len(one.choice),
            "slots": one.choice.shape[1],
            "interval_slots": one.interval_slots,
            "best_fixed": choice_names(one.row)[one.best_fixed],
        }
        for name, mean in _estimates(one, plan.failure_db, len(plan.image_names)).items():
            line |= {f"{name}_db": mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
        line["failure_ratio"] = float(one.failed.mean())
        lines.append(line | {"failure_db": plan.failure_db, "no_oracle": one.no_oracle})
    return pd.DataFrame(lines)


@dataclass(frozen=True, eq=False)
class _Course:
    """What slots show, [trials, slots] each, and whether one of them can fail."""

    quality_db: Floats
    failed: Bools
    loss_rate: Floats
    can_fail: bool


def _estimates(one: ControlledRow, failure_db: float, images: int) -> dict[str, Estimate]:
    trials, slots = one.quality_db.shape
    batch = batch_labels(np.repeat(np.arange(trials), slots), np.tile(np.arange(slots), trials), images)
    ones = np.ones(batch.size)

    def mean(of: _Course) -> Estimate:
        columns = of.quality_db.reshape(-1), of.failed.reshape(-1), ones, batch, of.loss_rate.reshape(-1)
        return quality_interval(*columns, failure_db, of.can_fail, one.can_lose)[0]

    def difference(first: _Course, second: _Course) -> Estimate:
        both = (first, second)
        values, failed = [of.quality_db.reshape(-1) for of in both], [of.failed.reshape(-1) for of in both]
        possible = [of.can_fail or (one.can_lose and not of.loss_rate.any()) for of in both]
        struck = (first.loss_rate + second.loss_rate).reshape(-1) > 0 if one.can_lose else None
        proxy = first.loss_rate.reshape(-1)
        return difference_interval(values, failed, ones, batch, proxy, failure_db, possible, struck)

    best, choice = one.best_fixed, one.oracle_choice
    mine = _Course(one.quality_db, one.failed, one.loss_rate, one.can_fail[0])
    fixed = _Course(one.fixed_db[best], one.fixed_failed[best], one.fixed_loss_rate[best], one.can_fail[1 + best])
    found = {"psnr": mean(mine), "fixed": mean(fixed), "gain": difference(mine, fixed)}
    if one.no_oracle:
        return found | dict.fromkeys(("oracle", "regret"), Estimate(math.nan, math.nan, math.nan))
    quality, failed, lost = (chosen(of, choice) for of in (one.fixed_db, one.fixed_failed, one.fixed_loss_rate))
    oracle = _Course(quality, failed, lost, any(one.can_fail[1:]))
    return found | {"oracle": mean(oracle), "regret": difference(oracle, mine)}


def course(rows: list[ControlledRow], trial: int = 0, slots: int = 60) -> pd.DataFrame:
    """The first slots of one trial: one row per controlled row and slot.

    Args:
        rows: From ``controlled_rows``.
        trial: Which trial.
        slots: How many slots of it.

    Returns:
        Columns channel, link, scheme, trial, slot, and what was chosen, lost and shown there.

    Raises:
        InputError: There is no such trial.
    """
    import pandas as pd

    if not 0 <= trial < len(rows[0].choice):
        raise InputError(f"no trial {trial}", hint=f"the run has trials 0 … {len(rows[0].choice) - 1}")
    parts = []
    for one in rows:
        names, shown = np.array(choice_names(one.row)), min(slots, one.choice.shape[1])
        parts.append(
            pd.DataFrame(
                {
                    "channel": one.row.channel_name,
                    "link": one.row.link_name,
                    "scheme": one.row.label,
                    "trial": trial,
                    "slot": np.arange(shown),
                    "interval_slots": one.interval_slots,
                    "choice": one.choice[trial, :shown],
                    "choices": len(names),
                    "choice_name": names[one.choice[trial, :shown]],
                    "psnr_db": one.quality_db[trial, :shown],
                    "failed": one.failed[trial, :shown],
                    "loss_rate": one.loss_rate[trial, :shown],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)

"""What a controller gains: its quality beside the best fixed choice and beside an oracle (ResiComp, Fig. 20).

All schemes of a run meet the same channel realisations, so the fixed choices of the same run tell what each slot would
have shown under another choice. The oracle makes one choice per interval, as the controller does, but knows the losses
of the interval: no controller with this interval can be better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.summary import slot_quality
from netsim.errors import InputError
from netsim.scenario.plan import Plan, PlanRow
from netsim.statistics.intervals import Estimate, mean_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ControlledRow", "choice_names", "controlled_rows", "course", "gains"]

Floats = NDArray[np.float64]


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
    """

    row: PlanRow
    interval_slots: int
    choice: NDArray[np.int64]
    quality_db: Floats
    fixed_db: Floats
    loss_rate: Floats
    failed: NDArray[np.bool_]

    @property
    def best_fixed(self) -> int:
        """The choice that alone has the highest mean quality over all trials."""
        return int(self.fixed_db.mean(axis=(1, 2)).argmax())

    @property
    def oracle_db(self) -> Floats:
        """float64 [trials, slots], the quality of the oracle's choices."""
        interval = np.arange(self.choice.shape[1]) // self.interval_slots
        found = np.empty_like(self.quality_db)
        for one in np.unique(interval):
            mine = self.fixed_db[:, :, interval == one]
            best = mine.mean(axis=2).argmax(axis=0)
            found[:, interval == one] = mine[best, np.arange(len(best))]
        return found


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
        sent = np.maximum(mine["packets_sent"].to_numpy(dtype=float), 1)
        found.append(
            ControlledRow(
                row,
                _interval_slots(row),
                _table(mine, np.array(made)),
                _table(mine, slot_quality(mine, plan.failure_db)),
                np.stack([_table(part, slot_quality(part, plan.failure_db)) for part in fixed_parts]),
                _table(mine, mine["packets_lost"].to_numpy(dtype=float) / sent),
                _table(mine, (mine["status"] == "failed").to_numpy()),
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

    The intervals are t intervals over trials; ``gain`` (over the best fixed choice) and ``regret`` (the oracle's lead)
    are differences trial by trial. The best fixed choice is the best of this run, found with hindsight.

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
        best, oracle = one.fixed_db[one.best_fixed], one.oracle_db
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
        quantities = {"psnr": one.quality_db, "fixed": best, "oracle": oracle}
        quantities |= {"gain": one.quality_db - best, "regret": oracle - one.quality_db}
        for name, values in quantities.items():
            mean = _over_trials(values)
            line |= {f"{name}_db": mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
        line["failure_ratio"] = float(one.failed.mean())
        lines.append(line | {"failure_db": plan.failure_db})
    return pd.DataFrame(lines)


def _over_trials(values: Floats) -> Estimate:
    trials = np.repeat(np.arange(len(values)), values.shape[1])
    return mean_interval(values.reshape(-1), np.ones(values.size), trials)


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

"""The channels of a run in numbers, beside what their papers print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netsim.channels.describe import describe, discrepancies
from netsim.channels.spec import channel_from_spec
from netsim.errors import InputError
from netsim.report.page import OF_ALL_SENT, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["channel_table"]

_NONE = "–"
_IN_THIS_RUN = f"In this run: {OF_ALL_SENT}."


def channel_table(summary: pd.DataFrame, scenario: Mapping[str, Any]) -> Table | None:
    """A row per channel of the scenario: its closed forms, the run's loss rate, and the paper's numbers.

    Args:
        summary: Of the run's log.
        scenario: As the manifest has it.

    Returns:
        The table, its remarks below; None where the scenario lists no channels.
    """
    specs = scenario.get("channels")
    if not isinstance(specs, list) or not specs:
        return None
    rows, remarks = [], []
    measured = summary.groupby("channel", sort=False, observed=True)["loss_rate"].mean()
    for spec in specs:
        name = _name(spec)
        try:
            facts = describe(spec)
            differs = facts["discrepancies"] or discrepancies(spec)
        except InputError as error:
            remarks.append(f"{name}: {error.message}.")
            continue
        name = channel_from_spec(spec).name
        here = float(measured[name]) if name in measured.index else None
        rows.append((_cells(name, facts, here, differs), False))
        remarks += [f"{name}: {sentence}." for sentence in [*differs, *facts["notes"]]]
    head = ["channel", "packets lost", "in this run", "mean burst", "autocorrelation, lag 1"]
    head += ["paper: packets lost", "paper: mean burst", "as the paper says"]
    return Table("Channels", tuple(head), rows, (0, 7), (_IN_THIS_RUN, *remarks))


def _cells(name: str, facts: Mapping[str, Any], measured: float | None, differs: list[str]) -> tuple[str, ...]:
    printed = facts["published"] or {}
    agrees = ("no" if differs else "yes") if printed or differs else "no paper"
    return (
        name,
        _percent(facts["loss_rate"]),
        _percent(measured),
        _number(facts["mean_burst"]),
        _number(facts["autocorrelation"][0] if facts["autocorrelation"] else None),
        _percent(printed.get("loss_rate")),
        _number(printed.get("mean_burst")),
        agrees,
    )


def _name(spec: Any) -> str:
    return str(spec.get("name", spec)) if isinstance(spec, Mapping) else str(spec)


def _percent(rate: float | None) -> str:
    return _NONE if rate is None else f"{100 * rate:.2f} %"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"

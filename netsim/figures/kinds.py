"""The kinds of figure by name, each drawn from a log alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["KINDS", "Kind", "figure_kind", "make"]


class Kind(NamedTuple):
    """A figure: the name of its files, what it shows in one line, whether it reads the log, what can be set."""

    file_name: str
    title: str
    reads_log: bool
    options: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "radar": Kind(
        "radar", "Mean PSNR over a range of rates, relative to the best scheme", False, ("low_bpp", "high_bpp")
    ),
    "failure": Kind("failure_ratio", "Share of slots without a picture", False, ("near_bpp",)),
    "rd": Kind("rd", "Rate–distortion per channel", False, ()),
    "timeline": Kind("timeline", "PSNR from slot to slot in one trial", True, ("trial", "slots", "near_bpp")),
}


def figure_kind(name: str) -> Kind:
    """The kind called ``name``. Raises InputError with the nearest known one."""
    if name not in KINDS:
        raise InputError(f"no figure `{name}`", hint=did_you_mean(name, KINDS))
    return KINDS[name]


def make(name: str, log: pd.DataFrame, summary: pd.DataFrame, **options: Any) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the drawing of a figure.

    log: a run's log, packet rows included; summary: what ``summarise`` makes of it.
    options: those that the kind knows; None stands for its default.
    Raises InputError for an unknown kind or an option that it does not have, or if the log can't be drawn so.
    """
    from netsim.figures import failure, radar, rd, timeline

    kind = figure_kind(name)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in kind.options:
            known = ", ".join(map(_flag, kind.options)) or "none"
            raise InputError(f"the {name} figure has no option {_flag(key)}", hint=f"its options: {known}")
    if kind.reads_log:
        numbers = timeline.numbers(log, float(summary["failure_db"].iloc[0]), **given)
        return numbers, timeline.draw(numbers)
    module: Any = {"radar": radar, "failure": failure, "rd": rd}[name]
    numbers = module.numbers(summary, **given)
    return numbers, module.draw(numbers)


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")

"""A finished run's figures and its report, written beside its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.analysis.log_groups import first_struck_trial, summary_of_log
from netsim.errors import InputError
from netsim.figures.files import figure_bytes, save
from netsim.figures.kinds import KINDS, make
from netsim.figures.radar import common_range
from netsim.figures.select import NEAR_BPP, nearest_point, with_condition
from netsim.figures.timeline import slots_shown
from netsim.report.channel_facts import channel_table
from netsim.report.page import FigureText, report_html
from netsim.report.slots import slot_section
from netsim.runs.atomic import write_atomically
from netsim.runs.results import FinishedRun, load_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["illustrate", "write_report"]

_MOST_BYTES = 13_000_000  # of figures and images; the page stays below 15 MB


def illustrate(run: Path) -> list[Path]:
    """Draw every figure that the run has data for, and write the report.

    Args:
        run: The run's folder.

    Returns:
        The files written.

    Raises:
        InputError: ``run`` is not a finished run.
    """
    found, summary = _read(run)
    rates = common_range(summary)
    files: list[Path] = []
    figures, log = [], _log_of_one_trial(found, summary)
    for name, kind in KINDS.items():
        drawing = _drawing(name, log, summary, rates)
        if isinstance(drawing, FigureText):
            figures.append(drawing)
            continue
        numbers, figure = drawing
        written = save(figure, numbers, run, kind.file_name)
        figures.append(FigureText(name, kind.title, (run / f"{kind.file_name}.svg").read_bytes(), ""))
        files += written
    files += _strip(found)
    return [*files, _write_page(found, summary, figures, rates, run / "report.html")]


def _strip(found: FinishedRun) -> list[Path]:
    """The row of images, where the run's images and codecs are still there."""
    from netsim.figures.of_run import figure_of_run

    try:
        name, numbers, figure = figure_of_run(found, "strip")
    except InputError:
        return []
    return save(figure, numbers, found.path, name)


def write_report(
    run: Path,
    out: Path | None = None,
    low_bpp: float | None = None,
    high_bpp: float | None = None,
    trial: int | None = None,
    slots: Sequence[int] = (),
) -> Path:
    """Write the report alone.

    Args:
        run: A finished run's folder.
        out: The file; default RUN/report.html.
        low_bpp: Lower end of the rates over which schemes are ranked; default: that of the range that all cover.
        high_bpp: Upper end, likewise.
        trial: The trial whose slots' images are shown; None: typical and bad slots of all trials.
        slots: Numbers of slots, of trial 0 if none is named; none: the first ones in which a packet did not arrive.

    Returns:
        The report's path.

    Raises:
        InputError: ``run`` is not a finished run or has no such trial or slot, the folder of ``out`` is missing, or
            the rates are not a range.
    """
    found, summary = _read(run)
    low, high = common_range(summary)
    rates = (low if low_bpp is None else low_bpp, high if high_bpp is None else high_bpp)
    if not 0 <= rates[0] < rates[1]:
        hint = f"the run's schemes are compared over {low:.3g}–{high:.3g} bit/pixel by default"
        raise InputError(f"rates from {rates[0]:g} to {rates[1]:g} bpp are not a range", where="--low-bpp", hint=hint)
    path = out or run / "report.html"
    if not path.parent.is_dir():
        raise InputError(f"no folder `{path.parent}`", hint="make it first, or write elsewhere")
    figures, log = [], _log_of_one_trial(found, summary)
    for name, kind in KINDS.items():
        drawing = _drawing(name, log, summary, rates)
        if not isinstance(drawing, FigureText):
            drawing = FigureText(name, kind.title, figure_bytes(drawing[1], "svg"), "")
        figures.append(drawing)
    return _write_page(found, summary, figures, rates, path, trial, slots)


def _read(run: Path) -> tuple[FinishedRun, pd.DataFrame]:
    found = load_run(run)
    return found, summary_of_log(found.checked("log.parquet"), found.manifest.get("failure_db", 13.0))


def _log_of_one_trial(found: FinishedRun, summary: pd.DataFrame) -> pd.DataFrame:
    """The log of the trial that the timeline shows: the first in which a packet of what it draws does not arrive."""
    points = with_condition(summary)
    slots = slots_shown(found.manifest.get("scenario", {}).get("log") == "packets")
    trial = first_struck_trial(found.checked("log.parquet"), points[nearest_point(points, NEAR_BPP)], slots)
    return found.trial_log(trial or 0)


Rates = tuple[float, float]


def _drawing(
    name: str, log: pd.DataFrame, summary: pd.DataFrame, rates: Rates
) -> tuple[pd.DataFrame, Figure] | FigureText:
    """A figure's numbers and drawing, or why this run has none (the others are drawn all the same).

    log: of the trial that the timeline shows; the others draw the summary.
    """
    try:
        ranked: Any = {"low_bpp": rates[0], "high_bpp": rates[1]} if name == "radar" else {}
        return make(name, log, summary, **ranked)
    except InputError as error:
        return FigureText(name, KINDS[name].title, None, error.message)


def _write_page(
    found: FinishedRun,
    summary: pd.DataFrame,
    figures: list[FigureText],
    rates: Rates,
    path: Path,
    trial: int | None = None,
    slots: Sequence[int] = (),
) -> Path:
    drawn = sum(len(one.svg) for one in figures if one.svg)
    shown = slot_section(found, summary, max(0, _MOST_BYTES - drawn), trial, slots)
    channels = channel_table(summary, found.manifest.get("scenario", {}))
    page = report_html(summary, found.manifest, figures, rates, shown, channels).encode("utf-8")
    write_atomically(path, lambda file: file.write(page))
    return path

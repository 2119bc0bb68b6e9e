"""A finished run's figures and its report, written beside its log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.errors import InputError
from netsim.figures.kinds import KINDS, make
from netsim.figures.style import figure_bytes, save
from netsim.metrics.summary import summarise
from netsim.report.page import FigureText, report_html
from netsim.runs.files import write_atomically
from netsim.runs.results import Run, load_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["illustrate", "write_report"]


def illustrate(run: Path) -> list[Path]:
    """Draw every figure that the run has data for and write the report; returns the files written.

    Raises InputError if ``run`` is no finished run.
    """
    found, summary = _read(run)
    files: list[Path] = []
    figures = []
    for name, kind in KINDS.items():
        drawing = _drawing(name, found, summary)
        if isinstance(drawing, FigureText):
            figures.append(drawing)
            continue
        numbers, figure = drawing
        written = save(figure, numbers, run, kind.file_name)
        figures.append(FigureText(name, kind.title, (run / f"{kind.file_name}.svg").read_bytes(), ""))
        files += written
    return [*files, _write_page(found, summary, figures, run / "report.html")]


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report alone (to RUN/report.html unless told otherwise); returns its path.

    Raises InputError if ``run`` is no finished run, or out's folder is missing.
    """
    found, summary = _read(run)
    path = out or run / "report.html"
    if not path.parent.is_dir():
        raise InputError(f"no folder `{path.parent}`", hint="make it first, or write elsewhere")
    figures = []
    for name, kind in KINDS.items():
        drawing = _drawing(name, found, summary)
        if not isinstance(drawing, FigureText):
            drawing = FigureText(name, kind.title, figure_bytes(drawing[1], "svg"), "")
        figures.append(drawing)
    return _write_page(found, summary, figures, path)


def _read(run: Path) -> tuple[Run, pd.DataFrame]:
    found = load_run(run)
    return found, summarise(found.log, found.manifest.get("failure_db", 13.0))


def _drawing(name: str, found: Run, summary: pd.DataFrame) -> tuple[pd.DataFrame, Figure] | FigureText:
    """A figure's numbers and drawing, or why this run has none (the others are drawn all the same)."""
    try:
        return make(name, found.log, summary)
    except InputError as error:
        return FigureText(name, KINDS[name].title, None, error.message)


def _write_page(found: Run, summary: pd.DataFrame, figures: list[FigureText], path: Path) -> Path:
    page = report_html(summary, found.manifest, figures).encode("utf-8")
    write_atomically(path, lambda file: file.write(page))
    return path

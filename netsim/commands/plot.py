"""``netsim plot KIND RUN``: one figure of a run, as PNG, SVG and the numbers it drew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["plot"]


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="radar, failure, rd or timeline.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [the run's folder].")] = None,
    low_bpp: Annotated[float | None, typer.Option("--low-bpp", help="radar: range of rates from [0.3]")] = None,
    high_bpp: Annotated[float | None, typer.Option("--high-bpp", help="radar: range of rates to [0.4]")] = None,
    near_bpp: Annotated[
        float | None, typer.Option("--near-bpp", help="failure, timeline: the operating point nearest to this [0.35]")
    ] = None,
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="timeline: which trial [0]")] = None,
    slots: Annotated[int | None, typer.Option("--slots", min=1, help="timeline: its first slots [60]")] = None,
) -> None:
    """Draw a figure of a run: radar, failure ratio, rate–distortion or PSNR over time."""
    from netsim.figures.kinds import figure_kind, make
    from netsim.figures.style import save
    from netsim.metrics.summary import summarise
    from netsim.runs.results import load_run

    file_name = figure_kind(kind).file_name  # an unknown kind is told before a long log is read
    found = load_run(run)
    summary = summarise(found.log, found.manifest.get("failure_db", 13.0))
    numbers, figure = make(
        kind,
        found.log,
        summary,
        low_bpp=low_bpp,
        high_bpp=high_bpp,
        near_bpp=near_bpp,
        trial=trial,
        slots=slots,
    )
    for path in save(figure, numbers, out or run, file_name):
        typer.echo(f"wrote  {path}")

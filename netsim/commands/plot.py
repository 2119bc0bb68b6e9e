"""``netsim plot KIND RUN``: one figure of a run, as PNG, SVG and the numbers it drew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from netsim.runs.results import Run

__all__ = ["plot"]


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="radar, failure, rd, timeline or winner.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [the run's folder].")] = None,
    low_bpp: Annotated[float | None, typer.Option("--low-bpp", help="radar: range of rates from [0.3]")] = None,
    high_bpp: Annotated[float | None, typer.Option("--high-bpp", help="radar: range of rates to [0.4]")] = None,
    near_bpp: Annotated[
        float | None, typer.Option("--near-bpp", help="failure, timeline, winner: at or nearest to this rate [0.35]")
    ] = None,
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="timeline: which trial [0]")] = None,
    slots: Annotated[int | None, typer.Option("--slots", min=1, help="timeline: its first slots [60]")] = None,
    images: Annotated[
        list[str] | None, typer.Option("--image", metavar="NAME", help="winner: over these pictures [all of the run's]")
    ] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="NAME", help="winner: a link of the run [its first]")
    ] = None,
) -> None:
    """Draw a figure of a run: radar, failure ratio, rate–distortion, PSNR over time, or which scheme is best where."""
    from netsim.figures.kinds import TABLE_KINDS, figure_kind, given_options, make
    from netsim.figures.style import save
    from netsim.runs.results import load_run

    rates = {"low_bpp": low_bpp, "high_bpp": high_bpp, "near_bpp": near_bpp}
    options = given_options(kind, {**rates, "trial": trial, "slots": slots, "images": images or None, "link": link})
    found = load_run(run)  # an unknown kind or option is told before a long log is read
    if kind in TABLE_KINDS:
        numbers, figure = _winner(found, options)
    else:
        from netsim.metrics.summary import summarise

        numbers, figure = make(kind, found.log, summarise(found.log, found.manifest.get("failure_db", 13.0)), **options)
    for path in save(figure, numbers, out or run, figure_kind(kind).file_name):
        typer.echo(f"wrote  {path}")


def _winner(run: Run, options: dict[str, Any]) -> tuple[pd.DataFrame, Figure]:
    """The winner map: from mask tables, so it takes the run's plan and pictures, not its log."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.winner import draw
    from netsim.insight.plan_of_run import plan_of_run
    from netsim.insight.winner import winner_numbers

    with Store() as store:
        numbers = winner_numbers(
            plan_of_run(run), Workshop(store), say=lambda text: typer.echo(text, err=True), **options
        )
    return numbers, draw(numbers)

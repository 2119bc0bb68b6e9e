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
    kind: Annotated[str, typer.Argument(metavar="KIND", help="radar, failure, rd, timeline, winner, or a plug-in.")],
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
    over: Annotated[
        str | None, typer.Option("--over", metavar="AXIS", help="winner: loss rate × burst, or × rtt [burst]")
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
    tables = {"images": images or None, "link": link, "over": over}
    options = given_options(kind, {**rates, "trial": trial, "slots": slots, **tables})
    name = figure_kind(kind).file_name
    found = load_run(run)  # an unknown kind or option is told before a long log is read
    if kind in TABLE_KINDS:
        numbers, figure = _winner(found, options)
        name += "_rtt" if over == "rtt" else ""
    else:
        from netsim.metrics.summary import summarise

        numbers, figure = make(kind, found.log, summarise(found.log, found.manifest.get("failure_db", 13.0)), **options)
    for path in save(figure, numbers, out or run, name):
        typer.echo(f"wrote  {path}")


def _winner(run: Run, options: dict[str, Any]) -> tuple[pd.DataFrame, Figure]:
    """The winner map, from the run's plan: × burst by mask tables, × round trip sampled."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.errors import InputError, did_you_mean
    from netsim.figures.winner import LOSS_RATE, MEAN_BURST, ROUND_TRIP, draw
    from netsim.insight.plan_of_run import plan_of_run
    from netsim.insight.round_trip import round_trip_numbers
    from netsim.insight.winner import winner_numbers
    from netsim.runs.progress import ConsoleReporter, counted

    over = options.pop("over", "burst")
    makers: dict[str, Any] = {"burst": (winner_numbers, MEAN_BURST), "rtt": (round_trip_numbers, ROUND_TRIP)}
    if over not in makers:
        raise InputError(f"no map over `{over}`", where="--over", hint=did_you_mean(over, makers))
    numbers_of, axis = makers[over]
    with Store() as store, ConsoleReporter().board() as board:
        if over == "rtt":
            options["count"] = counted(board, "sample")
        shop = Workshop(store, counted(board, "decode"))
        numbers = numbers_of(plan_of_run(run), shop, say=lambda text: typer.echo(text, err=True), **options)
    return numbers, draw(numbers, LOSS_RATE, axis)

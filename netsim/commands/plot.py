"""``netsim plot KIND RUN``: one figure of a run, as PNG, SVG and the numbers it drew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from netsim.scenario.plan import Plan

__all__ = ["fitting_figure", "plot"]

_SPOKES = 3  # with fewer a radar has no polygon


def plot(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="radar, failure, rd, timeline, winner, strip, or a plug-in.")
    ],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [the run's folder].")] = None,
    low_bpp: Annotated[float | None, typer.Option("--low-bpp", help="radar: range from [what all cover]")] = None,
    high_bpp: Annotated[float | None, typer.Option("--high-bpp", help="radar: range to [what all cover]")] = None,
    near_bpp: Annotated[
        float | None, typer.Option("--near-bpp", help="failure, timeline, winner: at or nearest to this rate [0.35]")
    ] = None,
    trial: Annotated[
        int | None, typer.Option("--trial", min=0, help="timeline: which trial [first with a loss]")
    ] = None,
    slots: Annotated[int | None, typer.Option("--slots", min=1, help="timeline: its first slots [60]")] = None,
    images: Annotated[
        list[str] | None, typer.Option("--image", metavar="NAME", help="winner: over these images [all of the run's]")
    ] = None,
    over: Annotated[
        str | None, typer.Option("--over", metavar="AXIS", help="winner: loss rate × burst, or × rtt [burst]")
    ] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="NAME", help="winner: a link of the run [its first]")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="strip: whose losses [of median loss rate]")
    ] = None,
    highlight: Annotated[
        list[str] | None,
        typer.Option(
            "--highlight",
            metavar="SCHEME",
            help="radar, rd, strip: in colour, or shown [five: the best of each codec first]",
        ),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also PDFs of one and two columns (3.5 and 7.16 in), in 8 points.")
    ] = False,
    width_in: Annotated[
        float | None, typer.Option("--width-in", metavar="INCHES", help="Also a PDF of this width, in 8 points.")
    ] = None,
    bars: Annotated[
        str | None,
        typer.Option("--bars", metavar="WHAT", help="rd: interval, or range (over the loss traces) [interval]"),
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option("--published", metavar="NAME", help="rd: a published curve, e.g. vtm [the scenario's]"),
    ] = None,
) -> None:
    """Draw a figure of a run: radar, failure ratio, rate–distortion, PSNR over time, or which scheme is best where."""
    from netsim.figures.kinds import flag, given_options

    rates = {"low_bpp": low_bpp, "high_bpp": high_bpp, "near_bpp": near_bpp}
    more = {"channel": channel, "highlight": highlight or None, "published": published or None, "bars": bars}
    tables = {"images": images or None, "link": link, "over": over}
    options = given_options(kind, {**rates, "trial": trial, "slots": slots, **tables, **more}, flag)
    _write(run, kind, out or run, paper, width_in, options)


def fitting_figure(plan: Plan) -> str:
    """The figure to begin with.

    Args:
        plan: What has run.

    Returns:
        timeline where each arrival is logged; radar of several schemes over three conditions or more; rd of several
        operating points; else failure.
    """
    points: dict[str, set[str]] = {}
    for choice in plan.rows.choices:
        points.setdefault(choice.label, set()).add(choice.operating_point)
    if plan.log == "packets":
        return "timeline"
    if len(points) > 1 and len(plan.rows.channels) * len(plan.rows.links) >= _SPOKES:
        return "radar"
    return "rd" if any(len(some) > 1 for some in points.values()) else "failure"


def _write(run: Path, kind: str, out: Path, paper: bool, width_in: float | None, options: dict[str, Any]) -> None:
    from netsim.figures.files import save, save_for_paper
    from netsim.figures.of_run import figure_of_run
    from netsim.figures.style import PAPER_WIDTHS_IN, as_wide_as
    from netsim.runs.progress import ConsoleReporter
    from netsim.runs.results import load_run

    widths = dict(PAPER_WIDTHS_IN) if paper else {}
    if width_in is not None:
        with as_wide_as(width_in):  # a width that no page has is refused before anything is drawn
            widths[f"-{width_in:g}in"] = width_in
    found = load_run(run)  # an unknown kind or option is refused before a long log is read
    reporter = ConsoleReporter()

    def drawn() -> tuple[str, pd.DataFrame, Figure]:
        return figure_of_run(found, kind, reporter=reporter, say=lambda text: typer.echo(text, err=True), **options)

    name, numbers, figure = drawn()
    paths = save(figure, numbers, out, name)
    paths += save_for_paper(lambda: drawn()[2], out, name, widths)
    if kind == "timeline" and "trial" not in options:
        typer.echo(f"shows  trial {numbers['trial'].iloc[0]} (--trial: another)", err=True)
    for path in paths:
        typer.echo(f"wrote  {path}")

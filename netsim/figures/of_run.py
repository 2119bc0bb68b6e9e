"""Any figure of a run: ``netsim plot`` and ``Run.plot`` draw through this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError
from netsim.figures.kinds import TABLE_KINDS, figure_kind, given_options, make
from netsim.figures.style import as_wide_as
from netsim.runs.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from netsim.runs.results import FinishedRun

__all__ = ["figure_of_run"]


def figure_of_run(
    run: FinishedRun,
    kind: str,
    *,
    ax: Axes | None = None,
    width_in: float | None = None,
    reporter: Reporter | None = None,
    say: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> tuple[str, pd.DataFrame, Figure]:
    """Draw a figure of a run.

    Args:
        run: A finished run.
        kind: radar, failure, rd, timeline, winner, strip, or a plug-in of kind ``figure``.
        ax: Axes to draw into; None: a new figure. Only for figures of one panel.
        width_in: Width for a paper, in inches: all text then has 8 points. None: as for a screen.
        reporter: Shows how far a figure is that takes long.
        say: Gets notes in one line each.
        **options: The kind's options; None stands for the default.

    Returns:
        Name of the figure's files, its numbers, its drawing.

    Raises:
        InputError: An unknown kind or option, or a run that can't be drawn so.
    """
    if width_in is not None:
        if ax is not None:
            raise InputError("ax= has a width already", hint="leave ax= or width_in= out")
        with as_wide_as(width_in):
            return figure_of_run(run, kind, reporter=reporter, say=say, **options)
    given, name = given_options(kind, options), figure_kind(kind).file_name
    if kind == "strip":
        return name, *_strip(run, given, ax)
    if kind in TABLE_KINDS:
        numbers, figure = _winner(run, given, ax, reporter or Reporter(), say)
        return f"{name}_rtt" if given.get("over") == "rtt" else name, numbers, figure
    from netsim.analysis.summary import summarise

    if kind == "rd" and "published" not in given:
        given["published"] = run.manifest.get("scenario", {}).get("published", [])
    summary = summarise(run.log, run.manifest.get("failure_db", 13.0))
    return name, *make(kind, run.log, summary, ax=ax, **given)


def _strip(run: FinishedRun, given: dict[str, Any], ax: Axes | None) -> tuple[pd.DataFrame, Figure]:
    """A row of images: what was sent, and what schemes show of it."""
    from netsim.analysis.strip import strip_numbers, strip_of_run
    from netsim.figures.strip import draw

    if ax is not None:
        raise InputError("the strip figure has several panels, ax= is one", hint="leave ax= out")
    options = dict(given)
    strip = strip_of_run(run, schemes=options.pop("highlight", None), **options)
    numbers = strip_numbers(strip.image, strip.losses, strip.images)
    return numbers, draw(strip.original, strip.images, strip.losses)


def _winner(
    run: FinishedRun, given: dict[str, Any], ax: Axes | None, reporter: Reporter, say: Callable[[str], None]
) -> tuple[pd.DataFrame, Figure]:
    """The winner map, from the run's plan: over bursts by mask tables, over round trips by sampling."""
    from netsim.analysis.winner_map import winner_map
    from netsim.figures.winner import LOSS_RATE, MEAN_BURST, ROUND_TRIP, draw

    numbers = winner_map(run, reporter=reporter, say=say, **given)
    return numbers, draw(numbers, LOSS_RATE, ROUND_TRIP if given.get("over") == "rtt" else MEAN_BURST, ax=ax)

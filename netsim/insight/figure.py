"""Any figure of a run: ``netsim plot`` and ``Run.plot`` draw through this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError, did_you_mean
from netsim.figures.kinds import TABLE_KINDS, figure_kind, given_options, make
from netsim.runs.progress import Reporter, counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from netsim.runs.results import Run

__all__ = ["figure_of_run"]


def figure_of_run(
    run: Run,
    kind: str,
    *,
    ax: Axes | None = None,
    reporter: Reporter | None = None,
    say: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> tuple[str, pd.DataFrame, Figure]:
    """Draw a figure of a run.

    Args:
        run: A finished run.
        kind: radar, failure, rd, timeline, winner, or a plug-in of kind ``figure``.
        ax: Axes to draw into; None: a new figure. Only for figures of one panel.
        reporter: Shows how far a figure is that takes long.
        say: Gets notes in one line each.
        **options: The kind's options; None stands for the default.

    Returns:
        Name of the figure's files, its numbers, its drawing.

    Raises:
        InputError: An unknown kind or option, or a run that can't be drawn so.
    """
    given, name = given_options(kind, options), figure_kind(kind).file_name
    if kind in TABLE_KINDS:
        numbers, figure = _winner(run, given, ax, reporter or Reporter(), say)
        return f"{name}_rtt" if given.get("over") == "rtt" else name, numbers, figure
    from netsim.metrics.summary import summarise

    summary = summarise(run.log, run.manifest.get("failure_db", 13.0))
    return name, *make(kind, run.log, summary, ax=ax, **given)


def _winner(
    run: Run, given: dict[str, Any], ax: Axes | None, reporter: Reporter, say: Callable[[str], None]
) -> tuple[pd.DataFrame, Figure]:
    """The winner map, from the run's plan: × burst by mask tables, × round trip sampled."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.winner import LOSS_RATE, MEAN_BURST, ROUND_TRIP, draw
    from netsim.insight.plan_of_run import plan_of_run
    from netsim.insight.round_trip import round_trip_numbers
    from netsim.insight.winner import winner_numbers

    options = dict(given)
    over = options.pop("over", "burst")
    makers: dict[str, Any] = {"burst": (winner_numbers, MEAN_BURST), "rtt": (round_trip_numbers, ROUND_TRIP)}
    if over not in makers:
        raise InputError(f"no map over `{over}`", where="--over", hint=did_you_mean(over, makers))
    numbers_of, axis = makers[over]
    with Store() as store, reporter.board() as board:
        if over == "rtt":
            options["count"] = counted(board, "sample")
        shop = Workshop(store, counted(board, "decode"))
        numbers = numbers_of(plan_of_run(run), shop, say=say, **options)
    return numbers, draw(numbers, LOSS_RATE, axis, ax=ax)

"""The kinds of figure by name: those drawn from a log alone, and those that need a run's mask tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.errors import InputError, did_you_mean
from netsim.registry import load_plugin, name_hint, plugin_names, unknown_hint
from netsim.signatures import keyword_only, kind_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "TABLE_KINDS",
    "Kind",
    "built_in_names",
    "figure_kind",
    "flag",
    "given_options",
    "make",
]


class Kind(NamedTuple):
    """A figure: the name of its files, what it shows in one line, whether it reads the log, what can be set."""

    file_name: str
    title: str
    reads_log: bool
    options: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "radar": Kind(
        "radar",
        "Mean PSNR over a range of rates, relative to the best scheme",
        False,
        ("low_bpp", "high_bpp", "highlight"),
    ),
    "failure": Kind("failure_ratio", "Share of slots without an image", False, ("near_bpp",)),
    "rd": Kind("rd", "Rate–distortion per channel", False, ("bars", "published", "highlight")),
    "timeline": Kind("timeline", "PSNR from slot to slot in one trial", True, ("trial", "slots", "near_bpp")),
}

TABLE_KINDS: Mapping[str, Kind] = {
    "winner": Kind(
        "winner_map", "Best scheme over loss rate and mean burst", False, ("near_bpp", "images", "link", "over")
    ),
    "strip": Kind(
        "strip",
        "What schemes show of one image under one loss pattern",
        False,
        ("images", "channel", "near_bpp", "highlight"),
    ),
}
"""Kinds that a log is not enough for: ``netsim.analysis`` makes their numbers from the run's plan and its images."""


def built_in_names() -> list[str]:
    """Names of netsim's own figures.

    Returns:
        Those drawn from a log, then those that need more.
    """
    return [*KINDS, *TABLE_KINDS]


def figure_kind(name: str) -> Kind:
    """The kind called ``name``, netsim's own or a plug-in.

    A plug-in is a function ``(log, summary, *, options) -> (numbers, Figure)``. Its title is the first line of its
    docstring; its options are its keyword-only parameters, ``ax`` left out.

    Args:
        name: radar, failure, …, or a plug-in's name.

    Returns:
        The kind.

    Raises:
        InputError: There is none; the hint is the nearest known one.
    """
    known = {**KINDS, **TABLE_KINDS}
    if not isinstance(name, str):
        raise InputError(f"figure {name!r} is {kind_of(name)}, not a name", hint=name_hint("figure", name))
    if name in known:
        return known[name]
    if name not in plugin_names("figure"):
        raise InputError(f"no figure `{name}`", hint=unknown_hint("figure", name, [*known, *plugin_names("figure")]))
    function = load_plugin("figure", name)
    title = (inspect.getdoc(function) or name).splitlines()[0]
    options = [key for key in keyword_only(function) if key != "ax"]
    return Kind(re.sub(r"[^\w.=-]+", "_", name), title, True, tuple(options))


def given_options(
    name: str, options: Mapping[str, Any], written: Callable[[str], str] = lambda option: option
) -> dict[str, Any]:
    """Those of a kind's options that are given.

    Args:
        name: The kind.
        options: Values by option; None: not given.
        written: How the user writes an option.

    Returns:
        The options that are not None.

    Raises:
        InputError: An unknown kind, or an option that it does not have.
    """
    kind = figure_kind(name)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in kind.options:
            known = [written(option) for option in kind.options]
            hint = did_you_mean(written(key), known) if known else "it has none"
            raise InputError(f"the {name} figure has no option `{written(key)}`", hint=hint)
    return given


def make(
    name: str, log: pd.DataFrame, summary: pd.DataFrame, *, ax: Axes | None = None, **options: Any
) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the drawing of a figure that needs a log alone.

    Args:
        name: One of ``KINDS``, or a plug-in.
        log: A run's log, packet rows included.
        summary: What ``summarise`` makes of it.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.
        **options: Those that the kind has; None stands for its default.

    Returns:
        The numbers that are drawn, and the figure.

    Raises:
        InputError: An unknown kind, an option that it does not have, or a log that can't be drawn so.
    """
    from netsim.figures import failure, radar, rd, timeline

    kind, given = figure_kind(name), given_options(name, options)
    if name in plugin_names("figure"):
        return _plugin(name, log, summary, ax, **given)
    if name not in KINDS:
        raise InputError(f"the {name} figure needs more than a log", hint=f"netsim plot {name} RUN")
    if kind.reads_log:
        numbers = timeline.numbers(log, float(summary["failure_db"].iloc[0]), **given)
        return numbers, timeline.draw(numbers, ax)
    if name == "rd":
        given = _rd_options(log, summary, **given)
    module: Any = {"radar": radar, "failure": failure, "rd": rd}[name]
    numbers = module.numbers(summary, **given)
    return numbers, module.draw(numbers, ax)


def _plugin(
    name: str, log: pd.DataFrame, summary: pd.DataFrame, ax: Axes | None, **options: Any
) -> tuple[pd.DataFrame, Figure]:
    import pandas as pd
    from matplotlib.figure import Figure

    from netsim.figures.style import figure_size, in_small_print, page_width

    function = load_plugin("figure", name)
    if ax is not None and "ax" not in inspect.signature(function).parameters:
        raise InputError(f"figure `{name}` takes no ax=", hint="leave it out")
    made = function(log, summary, **options, **({} if ax is None else {"ax": ax}))
    is_pair = isinstance(made, tuple) and len(made) == 2
    if not (is_pair and isinstance(made[0], pd.DataFrame) and isinstance(made[1], Figure)):
        raise InputError(f"figure `{name}` returns {kind_of(made)}", hint=_RETURNS)
    if ax is None and page_width() is not None:  # a plug-in knows no paper
        width, height = made[1].get_size_inches()
        made[1].set_size_inches(*figure_size(width, height))
        in_small_print(made[1])
    return made


_RETURNS = "a figure returns its numbers and its drawing: (pandas.DataFrame, matplotlib.figure.Figure)"


def _rd_options(
    log: pd.DataFrame,
    summary: pd.DataFrame,
    bars: str = "interval",
    published: Sequence[str] = (),
    highlight: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What the rd figure draws besides the summary.

    Args:
        log: Of a run.
        summary: Of that log.
        bars: What they show, the 95 % ``interval`` or the ``range`` over the loss traces.
        published: Names of published curves, drawn in every panel.
        highlight: Schemes that are drawn in colour; None: five, the best of each codec first.
    """
    from netsim.analysis.traces import trace_spread
    from netsim.published import published_curves

    if bars not in ("interval", "range"):
        raise InputError(f"bars `{bars}`", where="--bars", hint=did_you_mean(bars, ("interval", "range")))
    made: dict[str, Any] = {} if highlight is None else {"highlight": highlight}
    if bars == "range":
        made["spread"] = trace_spread(log, float(summary["failure_db"].iloc[0]))
    if published:
        try:
            curves = published_curves(list(published))
        except InputError as error:
            raise error.at("--published") from None
        made["published"] = curves.merge(summary[["channel"]].drop_duplicates(), how="cross")
    return made


def flag(option: str) -> str:
    """An option as the command line has it.

    Args:
        option: Name of the option in Python.

    Returns:
        The flag, with ``--``.
    """
    return "--image" if option == "images" else "--" + option.replace("_", "-")

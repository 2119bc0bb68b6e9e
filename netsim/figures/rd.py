"""Rate–distortion per channel: mean PSNR with its interval against all the bits that were sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netsim.figures.select import interval_note, with_condition
from netsim.figures.style import legend, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]

_DRAWN = ["bpp", "psnr_db", "psnr_low", "psnr_high"]
_KEY = ["channel", "link", "engine", "scheme", "operating_point"]
_RANGE = ["traces", "psnr_least_db", "psnr_most_db"]
_COLUMNS = ["condition", "channel", "link", "engine", "scheme", "operating_point", "bpp"]
_COLUMNS += ["psnr_db", "psnr_low", "psnr_high", "failure_ratio", "failure_db"]


def numbers(summary: pd.DataFrame, spread: pd.DataFrame | None = None) -> pd.DataFrame:
    """The curves: one row per point, by condition and scheme in the summary's order, then by rate.

    spread: from ``netsim.metrics.traces.trace_spread``; adds traces, psnr_least_db and psnr_most_db, and the bars show
    this range in place of the interval.
    """
    frame = with_condition(summary)[_COLUMNS]
    if spread is not None:
        frame = frame.merge(spread[[*_KEY, *_RANGE]], on=_KEY, how="left")
    order = {key: i for i, key in enumerate(dict.fromkeys(zip(frame["condition"], frame["scheme"], strict=True)))}
    place = [order[key] for key in zip(frame["condition"], frame["scheme"], strict=True)]
    return (
        frame.assign(place=place)
        .sort_values(["place", "bpp"], kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """Small multiples, one panel per condition on shared axes."""
    from matplotlib.figure import Figure

    conditions = list(dict.fromkeys(numbers["condition"]))
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(len(conditions), 4)
    rows = math.ceil(len(conditions) / columns)
    size = (5.6, 4.3) if len(conditions) == 1 else ((3.0 if columns < 4 else 2.6) * columns + 0.6, 2.35 * rows + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    style = looks(numbers["scheme"])
    ranged = "traces" in numbers
    drawn = ["bpp", "psnr_db", *_RANGE[1:]] if ranged else _DRAWN
    shifts = _shifts(numbers, len(style)) if ranged else [0.0] * len(style)
    for panel, condition in zip(panels.flat, conditions, strict=False):
        here = numbers[numbers["condition"] == condition]
        panel.set_title(condition)
        for (scheme, look), aside in zip(style.items(), shifts, strict=True):
            curve = here[here["scheme"] == scheme]
            rate, psnr, low, high = (curve[name].to_numpy(dtype=float) for name in drawn)
            spread = np.maximum(np.stack([psnr - low, high - psnr]), 0)  # two ways of summing may differ by 1e-15
            panel.errorbar(rate + aside, psnr, spread, fmt="none", ecolor=look.colour, elinewidth=0.9, capsize=1.8)
            panel.plot(rate + aside, psnr, label=scheme, **look.line)
    for panel in list(panels.flat)[len(conditions) :]:
        panel.set_visible(False)
    for column in range(columns):  # the lowest visible panel of a column carries the ticks
        lowest = max(i for i in range(rows) if i * columns + column < len(conditions))
        panels[lowest, column].tick_params(labelbottom=True)
        panels[lowest, column].set_xlabel("rate (bit/pixel)")
    for panel in panels[:, 0]:
        panel.set_ylabel("mean PSNR (dB)")
    panels[0, 0].set_xlim(*_room(numbers["bpp"].min(), numbers["bpp"].max()))
    failure_db = numbers["failure_db"].iloc[0]
    bars = _range_note(numbers) if ranged else interval_note(numbers)
    counted = f"A slot without a picture counts as {failure_db:g} dB."
    legend(figure, panels[0, 0], f"Rate: all that was sent. {bars} {counted}")
    return figure


def _range_note(numbers: pd.DataFrame) -> str:
    return f"Bars: range of the means of {int(numbers['traces'].max())} loss traces; curves stand aside a little."


def _shifts(numbers: pd.DataFrame, schemes: int) -> list[float]:
    """How far each curve is moved sideways: schemes that meet the same rates have bars one over the other."""
    step = 0.012 * float(numbers["bpp"].max() - numbers["bpp"].min())
    return [step * (i - (schemes - 1) / 2) for i in range(schemes)]


def _room(low: float, high: float) -> tuple[float, float]:
    margin = 0.08 * (high - low) or 0.05
    return max(0.0, low - margin), high + margin

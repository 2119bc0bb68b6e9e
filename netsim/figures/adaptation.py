"""Adaptation: PSNR of controlled schemes from slot to slot over the share of packets lost, and what they chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.legends import legend
from netsim.figures.select import with_condition
from netsim.figures.style import INK, MUTED, Look, looks, styled
from netsim.text import counted_range

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_means"]

_WIDEST_NAME = 1.1  # slots that a character of a choice's name takes in its strip


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """One panel per condition with a strip per scheme below it.

    The background shows the share of packets lost in each slot, the darker the more; dashed lines are the controllers'
    intervals; a strip shows the choices, the darker the later in the scenario's order.

    Args:
        numbers: From ``netsim.analysis.adaptation.course``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    numbers = with_condition(numbers)
    conditions, schemes = (list(dict.fromkeys(numbers[name])) for name in ("condition", "scheme"))
    style = looks(schemes)
    ratios: list[float] = []
    for _ in conditions:
        ratios += [3.2, 0.34 * len(schemes)]
    figure = Figure(figsize=(7.2, 0.62 * sum(ratios) + 0.9), layout="constrained")
    panels: Any = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    for i, condition in enumerate(conditions):
        here, panel, strip = numbers[numbers["condition"] == condition], panels[2 * i], panels[2 * i + 1]
        panel.set_title(condition)
        _background(panel, here)
        for scheme, look in style.items():
            _line(panel, here[here["scheme"] == scheme], scheme, look)
        panel.set_ylabel("PSNR (dB)")
        _strips(strip, here, style)
    panels[-1].set_xlabel("slot")
    note = f"Trial {numbers['trial'].iloc[0]}. Background: share of the slot's packets lost (white 0, dark 100 %). "
    note += "Dashed: intervals. ×: no image. Strips: the choice of each scheme."
    legend(figure, panels[0], note)
    return figure


def _background(panel: Axes, here: pd.DataFrame) -> None:
    first = here[here["scheme"] == here["scheme"].iloc[0]]
    for slot, loss in zip(first["slot"], first["loss_rate"], strict=True):
        panel.axvspan(slot - 0.5, slot + 0.5, color=str(1 - 0.55 * loss), linewidth=0, zorder=0)
    every = int(here["interval_slots"].iloc[0])
    for edge in range(0, int(first["slot"].max()) + 1, every):
        panel.axvline(edge - 0.5, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    panel.grid(visible=False, axis="x")
    panel.set_xlim(-0.5, first["slot"].max() + 0.5)


def _line(panel: Axes, mine: pd.DataFrame, scheme: str, look: Look) -> None:
    panel.plot(mine["slot"], mine["psnr_db"], label=scheme, **(look.line | {"markersize": 3.2, "linewidth": 1.0}))
    failed = mine[mine["failed"]]
    panel.plot(failed["slot"], failed["psnr_db"], "x", color=look.colour, markersize=5, markeredgewidth=1.2)


def _strips(panel: Axes, here: pd.DataFrame, style: dict[str, Look]) -> None:
    """A row of cells per scheme, one cell for each run of equal choices."""
    for place, (scheme, look) in enumerate(style.items()):
        mine = here[here["scheme"] == scheme]
        choice, names = mine["choice"].to_numpy(), mine["choice_name"].to_numpy()
        edges = np.concatenate([[0], np.flatnonzero(np.diff(choice)) + 1, [len(choice)]])
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            depth = 0.12 + 0.6 * choice[start] / max(int(mine["choices"].iloc[0]) - 1, 1)
            panel.broken_barh(
                [(start - 0.5, end - start)],
                (place - 0.42, 0.84),
                facecolor=look.colour,
                alpha=depth,
                edgecolor="white",
            )
            if end - start >= _WIDEST_NAME * len(names[start]):
                colour = "white" if depth > 0.5 else INK
                named: Any = {"ha": "center", "va": "center", "fontsize": 6.5, "color": colour}
                panel.text((start + end - 1) / 2, place, names[start], **named)
        panel.plot(-0.5, place, marker=look.marker, color=look.colour, markersize=4, clip_on=False)
    panel.set_ylim(len(style) - 0.5, -0.5)
    panel.set_yticks([])
    panel.grid(visible=False)
    panel.spines[["left", "bottom"]].set_visible(False)


@styled
def draw_means(numbers: pd.DataFrame) -> Figure:
    """Mean PSNR of each controlled scheme, of its best fixed choice and of its oracle, with 95 % intervals.

    Args:
        numbers: From ``netsim.analysis.adaptation.gains``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    numbers = with_condition(numbers)
    conditions, schemes = (list(dict.fromkeys(numbers[name])) for name in ("condition", "scheme"))
    height = 0.9 + len(conditions) * (0.5 + 0.3 * len(schemes))
    figure = Figure(figsize=(7.2, height), layout="constrained")
    panels: Any = figure.subplots(len(conditions), 1, sharex=True, squeeze=False)[:, 0]
    style = looks(["controlled", "best fixed choice", "oracle"])
    columns = {"controlled": "psnr", "best fixed choice": "fixed", "oracle": "oracle"}
    for panel, condition in zip(panels, conditions, strict=True):
        here = numbers[numbers["condition"] == condition]
        panel.set_title(condition)
        for shift, (name, stem) in enumerate(columns.items()):
            value = here[f"{stem}_db"].to_numpy()
            ends = np.abs(np.stack([value - here[f"{stem}_low"], here[f"{stem}_high"] - value]))
            named: Any = {"fmt": style[name].marker, "color": style[name].colour, "capsize": 2, "markersize": 4.5}
            panel.errorbar(value, np.arange(len(here)) + 0.2 * (shift - 1), xerr=ends, label=name, **named)
        labels = [f"{scheme}  (best: {best})" for scheme, best in zip(here["scheme"], here["best_fixed"], strict=True)]
        panel.set_yticks(range(len(here)), labels)
        panel.set_ylim(len(here) - 0.5, -0.5)
        panel.grid(visible=False, axis="y")
    panels[-1].set_xlabel("mean PSNR (dB)")
    note = f"Bars: 95 % interval over {counted_range(numbers['trials'], 'trial')}. Best: with hindsight."
    for why, without in numbers[numbers["no_oracle"] != ""].groupby("no_oracle", sort=False):
        note += f" No oracle for {', '.join(dict.fromkeys(without['scheme']))}: {why}."
    legend(figure, panels[0], note)
    return figure

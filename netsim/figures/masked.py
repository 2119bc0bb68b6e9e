"""Quality over the share of lost packets: curves, and pictures with their errors (ResiComp, Figs. 15 and 19)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.panels import show_picture
from netsim.figures.style import GRID, MUTED, legend, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_curve", "draw_shots"]

_WIDTH, _CAPTION = 11.0, 0.26  # inches
_ERROR_RANGE = 64  # levels of a byte at which an error map is darkest


@styled
def draw_curve(numbers: pd.DataFrame) -> Figure:
    """Mean PSNR against the share lost. numbers: from ``netsim.studies.masked.masked_summary``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.8, 4.3), layout="constrained")
    axes = figure.subplots()
    several = numbers.groupby("scheme")["operating_point"].nunique().max() > 1
    names = numbers["scheme"] + ((" " + numbers["operating_point"]) if several else "")
    for name, look in looks(names).items():
        mine = numbers[names == name].sort_values("lost")
        share, psnr, low, high = (mine[key].to_numpy(float) for key in ("lost", "psnr_db", "psnr_low", "psnr_high"))
        axes.vlines(100 * share, low, high, color=look.colour, linewidth=1.0)
        axes.plot(100 * share, psnr, label=f"{name} ({mine['bpp'].mean():.2f} bit/pixel)", **look.line)
    axes.set_xlabel("packets lost (%)")
    axes.set_ylabel("mean PSNR (dB)")
    legend(
        figure, axes, "Which packets: drawn at random, the same for all schemes. Bars: 95 % interval over the draws."
    )
    return figure


@styled
def draw_shots(original: NDArray[np.uint8], shots: Sequence[Any]) -> Figure:
    """Columns: shares. Rows: which tokens are lost (where known), then each scheme's pictures and their error maps.

    original: uint8 [H, W, 3]. shots: ``netsim.studies.masked.Shot``, as many of each scheme, at the same shares.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    schemes = list(dict.fromkeys(shot.scheme for shot in shots))
    columns = [shot for shot in shots if shot.scheme == schemes[0]]
    masked = [shot.lost for shot in columns] if all(shot.lost is not None for shot in columns) else []
    rows = 2 * len(schemes) + bool(masked)
    size = height, width = original.shape[0], original.shape[1]
    tall = (_WIDTH - 0.4) / len(columns) * height / width + _CAPTION
    near = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(_WIDTH, tall * rows), layout=near)
    panels = figure.subplots(rows, len(columns), squeeze=False)
    for panel, lost in zip(panels[0], masked, strict=False):
        show_picture(panel, _tiles(lost), size, "nearest")
    for number, scheme in enumerate(schemes):
        lines = panels[bool(masked) + 2 * number :][:2]
        mine = [shot for shot in shots if shot.scheme == scheme]
        for above, below, shot in zip(*lines, mine, strict=True):
            show_picture(above, shot.picture, size)
            show_picture(below, _error(original, shot.picture), size)
            above.set_xlabel("no picture" if shot.picture is None else f"{shot.psnr_db:.2f} dB")
        lines[0][0].set_ylabel(scheme)
        lines[1][0].set_ylabel("error")
    if masked:
        panels[0][0].set_ylabel("lost tokens")
    for panel, shot in zip(panels[0], columns, strict=True):
        panel.set_title(f"{100 * shot.share:g} % lost")
    return figure


def _tiles(lost: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lost tokens dark, received ones light: uint8 [rows, columns, 3]."""
    levels = {True: int(MUTED[1:3], 16), False: int(GRID[1:3], 16)}
    return np.repeat(np.where(lost, levels[True], levels[False]).astype(np.uint8)[..., None], 3, axis=2)


def _error(original: NDArray[np.uint8], picture: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """Mean absolute error over the colours, white where 0, darkest from ``_ERROR_RANGE`` on."""
    if picture is None:
        return None
    error = np.abs(original.astype(np.int16) - picture).mean(axis=2)
    level = 255 * (1 - np.minimum(error / _ERROR_RANGE, 1))
    return np.repeat(level.astype(np.uint8)[..., None], 3, axis=2)

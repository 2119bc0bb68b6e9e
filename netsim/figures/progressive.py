"""Progressive images under loss: a panel of images with their PSNR, and PSNR after each packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.legends import legend
from netsim.figures.panels import show_image
from netsim.figures.style import Look, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_curve", "draw_images"]

_WIDTH, _LABEL, _CAPTION = 11.0, 0.42, 0.3  # inches: the figure's width, a row's name beside it, a caption's height


@styled
def draw_images(numbers: pd.DataFrame, images: Mapping[tuple[str, int], NDArray[np.uint8] | None]) -> Figure:
    """A row of images per scheme, in the order in which they are shown; under each what arrived, and its PSNR.

    Args:
        numbers: Columns scheme, operating_point, bpp, trace, packet, missing, psnr_db, shown (see
            ``netsim.studies.progressive``).
        images: By scheme and packet, uint8 [H, W, 3]; None where nothing can be shown.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = numbers[numbers["shown"]]
    schemes = list(dict.fromkeys(shown["scheme"]))
    columns = int(shown.groupby("scheme", sort=False).size().max())
    height, width = next(image for image in images.values() if image is not None).shape[:2]
    tall = (_WIDTH - _LABEL) / columns * height / width + _CAPTION
    near = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=figure_size(_WIDTH, tall * len(schemes)), layout=near)
    panels = figure.subplots(len(schemes), columns, squeeze=False)
    for line, scheme in zip(panels, schemes, strict=True):
        mine = shown[shown["scheme"] == scheme].sort_values("packet").to_dict("records")
        line[0].set_ylabel(f"{scheme}\n{mine[0]['bpp']:.3f} bit/pixel", fontsize=9.5, fontweight="bold")
        last = int(numbers.loc[numbers["scheme"] == scheme, "packet"].max())
        for panel, row in zip(line, mine, strict=False):
            show_image(panel, images[scheme, int(row["packet"])], (height, width))
            panel.set_xlabel(_caption(row, last), fontsize=9)
        for panel in line[len(mine) :]:
            panel.set_visible(False)
    return figure


def _caption(row: Mapping[Any, Any], last: int) -> str:
    missing = str(row["missing"]).split()
    lost = f"without {' and '.join('#' + number for number in missing)}" if missing else "none lost"
    packet = f"#{row['packet']}" + (" (all)" if row["packet"] == last else "")
    quality = "no image" if np.isnan(row["psnr_db"]) else f"{row['psnr_db']:.2f} dB"
    return f"{packet}, {lost}: {quality}"


@styled
def draw_curve(numbers: pd.DataFrame) -> Figure:
    """PSNR after each packet: with the losses in full lines, × at each lost packet; without loss thin and pale.

    Args:
        numbers: As for ``draw_images``; a packet counts when it is sent, whether or not it arrives.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=figure_size(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for scheme, look in looks(numbers["scheme"]).items():
        mine = numbers[numbers["scheme"] == scheme]
        _draw_trace(axes, mine[mine["trace"] == "loss"], scheme, look)
        whole = mine[mine["trace"] == "no loss"]
        axes.plot(whole["packet"], whole["psnr_db"], color=look.colour, linewidth=0.9, alpha=0.4, zorder=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("packets sent")
    axes.set_ylabel("PSNR (dB)")
    image, rates = numbers["image"].iloc[0], numbers.groupby("scheme", sort=False)["bpp"].first()
    about = f"{image}, {rates.min():.2f}" + (f"–{rates.max():.2f}" if rates.max() - rates.min() > 0.005 else "")
    legend(figure, axes, f"{about} bit/pixel. ×: a lost packet. Pale lines: nothing lost.")
    return figure


def _draw_trace(axes: Axes, mine: pd.DataFrame, scheme: str, look: Look) -> None:
    axes.plot(mine["packet"], mine["psnr_db"], label=scheme, **look.line)
    gone = mine[mine["lost"]]
    axes.plot(gone["packet"], gone["psnr_db"], "x", color=look.colour, markersize=10, markeredgewidth=1.6, zorder=4)

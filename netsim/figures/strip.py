"""A row of images: what was sent, and what each scheme shows under one loss pattern (Sha et al., Fig. 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.legends import wrap_note
from netsim.figures.panels import show_image
from netsim.figures.style import INK, MUTED, page_width, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw"]

_PANEL, _CAPTION, _NOTE = 2.3, 0.38, 0.2  # inches: an image's width, the height of what stands under it, and under all
_IN_A_ROW = 4
_MOST_BOXES = 40


@styled
def draw(original: NDArray[np.uint8], images: Sequence[Any], about: str) -> Figure:
    """The original and an image per scheme, each with its scheme, rate, PSNR, and a box per packet (white: lost).

    Args:
        original: uint8 [H, W, 3].
        images: Of ``netsim.analysis.strip.StripImage``.
        about: Where the losses come from.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    count = len(images) + 1
    page = page_width()
    rows = math.ceil(count / (_IN_A_ROW if page is None or page > _IN_A_ROW else 2))
    columns = math.ceil(count / rows)
    height, width = original.shape[:2]
    panel_in = _PANEL if page is None else page / columns
    tall = panel_in * height / width + _CAPTION
    near = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    note = wrap_note(_note(images), panel_in * columns)
    lines = note.count("\n") + 1
    figure = Figure(figsize=(panel_in * columns, tall * rows + lines * _NOTE), layout=near)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    show_image(panels[0], original, (height, width))
    panels[0].set_xlabel(f"sent\n{about}", fontsize=8)
    for panel, one in zip(panels[1:], images, strict=False):
        show_image(panel, one.image, (height, width))
        quality = "no image" if one.image is None else f"{one.psnr_db:.1f} dB"
        panel.set_xlabel(f"{one.scheme}\n{one.bpp:.2f} bit/pixel, {quality}", fontsize=8)
        _boxes(panel, one.received)
    for panel in panels[count:]:
        panel.set_visible(False)
    figure.supxlabel(note, fontsize=7.5)
    return figure


def _note(images: Sequence[Any]) -> str:
    """What the boxes are, and how many packets have none."""
    note = "Boxes: the packets that can be lost, in the order of sending; white: lost."
    most = max((len(one.received) for one in images), default=0)
    return note + (f" Only the first {_MOST_BOXES} are shown." if most > _MOST_BOXES else "")


def _boxes(panel: Axes, received: NDArray[np.bool_]) -> None:
    """A box per packet along the image's lower edge: filled where it arrived."""
    shown = received[:_MOST_BOXES]
    step = min(0.05, 0.94 / max(len(shown), 1))
    for number, arrived in enumerate(shown):
        colours: Any = {"facecolor": INK if arrived else "white", "edgecolor": MUTED}
        from matplotlib.patches import Rectangle

        corner = (0.03 + number * step, 0.03)
        box = Rectangle(corner, 0.78 * step, 0.05, transform=panel.transAxes, linewidth=0.6, **colours)
        panel.add_patch(box)

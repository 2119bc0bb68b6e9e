"""An image, the tokens of its first slices, and what is decoded from them (ResiComp, Fig. 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.panels import show_image
from netsim.figures.style import figure_size, looks, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw"]

_WIDTH = 8.0  # inches


@styled
def draw(preview: Any) -> Figure:
    """Above the image and where each slice's tokens lie, below what 0, 1, … slices show.

    Args:
        preview: A ``netsim.studies.first_slices.Preview``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = len(preview.images)
    height, width = preview.original.shape[:2]
    tall = _WIDTH / columns * height / width + 0.3
    near = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=figure_size(_WIDTH, 2 * tall), layout=near)
    panels = figure.subplots(2, columns, squeeze=False)
    show_image(panels[0, 0], preview.original, (height, width))
    panels[0, 0].set_xlabel("original")
    for number, panel in enumerate(panels[0, 1:], 1):
        if preview.tokens is None:
            panel.set_visible(False)
            continue
        mine = preview.tokens == preview.first + number - 1
        show_image(panel, _dots(mine), (height, width), "nearest")
        for spine in panel.spines.values():  # white maps side by side need an edge
            spine.set_visible(True)
        panel.set_xlabel(f"slice {number}: {int(mine.sum())} tokens of {mine.size}")
    for count, (panel, image, quality) in enumerate(zip(panels[1], preview.images, preview.psnr_db, strict=True)):
        show_image(panel, image, (height, width))
        what = "no slice" if count == 0 else "slice 1" if count == 1 else f"slices 1–{count}"
        panel.set_xlabel(f"{what}: " + ("no image" if image is None else f"{quality:.2f} dB"))
    return figure


def _dots(mine: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A slice's tokens in colour on white: uint8 [rows, columns, 3]."""
    colour = next(iter(looks(["one"]).values())).colour
    levels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)
    return np.where(mine[..., None], levels, np.uint8(255)).astype(np.uint8)

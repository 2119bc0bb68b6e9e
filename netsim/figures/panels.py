"""An image in a panel of a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netsim.figures.style import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["show_image"]


def show_image(
    panel: Axes, image: NDArray[np.uint8] | None, size: tuple[int, int], interpolation: str = "antialiased"
) -> None:
    """Show an image without axes, or a grey field that says that there is none.

    Args:
        panel: Axes; their ticks and frame are removed.
        image: uint8 [h, w, 3] or [h, w]; None: no image.
        size: (height, width) that the image is stretched to, in data units.
        interpolation: As matplotlib's ``imshow`` names it.
    """
    shown = np.full((*size, 3), 235, np.uint8) if image is None else image
    panel.imshow(shown, interpolation=interpolation, extent=(0, size[1], size[0], 0))
    if image is None:
        panel.text(0.5, 0.5, "no image", transform=panel.transAxes, ha="center", va="center", color=MUTED)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)

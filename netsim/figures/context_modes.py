"""Context matrices as grids: a filled cell where a slice (row) is predicted from another (column)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.figures.style import GRID, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]

_COLUMNS = 5


def numbers(matrices: Mapping[str, NDArray[np.bool_]]) -> pd.DataFrame:
    """One row per scheme and link between slices.

    Args:
        matrices: By scheme, bool [slices, slices]: whether slice i (row) is decoded with slice j (column) as context.

    Returns:
        Columns scheme, slice, context; slices count from 1.
    """
    import pandas as pd

    rows = [
        [scheme, int(i) + 1, int(j) + 1] for scheme, matrix in matrices.items() for i, j in np.argwhere(matrix).tolist()
    ]
    return pd.DataFrame(rows, columns=["scheme", "slice", "context"])


@styled
def draw(matrices: Mapping[str, NDArray[np.bool_]]) -> Figure:
    """A square panel per scheme.

    Args:
        matrices: As for ``numbers``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(matrices))
    rows = math.ceil(len(matrices) / columns)
    figure = Figure(figsize=figure_size(1.5 * columns + 0.3, 1.75 * rows + 0.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    colours = ListedColormap(["white", next(iter(looks(["one"]).values())).colour])
    for panel, (scheme, matrix) in zip(panels.flat, matrices.items(), strict=False):
        size = len(matrix)
        panel.pcolormesh(matrix, cmap=colours, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.5)
        panel.set(xlim=(0, size), ylim=(size, 0), aspect="equal")
        panel.set_title(scheme.removeprefix("resicomp "), fontsize=9)
        ticks = np.array([1, size])
        panel.set_xticks(ticks - 0.5, ticks.tolist())
        panel.set_yticks(ticks - 0.5, ticks.tolist())
        panel.tick_params(length=0, labelsize=8)
        panel.grid(visible=False)
        for spine in panel.spines.values():
            spine.set_visible(False)
    for panel in list(panels.flat)[len(matrices) :]:
        panel.set_visible(False)
    figure.supxlabel("context slice", fontsize=9)
    figure.supylabel("slice", fontsize=9)
    return figure

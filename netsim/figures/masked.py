"""Quality over the share of lost packets: curves, and images with their errors (ResiComp, Figs. 15 and 19)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures.legends import CurveEnd, legend
from netsim.figures.panels import show_image
from netsim.figures.style import GRID, MUTED, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_curve", "draw_examples"]

_WIDTH, _CAPTION = 11.0, 0.26  # inches
_ERROR_RANGE = 64  # levels of a byte at which an error map is darkest


@styled
def draw_curve(numbers: pd.DataFrame) -> Figure:
    """Mean PSNR against the share of packets lost.

    Args:
        numbers: From ``netsim.studies.masked.masked_summary``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figure_size(5.8, 4.3), layout="constrained")
    axes = figure.subplots()
    several = numbers.groupby("scheme")["operating_point"].nunique().max() > 1
    names = numbers["scheme"] + ((" " + numbers["operating_point"]) if several else "")
    ends = []
    for name, look in looks(names).items():
        mine = numbers[names == name].sort_values("lost")
        share, psnr, low, high = (mine[key].to_numpy(float) for key in ("lost", "psnr_db", "psnr_low", "psnr_high"))
        axes.vlines(100 * share, low, high, color=look.colour, linewidth=1.0)
        axes.plot(100 * share, psnr, label=f"{name} ({mine['bpp'].mean():.2f} bit/pixel)", **look.line)
        ends.append(CurveEnd(str(name), look, 100 * share[-1], psnr[-1]))
    axes.set_xlabel("packets lost (%)")
    axes.set_ylabel("mean PSNR (dB)")
    note = "Which packets: drawn at random, the same for all schemes. Bars: 95 % interval over the draws."
    legend(figure, axes, note, ends=ends)
    return figure


@styled
def draw_examples(original: NDArray[np.uint8], examples: Sequence[Any]) -> Figure:
    """Columns: shares. Rows: which tokens are lost (where known), then each scheme's images and their error maps.

    Where all examples have it, a row shows the error of each token after concealment: white none, black a scheme's
    greatest, on a scale of square roots.

    Args:
        original: uint8 [H, W, 3].
        examples: ``netsim.studies.masked.Example``, as many of each scheme, at the same shares.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    schemes = list(dict.fromkeys(example.scheme for example in examples))
    columns = [example for example in examples if example.scheme == schemes[0]]
    masked = [example.lost for example in columns] if all(example.lost is not None for example in columns) else []
    latent = all(example.latent is not None for example in examples)
    each = 3 if latent else 2
    rows = each * len(schemes) + bool(masked)
    size = height, width = original.shape[0], original.shape[1]
    tall = (_WIDTH - 0.4) / len(columns) * height / width + _CAPTION
    near = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=figure_size(_WIDTH, tall * rows), layout=near)
    panels = figure.subplots(rows, len(columns), squeeze=False)
    for panel, lost in zip(panels[0], masked, strict=False):
        show_image(panel, _tiles(lost), size, "nearest")
    for number, scheme in enumerate(schemes):
        lines = panels[bool(masked) + each * number :][:each]
        mine = [example for example in examples if example.scheme == scheme]
        darkest = max((float(np.max(example.latent)) for example in mine), default=0.0) if latent else 0.0
        for above, below, example in zip(lines[0], lines[1], mine, strict=True):
            show_image(above, example.image, size)
            show_image(below, _error(original, example.image), size)
            above.set_xlabel("no image" if example.image is None else f"{example.psnr_db:.2f} dB")
        lines[0][0].set_ylabel(scheme)
        lines[1][0].set_ylabel("image error")
        if latent:
            for panel, example in zip(lines[2], mine, strict=True):
                show_image(panel, _shades(example.latent, darkest), size, "nearest")
            lines[2][0].set_ylabel("latent error")
    if masked:
        panels[0][0].set_ylabel("lost tokens")
    for panel, example in zip(panels[0], columns, strict=True):
        panel.set_title(f"{100 * example.share:g} % lost")
    return figure


def _tiles(lost: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lost tokens dark, received ones light: uint8 [rows, columns, 3]."""
    levels = {True: int(MUTED[1:3], 16), False: int(GRID[1:3], 16)}
    return np.repeat(np.where(lost, levels[True], levels[False]).astype(np.uint8)[..., None], 3, axis=2)


def _shades(errors: NDArray[np.float64], darkest: float) -> NDArray[np.uint8]:
    """Mean squared errors as grey levels: the root, white where 0, black at ``darkest``; uint8 [rows, columns, 3]."""
    level = 255 * (1 - np.sqrt(errors / darkest if darkest > 0 else np.zeros_like(errors)))
    return np.repeat(level.astype(np.uint8)[..., None], 3, axis=2)


def _error(original: NDArray[np.uint8], image: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """Mean absolute error over the colours, white where 0, darkest from ``_ERROR_RANGE`` on."""
    if image is None:
        return None
    error = np.abs(original.astype(np.int16) - image).mean(axis=2)
    level = 255 * (1 - np.minimum(error / _ERROR_RANGE, 1))
    return np.repeat(level.astype(np.uint8)[..., None], 3, axis=2)

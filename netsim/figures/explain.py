"""One image explained: importance of each packet, quality over the number of losses, worst and best images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.explain import ENDS, Explanation
from netsim.figures.files import csv_bytes, save
from netsim.figures.style import GRID, INK, MUTED, figure_size, looks, styled
from netsim.runs.atomic import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    Images = Mapping[str, NDArray[np.uint8]]

__all__ = ["draw", "shown_counts", "write_explanation"]

_BAR, _EDGE = "#9ecae6", "#0072B2"
_ACROSS = 3  # panels, or columns of images less the full one
_THUMBNAILS = 5
_THUMBNAIL_PX = 240  # the longer side


def shown_counts(packets: int) -> list[int]:
    """Which loss counts the figure shows images of: none lost, one, and on to all but one.

    Args:
        packets: Number of packets of the stream that can be lost.

    Returns:
        Loss counts, ascending.

    >>> shown_counts(10), shown_counts(2)
    ([0, 1, 2, 4, 9], [0, 1, 2])
    """
    if packets < _THUMBNAILS:
        return list(range(packets + 1))
    spread = np.geomspace(1, packets - 1, _THUMBNAILS - 1).round().astype(int)
    for i in range(1, len(spread)):  # rounding may make two equal
        spread[i] = max(spread[i], spread[i - 1] + 1)
    return [0, *spread.tolist()]


@styled
def draw(
    packets: pd.DataFrame,
    counts: pd.DataFrame,
    images: Images,
    title: str,
    failure_db: float,
) -> Figure:
    """Bars of importance per channel, quality over the loss count, images of worst and best masks.

    Args:
        packets: ``netsim.analysis.importance.packet_importance``.
        counts: ``netsim.analysis.importance.loss_count_extremes``.
        images: By mask, uint8 [h, w, 3], for those masks of ``shown_counts`` that give an image.
        title: Image and scheme.
        failure_db: The quality that counts for a slot without an image, in dB.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    channels = list(dict.fromkeys(packets["channel"]))
    rows = -(-len(channels) // _ACROSS)
    shown = shown_counts(int(counts["lost"].max()))
    heights = [0.5 + 1.55 * rows, 2.5, 3.1]
    figure = Figure(figsize=figure_size(7.4, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=heights)
    bars, curve, gallery = parts
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold")
    _importance(bars, packets, channels, rows)
    _extremes(curve.subplots(), counts, failure_db)
    _gallery(gallery, counts, images, shown, failure_db)
    return figure


def _importance(figure: SubFigure, packets: pd.DataFrame, channels: list[str], rows: int) -> None:
    across = min(_ACROSS, len(channels))
    panels = np.atleast_1d(figure.subplots(rows, across, sharex=True, sharey=True)).reshape(-1)
    numbers = packets["packet"].drop_duplicates().tolist()
    for panel, channel in zip(panels, channels, strict=False):
        mine = packets[packets["channel"] == channel]
        x = np.arange(len(numbers))
        panel.bar(x, mine["importance_db"], 0.72, color=_BAR, edgecolor=_EDGE, linewidth=0.8)
        panel.plot(x, mine["drop_alone_db"], "_", color=INK, markersize=9, markeredgewidth=1.6)
        panel.set_title(f"{channel} (loss {100 * mine['loss_probability'].mean():.3g} %)", fontsize=8.5)
        panel.grid(visible=False, axis="x")
        panel.set_xticks(x, [str(number) for number in numbers], fontsize=7)
        panel.axhline(0, color=MUTED, linewidth=0.7)
    for panel in panels[len(channels) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(channels) - across) : len(channels)]:
        panel.tick_params(labelbottom=True)
    figure.supxlabel("packet, in sending order", fontsize=9)
    figure.supylabel("importance (dB)", fontsize=9)
    _key(figure)


def _key(figure: SubFigure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=_BAR, edgecolor=_EDGE, label="expected dB lost with the packet (its neighbours' losses included)"
        ),
        Line2D([], [], color=INK, marker="_", linestyle="none", markersize=9, markeredgewidth=1.6, label="lost alone"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)


def _extremes(axes: Axes, counts: pd.DataFrame, failure_db: float) -> None:
    curves = {"best": "best mask", "mean": "mean over all masks", "worst": "worst mask"}
    for (name, label), look in zip(curves.items(), looks(curves).values(), strict=True):
        axes.plot(counts["lost"], counts[f"{name}_db"], label=label, **look.line)
    axes.axhline(failure_db, color=MUTED, linewidth=0.9, linestyle=(0, (1.2, 1.3)))
    axes.margins(y=0.12)  # room for the text, below what failed
    text = f"no image: counts as {failure_db:g} dB "
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (0, -4), "textcoords": "offset points"}
    axes.annotate(text, (1, failure_db), **place, fontsize=7.5, color=MUTED, ha="right", va="top")
    axes.set_xticks(counts["lost"])
    axes.set_xlabel("packets lost")
    axes.set_ylabel("PSNR (dB)")
    axes.set_title("Quality by number of packets lost")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)  # over no curve


def _gallery(
    figure: SubFigure,
    counts: pd.DataFrame,
    images: Images,
    shown: list[int],
    failure_db: float,
) -> None:
    panels = figure.subplots(2, len(shown), squeeze=False)
    shape = next(iter(images.values())).shape if images else (2, 3, 3)
    by_count = counts.set_index("lost")
    for column, count in enumerate(shown):
        one = by_count.loc[count]
        for row, end in enumerate(("best", "worst")):
            _thumbnail(panels[row, column], images.get(str(one[f"{end}_mask"])), shape, one, end, failure_db)
        panels[0, column].set_title(_title(count), fontsize=8.5, loc="center")
    for row, end in enumerate(("best", "worst")):
        panels[row, 0].set_ylabel(end, fontsize=9, weight="bold")


def _title(count: int) -> str:
    return "all received" if count == 0 else f"{count} lost"


def _thumbnail(axes: Axes, image: Any, shape: tuple[int, ...], one: Any, end: str, failure_db: float) -> None:
    """A thumbnail with its mask under it: full squares received, empty ones lost."""
    axes.grid(visible=False)
    axes.set_xticks([], [])
    axes.set_yticks([], [])
    if image is None:
        axes.imshow(np.full((*shape[:2], 3), 236, dtype=np.uint8))
        axes.text(0.5, 0.5, "no image", transform=axes.transAxes, ha="center", va="center", fontsize=8, color=MUTED)
    else:
        axes.imshow(image)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID, linewidth=0.7)
    squares = str(one[f"{end}_mask"]).replace("R", "■").replace("L", "□")
    quality = f"counts as {failure_db:g} dB" if one[f"{end}_failed"] else f"{one[f'{end}_db']:.1f} dB"
    axes.set_xlabel(f"{squares}\n{quality}", fontsize=7)


def write_explanation(found: Explanation, images: Images, out: Path) -> list[Path]:
    """Write explain.png, .svg, .csv (packets), explain_masks.csv (loss counts), and a PNG per worst and best mask.

    Args:
        found: What ``netsim.analysis.explain.explain`` returned.
        images: By mask, uint8 [h, w, 3] (``netsim.analysis.explain.decoded_masks``).
        out: Folder.

    Returns:
        The files.
    """
    from PIL import Image

    shown = found.counts[found.counts["lost"].isin(shown_counts(found.table.packets))]
    small = {str(mask): _small(images[mask]) for end in ENDS for mask in shown[f"{end}_mask"] if mask in images}
    figure = draw(found.packets, found.counts, small, found.title, found.failure_db)
    paths = save(figure, found.packets, out, "explain")
    masks_csv = csv_bytes(found.counts)
    write_atomically(out / "explain_masks.csv", lambda file: file.write(masks_csv))
    paths.append(out / "explain_masks.csv")
    for _, row in found.counts.iterrows():
        for end in ENDS:
            if (mask := str(row[f"{end}_mask"])) in images:
                path = out / f"lost_{int(row['lost']):02d}_{end}.png"
                image = Image.fromarray(images[mask])
                write_atomically(path, lambda file, image=image: image.save(file, format="PNG"))  # type: ignore[misc]
                paths.append(path)
    return paths


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return np.asarray(thumbnail)

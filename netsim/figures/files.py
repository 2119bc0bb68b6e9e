"""How figures and their numbers are written: the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.figures.style import PAPER_WIDTHS_IN, as_wide_as, house_style
from netsim.runs.atomic import make_folder, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["csv_bytes", "figure_bytes", "save", "save_for_paper"]


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as ``svg``, ``pdf`` or ``png`` (200 dpi); no date, no random ids.

    Args:
        figure: The drawing.
        kind: ``svg``, ``pdf`` or ``png``.

    Returns:
        Content of the file; equal drawings give equal bytes.
    """
    import matplotlib

    metadata: dict[str, Any] = {"Software": "netsim"}
    if kind in ("svg", "pdf"):
        metadata = {"Creator": "netsim", "Date" if kind == "svg" else "CreationDate": None}
    out = io.BytesIO()
    with matplotlib.rc_context(house_style()):
        figure.savefig(out, format=kind, dpi=200, metadata=metadata)
    return out.getvalue()


def csv_bytes(numbers: pd.DataFrame) -> bytes:
    """The numbers as CSV, nine significant digits.

    Args:
        numbers: A table.

    Returns:
        The CSV in UTF-8, with a line of column names.
    """
    return numbers.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


def save(figure: Figure, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write NAME.png, NAME.svg and NAME.csv, each whole or not at all.

    Args:
        figure: The drawing.
        numbers: What is drawn.
        out_dir: The folder; it is made.
        name: Of the files.

    Returns:
        Paths of PNG, SVG and CSV.

    Raises:
        InputError: The folder or a file can't be written.
    """
    make_folder(out_dir)
    contents = {
        "png": figure_bytes(figure, "png"),
        "svg": figure_bytes(figure, "svg"),
        "csv": csv_bytes(numbers),
    }
    paths = [out_dir / f"{name}.{suffix}" for suffix in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
    return paths


def save_for_paper(
    draw: Callable[[], Figure], out_dir: Path, name: str, widths: Mapping[str, float] = PAPER_WIDTHS_IN
) -> list[Path]:
    """Write a figure as PDFs for a paper, all text in 8 points.

    Args:
        draw: Draws the figure anew for each width.
        out_dir: Folder; it is made if it is missing.
        name: File name without its ending.
        widths: Width in inches by what follows the name (``{"-5in": 5.0}``).

    Returns:
        Paths of the files.

    Raises:
        InputError: A width that no page has, or a file that can't be written.
    """
    paths = []
    for suffix, width in widths.items():
        with as_wide_as(width):
            content = figure_bytes(draw(), "pdf")
        make_folder(out_dir)
        paths.append(out_dir / f"{name}{suffix}.pdf")
        write_atomically(paths[-1], lambda file, content=content: file.write(content))  # type: ignore[misc]
    return paths

"""Rate–distortion curves that others published, to be drawn beside one's own.

The points stand in ``kodak.csv``, whose first line says that they are published, and where. They are means over the
Kodak images without loss. A scheme of which only a drawing is published is refused with the reason
(``unavailable.csv``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from netsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IMAGES", "MARK", "check_published", "published_curves", "published_names"]

IMAGES = "kodak"
"""Name of the image set of all curves."""

MARK = " (published)"
"""Follows the name of a published curve."""


def published_names() -> tuple[str, ...]:
    """Names of the schemes whose points are known."""
    return tuple(dict.fromkeys(row["name"] for row in _rows("kodak.csv")))


def check_published(names: Sequence[str]) -> None:
    """Checks names of published curves.

    Args:
        names: As in ``published: [vtm, bpg]``.

    Raises:
        InputError: A name is unknown, listed twice, or of a scheme whose points are not published. ``key`` is the
            position of the name.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(f"published curve `{name}` is listed twice", hint="leave one out", key=(place,))
        if name in published_names():
            continue
        known = f"with points: {', '.join(published_names())}"
        if (reason := _unavailable().get(name)) is not None:
            raise InputError(f"no published points of `{name}`: {reason}", hint=known, key=(place,))
        hint = did_you_mean(name, published_names())
        raise InputError(f"no published curve `{name}`", hint=hint, key=(place,))


def published_curves(names: Sequence[str]) -> pd.DataFrame:
    """The points of published curves.

    Args:
        names: Of the schemes.

    Returns:
        Columns name, scheme (its label and ``MARK``), operating_point (the point's number), bpp, psnr_db, source; by
        name in the order given, then by rate.

    Raises:
        InputError: As ``check_published``.

    >>> published_curves(["vtm"]).loc[0, ["scheme", "operating_point"]].tolist()
    ['VTM (published)', '1']
    """
    import pandas as pd

    check_published(names)
    lines = []
    for name in names:
        mine = [row for row in _rows("kodak.csv") if row["name"] == name]
        for number, row in enumerate(mine, 1):
            rate, quality = float(row["bpp"]), float(row["psnr_db"])
            lines.append([name, row["label"] + MARK, str(number), rate, quality, f"CompressAI, {row['file']}"])
    return pd.DataFrame(lines, columns=["name", "scheme", "operating_point", "bpp", "psnr_db", "source"])


@lru_cache(maxsize=1)
def _unavailable() -> Mapping[str, str]:
    return {row["name"]: row["reason"] for row in _rows("unavailable.csv")}


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = (files("netsim.published") / name).read_text(encoding="utf-8").splitlines()
    return csv.DictReader(lines[1:])

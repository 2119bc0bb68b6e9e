"""Rate–distortion curves of others, to be drawn beside one's own.

The points of published schemes stand in ``kodak.csv``, whose first line says that they are published, and where. They
are means over the Kodak images without loss. A scheme of which only a drawing is published is refused with the reason
(``unavailable.csv``). A name that ends with ``.json`` is a file in CompressAI's format (``netsim.rd_json``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from netsim.errors import InputError, did_you_mean
from netsim.paths import user_path
from netsim.rd_json import read_rd_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FILE_MARK", "IMAGES", "MARK", "check_published", "published_curves", "published_names"]

IMAGES = "kodak"
"""Name of the image set of all curves."""

MARK, FILE_MARK = " (published)", " (file)"
"""Follows the name of a published curve, and of one from a file."""


_FILE = ".json"


def published_names() -> tuple[str, ...]:
    """Names of the schemes whose points are known."""
    return tuple(dict.fromkeys(row["name"] for row in _rows("kodak.csv")))


def check_published(names: Sequence[str]) -> None:
    """Checks names of published curves.

    Args:
        names: As in ``published: [vtm, bpg, results/mine.json]``.

    Raises:
        InputError: A name is unknown, listed twice, or of a scheme whose points are not published; a file is missing
            or holds no curve. ``key`` is the position of the name.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(f"published curve `{name}` is listed twice", hint="leave one out", key=(place,))
        if name in published_names():
            continue
        if name.endswith(_FILE):
            try:
                read_rd_json(user_path(name))
            except InputError as error:
                raise InputError(error.message, hint=error.hint, key=(place,)) from None
            continue
        known = f"with points: {', '.join(published_names())}"
        if (reason := _unavailable().get(name)) is not None:
            raise InputError(f"no published points of `{name}`: {reason}", hint=known, key=(place,))
        hint = did_you_mean(name, published_names())
        raise InputError(f"no published curve `{name}`", hint=hint, key=(place,))


def published_curves(names: Sequence[str]) -> pd.DataFrame:
    """The points of published curves.

    Args:
        names: Of the schemes, or files.

    Returns:
        Columns name, scheme (its label and ``MARK`` or ``FILE_MARK``), operating_point (the point's number), bpp,
        psnr_db, source (empty for a file); by name in the order given, then by rate.

    Raises:
        InputError: As ``check_published``.

    >>> published_curves(["vtm"]).loc[0, ["scheme", "operating_point"]].tolist()
    ['VTM (published)', '1']
    """
    import pandas as pd

    check_published(names)
    lines = []
    for name in names:
        if name.endswith(_FILE):
            for point in read_rd_json(user_path(name)).to_dict("records"):
                values = [point[key] for key in ("operating_point", "bpp", "psnr_db")]
                lines.append([name, point["scheme"] + FILE_MARK, *values, ""])
            continue
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

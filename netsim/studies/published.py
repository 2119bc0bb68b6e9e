"""The published numbers of a recipe: CSV files whose first line says that they are, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netsim.errors import InputError
from netsim.published import MARK
from netsim.published import published_curves as shared_curves
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLAIM_COLUMNS", "COLUMNS", "MARK", "claims_table", "published_curves", "published_table"]

COLUMNS = ["condition", "scheme", "point", "quantity", "published"]
CLAIM_COLUMNS = ["condition", "quantity", "better", "worse", "words"]


def published_table(recipe: Recipe, name: str | None = None) -> pd.DataFrame:
    """The published numbers.

    Args:
        recipe: Its folder holds the file.
        name: The file; None: the recipe's ``published``.

    Returns:
        Columns ``COLUMNS``, strings but for the last; empty if the recipe has no such file. ``point`` numbers the
        operating points of a scheme where the paper has several; a file may leave it out.

    Raises:
        InputError: The first line does not begin with ``# PUBLISHED``, a column is missing, or a number can't be read.
    """
    name = name or recipe.published
    return _table(recipe, name, COLUMNS, {"published": float}, {"point": ""})


def claims_table(recipe: Recipe) -> pd.DataFrame:
    """Orders that the paper states in words: columns ``CLAIM_COLUMNS``, strings; empty without ``claims``.

    A claim says that the scheme ``better`` is better than ``worse`` in a condition. Conditions and schemes are ours;
    an empty condition stands for all.

    Args:
        recipe: Its folder holds the file.

    Returns:
        The claims.

    Raises:
        InputError: As ``published_table``.
    """
    return _table(recipe, recipe.claims, CLAIM_COLUMNS, {}, {})


def _table(
    recipe: Recipe, name: str | None, columns: list[str], numbers: dict[str, type], optional: dict[str, str]
) -> pd.DataFrame:
    import pandas as pd

    if name is None:
        return pd.DataFrame(columns=columns)
    path = recipe.folder / name
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith("# PUBLISHED"):
        raise InputError(f"`{path}` must say on its first line that it is published, and where", hint="# PUBLISHED. …")
    kinds = dict.fromkeys(columns, str) | numbers
    empty = {key: [""] for key in numbers}
    try:
        frame = pd.read_csv(path, skiprows=1, dtype=kinds, keep_default_na=False, na_values=empty)
    except ValueError as error:  # a text in place of a number, or no table
        hint = "columns after the first line: " + ",".join(columns)
        raise InputError(f"can't read the published numbers in `{path}`: {error}", hint=hint) from None
    frame = frame.assign(**{key: value for key, value in optional.items() if key not in frame})
    missing = [key for key in columns if key not in frame]
    if missing:
        raise InputError(f"`{path}` lacks columns: {', '.join(missing)}", hint="columns: " + ",".join(columns))
    return frame[columns]


def published_curves(
    recipe: Recipe, name: str | None, shared: Sequence[str] = (), channels: Sequence[str] = ()
) -> pd.DataFrame:
    """Published rate–distortion curves.

    Args:
        recipe: Its folder holds the file.
        name: A file written as the published numbers are: quantities ``bpp`` and ``psnr_db`` of each ``point``;
            condition is the channel. None: no file.
        shared: Names of curves that netsim has (``netsim.published``).
        channels: Channels in which these stand.

    Returns:
        Columns channel, scheme (its name and ``MARK``), operating_point, bpp, psnr_db.

    Raises:
        InputError: A point lacks one of the quantities, or netsim has no such curve.
    """
    import pandas as pd

    rows: list[list[object]] = []
    columns = ["channel", "scheme", "operating_point", "bpp", "psnr_db"]
    table = published_table(recipe, name) if name is not None else pd.DataFrame(columns=COLUMNS)
    for key, part in table.groupby(["condition", "scheme", "point"], sort=False):
        values = dict(zip(part["quantity"], part["published"], strict=True))
        missing = {"bpp", "psnr_db"} - set(values)
        if missing:
            raise InputError(f"`{name}`: point {key[2]} of {key[1]} has no {missing.pop()}")
        rows.append([key[0], f"{key[1]}{MARK}", key[2], values["bpp"], values["psnr_db"]])
    for point in shared_curves(shared).to_dict("records"):
        rows += [[channel, *(point[column] for column in columns[1:])] for channel in channels]
    return pd.DataFrame(rows, columns=columns)

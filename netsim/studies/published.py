"""The published numbers of a recipe: a CSV file whose first line says that they are, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.errors import InputError
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "published_points", "published_table"]

COLUMNS = ["condition", "scheme", "point", "quantity", "published"]


def published_table(recipe: Recipe, name: str | None = None) -> pd.DataFrame:
    """Columns ``COLUMNS``, strings but for the last; empty if the recipe has no such file.

    name: of the file; the recipe's ``published`` if None.

    ``point`` numbers the operating points of a scheme where the paper has several; a file may leave it out.
    Raises InputError if the first line does not begin with ``# PUBLISHED``, or if a column is missing.
    """
    import pandas as pd

    name = name or recipe.published
    if name is None:
        return pd.DataFrame(columns=COLUMNS)
    path = recipe.folder / name
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith("# PUBLISHED"):
        raise InputError(f"`{path}` must say on its first line that it is published, and where", hint="# PUBLISHED. …")
    kinds = dict.fromkeys(COLUMNS, str) | {"published": float}
    frame = pd.read_csv(path, comment="#", dtype=kinds, keep_default_na=False, na_values={"published": [""]})
    frame = frame if "point" in frame else frame.assign(point="")
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise InputError(f"`{path}` lacks columns: {', '.join(missing)}", hint="columns: " + ",".join(COLUMNS))
    return frame[COLUMNS]


def published_points(recipe: Recipe, table: pd.DataFrame, condition: str, scheme: str) -> dict[str, dict[str, float]]:
    """{point: {quantity: value}} of a scheme in a condition, both called as here; ``paper_names`` translates them."""
    theirs = table[
        (table["condition"] == recipe.paper_names.get(condition, condition))
        & (table["scheme"] == recipe.paper_names.get(scheme, scheme))
    ]
    found: dict[str, dict[str, float]] = {}
    for point, quantity, value in theirs[["point", "quantity", "published"]].itertuples(index=False, name=None):
        found.setdefault(str(point), {})[str(quantity)] = float(value)
    return found

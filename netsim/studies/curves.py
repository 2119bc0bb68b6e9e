"""Published rate–distortion curves: drawn beside ours, and BD-rates against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.errors import InputError
from netsim.studies.comparison import comparison
from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MARK", "compare_bd_rates", "published_curves"]

MARK = " (published)"


def published_curves(recipe: Recipe) -> pd.DataFrame:
    """Columns channel, scheme (its name and `` (published)``), operating_point, bpp, psnr_db; empty without ``curves``.

    The file is written as the published numbers are: quantities ``bpp`` and ``psnr_db`` of each ``point``; condition is
    the channel. Raises InputError if a point lacks one of them.
    """
    import pandas as pd

    rows: list[list[object]] = []
    columns = ["channel", "scheme", "operating_point", "bpp", "psnr_db"]
    if recipe.curves is None:
        return pd.DataFrame(rows, columns=columns)
    table = published_table(recipe, recipe.curves)
    for (channel, scheme), _ in table.groupby(["condition", "scheme"], sort=False):
        for point, values in published_points(recipe, table, str(channel), str(scheme)).items():
            missing = {"bpp", "psnr_db"} - set(values)
            if missing:
                raise InputError(f"`{recipe.curves}`: point {point} of {scheme} has no {missing.pop()}")
            rows.append([str(channel), f"{scheme}{MARK}", point, values["bpp"], values["psnr_db"]])
    return pd.DataFrame(rows, columns=columns)


def compare_bd_rates(recipe: Recipe, rates: pd.DataFrame) -> pd.DataFrame:
    """comparison.csv: the BD-rate of each pair beside the printed one; no interval, since it is one of mean curves.

    rates: from ``netsim.studies.pairwise.bd_rates``. In the published CSV the anchor is the condition.
    """
    table = published_table(recipe)
    rows = []
    for line in rates.to_dict("records"):
        anchor, scheme, ours = line["anchor"], line["scheme"], line["bd_rate_percent"]
        found = published_points(recipe, table, anchor.removesuffix(MARK), scheme.removesuffix(MARK)).get("", {})
        known = found.get("bd_rate_percent")
        rows.append([recipe.name, f"against {anchor}", scheme, "bd_rate_percent", ours, None, None, known])
    return comparison(rows)

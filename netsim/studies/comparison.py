"""comparison.csv: ours beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "compare_channels", "compare_summary", "comparison"]

COLUMNS = [
    "artefact",
    "condition",
    "scheme",
    "quantity",
    "ours",
    "ours_low",
    "ours_high",
    "published",
    "difference",
]
_INTERVALS = {"psnr_db": ("psnr_low", "psnr_high"), "failure_ratio": ("failure_low", "failure_high")}


def compare_channels(recipe: Recipe) -> pd.DataFrame:
    """Each channel's loss rate and mean burst (closed form, so no interval) beside the printed ones.

    The scheme column holds the variant; a variant that is no chain has no ours.
    """
    from netsim.channels.describe import describe
    from netsim.channels.spec import expand_range

    rows = []
    for name in [one for spec in recipe.channels for one in expand_range(spec)]:
        for variant in recipe.variants:
            about = describe(name, variant)
            for quantity in ("loss_rate", "mean_burst"):
                ours, published = about[quantity], about["published"][quantity]
                rows.append([recipe.name, name, variant, quantity, ours, ours, ours, published])
    return comparison(rows)


def compare_summary(recipe: Recipe, summary: pd.DataFrame) -> pd.DataFrame:
    """A summary's column per channel and scheme, with its 95 % interval, beside the published numbers."""
    published = published_table(recipe)
    low, high = _INTERVALS[recipe.compare]
    rows = []
    for line in summary.to_dict("records"):
        scheme = f"{line['scheme']} {line['operating_point']}"
        known = published_points(recipe, published, line["channel"], line["scheme"]).get("", {})
        ours = [line[recipe.compare], line[low], line[high]]
        rows.append([recipe.name, line["channel"], scheme, recipe.compare, *ours, known.get(recipe.compare)])
    return comparison(rows)


def comparison(rows: Iterable[list[Any]]) -> pd.DataFrame:
    """comparison.csv from its rows (``COLUMNS`` but for the last): difference = ours - published, where both are."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=COLUMNS[:-1])
    frame["difference"] = pd.to_numeric(frame["ours"]) - pd.to_numeric(frame["published"])
    return frame

"""comparison.csv: ours beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError
from netsim.recipes.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "compare_channels", "compare_summary"]

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
    return _frame(rows)


def compare_summary(recipe: Recipe, summary: pd.DataFrame) -> pd.DataFrame:
    """A summary's column per channel and scheme, with its 95 % interval, beside the published numbers."""
    published = _published(recipe)
    low, high = _INTERVALS[recipe.compare]
    rows = []
    for line in summary.to_dict("records"):
        scheme = f"{line['scheme']} {line['operating_point']}"
        known = published.get((line["channel"], line["scheme"], recipe.compare))
        ours = [line[recipe.compare], line[low], line[high]]
        rows.append([recipe.name, line["channel"], scheme, recipe.compare, *ours, known])
    return _frame(rows)


def _frame(rows: Iterable[list[Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=COLUMNS[:-1])
    frame["difference"] = pd.to_numeric(frame["ours"]) - pd.to_numeric(frame["published"])
    return frame


def _published(recipe: Recipe) -> dict[tuple[str, str, str], float]:
    if recipe.published is None:
        return {}
    import pandas as pd

    path: Path = recipe.folder / recipe.published
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith("# PUBLISHED"):
        raise InputError(f"`{path}` must say on its first line that it is published, and where", hint="# PUBLISHED. …")
    frame = pd.read_csv(path, comment="#")
    rows = frame[["condition", "scheme", "quantity", "published"]].to_numpy()
    return {(condition, scheme, quantity): float(value) for condition, scheme, quantity, value in rows}

"""Whether the order of schemes is the paper's: yes, no, or not told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

from netsim.studies.published import claims_table
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from netsim.statistics.intervals import Estimate

__all__ = ["COLUMNS", "NO", "NOT_MEASURED", "NOT_TOLD_APART", "YES", "orders", "verdict"]

COLUMNS = ["artefact", "condition", "quantity", "point", "better", "worse", "by", "ours", "verdict", "words"]
YES, NO, NOT_TOLD_APART, NOT_MEASURED = "yes", "no", "not told apart", "not measured"

_HIGHER_IS_BETTER = {
    "psnr_db": True,
    "psnr_mean_db": True,
    "psnr_variance": False,
    "failure_ratio": False,
    "bd_rate_percent": False,
    "encode_ms": False,
    "decode_ms": False,
    "parameters_mib": False,
}
"""Quantities by which schemes can be ordered."""


def verdict(better: dict[str, Any] | None, worse: dict[str, Any] | None, higher_is_better: bool) -> str:
    """Whether ours agree that one scheme is better than another.

    Args:
        better: Row of the scheme that the paper has in front: ours, ours_low, ours_high; None: there is none.
        worse: Row of the other.
        higher_is_better: Of the quantity.

    Returns:
        ``yes`` or ``no`` where the 95 % intervals are apart (a number without an interval counts as it is), ``not
        told apart`` where they meet, ``not measured`` where one is missing.

    >>> verdict({"ours": 31.0, "ours_low": 30.8, "ours_high": 31.2}, {"ours": 30.0}, True)
    'yes'
    """
    if better is None or worse is None or math.isnan(better["ours"]) or math.isnan(worse["ours"]):
        return NOT_MEASURED
    (low, high), (other_low, other_high) = _ends(better), _ends(worse)
    if not higher_is_better:
        (low, high), (other_low, other_high) = (-high, -low), (-other_high, -other_low)
    if low > other_high:
        return YES
    return NO if high < other_low else NOT_TOLD_APART


def _ends(row: dict[str, Any]) -> tuple[float, float]:
    """Of the interval; one end may be unknown (if every slot failed), or there is no interval at all."""
    low, high = float(row.get("ours_low", math.nan)), float(row.get("ours_high", math.nan))
    if math.isnan(low) and math.isnan(high):
        return row["ours"], row["ours"]
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


Paired = Callable[[str, str, str], "Estimate | None"]
"""(condition, better, worse) → by how much better, paired by trace; None where that can't be had."""


def orders(
    recipe: Recipe, comparison: pd.DataFrame, levels: pd.DataFrame | None, paired: Paired = lambda *names: None
) -> pd.DataFrame:
    """Each order that the paper prints or states, with ours.

    Args:
        recipe: Has the claims in words.
        comparison: comparison.csv; each pair of its printed numbers in one condition, quantity and point is an order.
        levels: What decides claims about whole schemes (``Study.levels``); None: comparison.
        paired: Decides before ``levels`` does, where it gives a difference (``Study.difference``).

    Returns:
        Columns ``COLUMNS``. by: how much better, published (NaN for a claim in words); ours: how much better here.
    """
    import pandas as pd

    rows = [*_printed(recipe, comparison), *_claimed(recipe, comparison if levels is None else levels, paired)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _printed(recipe: Recipe, comparison: pd.DataFrame) -> Iterator[dict[str, Any]]:
    known = comparison[comparison["published"].notna() & comparison["quantity"].isin(_HIGHER_IS_BETTER)]
    for key, part in known.groupby(["condition", "quantity", "point"], sort=False):
        lines: list[Any] = part.to_dict("records")
        for one, other in combinations(lines, 2):
            if one["published"] == other["published"] or one["scheme"] == other["scheme"]:
                continue
            yield _row(recipe, tuple(map(str, key)), one, other)


def _row(recipe: Recipe, key: tuple[str, ...], one: Any, other: Any) -> dict[str, Any]:
    condition, quantity, point = key
    higher = _HIGHER_IS_BETTER[quantity]
    better, worse = (one, other) if (one["published"] > other["published"]) == higher else (other, one)
    sign = 1 if higher else -1
    about = {"artefact": recipe.name, "condition": condition, "quantity": quantity, "point": point, "words": ""}
    gaps = {"by": sign * (better["published"] - worse["published"]), "ours": sign * (better["ours"] - worse["ours"])}
    named = {"better": better["scheme"], "worse": worse["scheme"], "verdict": verdict(better, worse, higher)}
    return about | gaps | named


def _claimed(recipe: Recipe, levels: pd.DataFrame, paired: Paired) -> Iterator[dict[str, Any]]:
    for claim in claims_table(recipe).to_dict("records"):
        quantity = claim["quantity"]
        here = levels[levels["quantity"] == quantity]
        conditions = [claim["condition"]] if claim["condition"] else list(dict.fromkeys(here["condition"]))
        for condition in conditions or [""]:
            there = here[here["condition"] == condition]
            better, worse = (_one(there, claim[side]) for side in ("better", "worse"))
            sign = 1 if _HIGHER_IS_BETTER[quantity] else -1
            gap = math.nan if better is None or worse is None else sign * (better["ours"] - worse["ours"])
            about: dict[str, Any] = {"artefact": recipe.name, "point": "", "by": math.nan, "ours": gap}
            found = verdict(better, worse, _HIGHER_IS_BETTER[quantity])
            apart = paired(condition, claim["better"], claim["worse"]) if found != NOT_MEASURED else None
            if apart is not None and quantity == "psnr_db":
                about["ours"] = apart.value
                found = YES if apart.low > 0 else NO if apart.high < 0 else NOT_TOLD_APART
            yield about | {str(key): value for key, value in claim.items()} | {"condition": condition, "verdict": found}


def _one(rows: pd.DataFrame, scheme: str) -> Any:
    mine = rows[rows["scheme"] == scheme]
    return None if mine.empty else mine.iloc[0].to_dict()

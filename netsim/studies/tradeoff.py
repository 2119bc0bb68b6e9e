"""Efficiency against resilience: BD-rate without loss, mean PSNR over lossy channels (ResiComp, Figs. 1 and 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.figures import radar
from netsim.studies.comparison import comparison
from netsim.studies.pairwise import bd_rates
from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe, Tradeoff

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_tradeoff", "tradeoff_numbers"]


def tradeoff_numbers(log: pd.DataFrame, summary: pd.DataFrame, asked: Tradeoff, failure_db: float) -> pd.DataFrame:
    """One row per scheme: what it costs where nothing is lost, and what it delivers where something is.

    bd_rate_percent: against the anchor in the channel asked for, all that is sent counted, copies and parity too (the
    anchor's own is 0); why_not where there is none. psnr_db: mean over all other channels of the mean PSNR over
    low_bpp … high_bpp as in the radar, with the interval's ends averaged likewise; NaN where a curve meets the range
    in none of its rates in some channel. covered: how the curve meets it there where it does so worst (``range``,
    ``part``, ``point``, ``none``). channels: how many were averaged.
    """
    schemes = list(dict.fromkeys(summary["scheme"]))
    pairs = [[asked.anchor, scheme] for scheme in schemes]
    rates = bd_rates(log, asked.channel, pairs, failure_db)
    spokes = radar.numbers(summary[summary["channel"] != asked.channel], asked.low_bpp, asked.high_bpp)
    rows: list[dict[str, Any]] = []
    for line in rates.to_dict("records"):
        mine = spokes[spokes["scheme"] == line["scheme"]]
        row = {name: line[name] for name in ("scheme", "anchor", "bd_rate_percent", "why_not")}
        means = {name: float(mine[name].mean(skipna=False)) for name in ("psnr_db", "psnr_low", "psnr_high")}
        worst = min(mine["kind"], key=["none", "point", "part", "range"].index)
        engines = {"engine": "exact" if set(mine["engine"]) == {"exact"} else "sampled"}
        asked_for = {"low_bpp": asked.low_bpp, "high_bpp": asked.high_bpp, "failure_db": failure_db}
        rows.append(row | means | {"covered": worst, "channels": len(mine)} | engines | asked_for)
    import pandas as pd

    return pd.DataFrame(rows)


def compare_tradeoff(recipe: Recipe, numbers: pd.DataFrame) -> pd.DataFrame:
    """comparison.csv: both coordinates of each scheme."""
    table = published_table(recipe)
    rows: list[list[Any]] = []
    for line in numbers.to_dict("records"):
        known = published_points(recipe, table, "", line["scheme"]).get("", {})
        rate = [line["bd_rate_percent"], np.nan, np.nan, known.get("bd_rate_percent")]
        rows.append([recipe.name, f"no loss, against {line['anchor']}", line["scheme"], "bd_rate_percent", *rate])
        quality = [line["psnr_db"], line["psnr_low"], line["psnr_high"], known.get("psnr_db")]
        rows.append([recipe.name, f"mean of {line['channels']} channels", line["scheme"], "psnr_db", *quality])
    return comparison(rows)

"""Study ``tradeoff``: BD-rate without loss against mean PSNR over lossy channels (ResiComp, Figs. 1 and 17)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from netsim.errors import InputError
from netsim.figures import radar
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output
from netsim.studies.pairwise import bd_rates
from netsim.studies.published import MARK, published_curves
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Tradeoff", "TradeoffOptions", "tradeoff_numbers"]


class TradeoffOptions(StudyOptions):
    """Efficiency: BD-rate against the anchor in one channel. Resilience: mean PSNR over some rates in the others.

    curves: a CSV of published curves. published: names of curves that netsim has. ``published_anchor`` is one of them:
    the others get their efficiency against it, and no resilience; on the paper's images it is the anchor of ours too.
    """

    channel: str
    anchor: str
    low_bpp: float = 0.3
    high_bpp: float = 0.4
    curves: str | None = None
    published: list[str] = Field(default_factory=list)
    published_anchor: str | None = None


class Tradeoff(Study):
    """A run of the scenario."""

    name = "tradeoff"
    Options = TradeoffOptions

    def measure(self, context: StudyContext) -> pd.DataFrame:
        asked = self.options
        curves = published_curves(context.recipe, asked.curves, asked.published, [asked.channel])
        same = not not_the_papers(context.recipe, context.plan.images.name)
        run = context.run()
        return tradeoff_numbers(run.log, run.summary, self.options, context.plan.failure_db, curves, same)

    def compare(self, table: Comparison, measured: pd.DataFrame) -> None:
        """Both coordinates of each scheme.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for line in measured.to_dict("records"):
            scheme = str(line["scheme"])
            named: Any = {"paper_condition": "", "paper_scheme": table.recipe.paper_name(scheme.removesuffix(MARK))}
            rate = Estimate(line["bd_rate_percent"], np.nan, np.nan)
            table.add(f"no loss, against {line['anchor']}", scheme, "bd_rate_percent", rate, **named)
            if not scheme.endswith(MARK):
                quality = Estimate(line["psnr_db"], line["psnr_low"], line["psnr_high"])
                table.add(f"mean of {line['channels']} channels", scheme, "psnr_db", quality, **named)

    def draw(self, recipe: Recipe, measured: pd.DataFrame) -> Iterable[Output]:
        from netsim.figures.tradeoff import draw

        yield Drawing("tradeoff", draw(measured), measured)


def tradeoff_numbers(
    log: pd.DataFrame,
    summary: pd.DataFrame,
    asked: TradeoffOptions,
    failure_db: float,
    curves: pd.DataFrame | None = None,
    same_images: bool = True,
) -> pd.DataFrame:
    """One row per scheme: what it costs where nothing is lost, and what it delivers where something is.

    bd_rate_percent: against the row's anchor in the channel asked for, all that is sent counted, copies and parity too
    (the anchor's own is 0); why_not where there is none. psnr_db: mean over all other channels of the mean PSNR over
    low_bpp … high_bpp as in the radar, with the interval's ends averaged likewise; NaN where a curve meets the range
    in none of its rates in some channel, and for a published curve. covered: how the curve meets it there where it does
    so worst (``range``, ``part``, ``point``, ``none``). channels: how many were averaged.

    Args:
        log: The run's log.
        summary: The run's summary.
        asked: The study's options.
        failure_db: What a failed image counts as, in dB.
        curves: Published curves; None: none.
        same_images: Whether the published curves are of the run's images.

    Returns:
        Columns scheme, anchor, bd_rate_percent, why_not, psnr_db, psnr_low, psnr_high, covered, channels, engine,
        low_bpp, high_bpp, failure_db.

    Raises:
        InputError: The run has several links, or lacks a channel or scheme that is asked for.
    """
    import pandas as pd

    links = list(dict.fromkeys(summary["link"]))
    if len(links) > 1:
        raise InputError(f"a tradeoff over {len(links)} links: {', '.join(links)}", hint="one link in the scenario")
    theirs = [] if curves is None else list(dict.fromkeys(curves["scheme"]))
    schemes, printed = list(dict.fromkeys(summary["scheme"])), asked.published_anchor
    pairs = [[printed if printed and same_images else asked.anchor, scheme] for scheme in schemes]
    pairs += [[printed, scheme] for scheme in theirs if printed and scheme != printed]
    rates = bd_rates(log, asked.channel, pairs, failure_db, curves, same_images)
    spokes = radar.numbers(summary[summary["channel"] != asked.channel], asked.low_bpp, asked.high_bpp)
    rows: list[dict[str, Any]] = []
    for line in rates.to_dict("records"):
        mine = spokes[spokes["scheme"] == line["scheme"]]
        row = {name: line[name] for name in ("scheme", "anchor", "bd_rate_percent", "why_not")}
        means = {name: float(mine[name].mean(skipna=False)) for name in ("psnr_db", "psnr_low", "psnr_high")}
        worst = min(mine["kind"], key=["none", "point", "part", "range"].index, default="none")
        engines = {"engine": "exact" if set(mine["engine"]) <= {"exact"} else "sampled"}
        asked_for = {"low_bpp": asked.low_bpp, "high_bpp": asked.high_bpp, "failure_db": failure_db}
        count = spokes["channel"].nunique()
        rows.append(row | means | {"covered": worst, "channels": count} | engines | asked_for)
    return pd.DataFrame(rows)

"""Study ``rate_distortion``: mean PSNR of each scheme at each rate, per channel; differences and BD-rates of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from netsim.figures.select import with_condition
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output, Table
from netsim.studies.pairwise import bd_rates, curve_difference, differences
from netsim.studies.published import MARK, published_curves
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from netsim.results import Run

_BEST_OF = "best of "
"""A claim may order codecs by their best schemes: ``best of resicomp``."""

__all__ = ["BdRates", "Pair", "RateDistortion", "RateDistortionOptions", "add_bd_rates", "curve_levels"]

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
"""Two schemes; of a BD-rate the first is the anchor."""


class BdRates(BaseModel):
    """BD-rates in one channel, each pair's second scheme against its first.

    A published curve goes by its name and `` (published)``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    channel: str
    pairs: Annotated[list[Pair], Field(min_length=1)]


class RateDistortionOptions(StudyOptions):
    """figure: what is drawn. bars: of an rd figure. highlight: schemes in colour (rd, radar). difference: pairs in dB.

    low_bpp, high_bpp: the range of a radar; an rd figure's axis ends at high_bpp.
    curves: a CSV of published curves. published: names of curves that netsim has.
    """

    figure: Literal["radar", "rd", "timeline"] = "rd"
    bars: Literal["interval", "range"] = "interval"
    highlight: list[str] | None = None
    low_bpp: float | None = None
    high_bpp: float | None = None
    difference: list[Pair] = Field(default_factory=list)
    bd_rate: BdRates | None = None
    curves: str | None = None
    published: list[str] = Field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Measured:
    run: Run
    curves: pd.DataFrame
    drawn_curves: pd.DataFrame
    bd_rates: pd.DataFrame | None
    differences: pd.DataFrame | None


class RateDistortion(Study):
    """A run of the scenario."""

    name = "rate_distortion"
    Options = RateDistortionOptions

    def measure(self, context: StudyContext) -> _Measured:
        asked, plan = self.options, context.plan
        channels = list(dict.fromkeys(row.channel_name for row in plan.rows))
        curves = published_curves(context.recipe, asked.curves, asked.published, channels)
        same = not not_the_papers(context.recipe, plan.images.name)
        run = context.run()
        rates = apart = None
        if asked.bd_rate is not None:
            rates = bd_rates(run.log, asked.bd_rate.channel, asked.bd_rate.pairs, plan.failure_db, curves, same)
        if asked.difference:
            apart = differences(run.log, asked.difference, plan.failure_db)
        return _Measured(run, curves, curves if same else curves[:0], rates, apart)

    def compare(self, table: Comparison, measured: _Measured) -> None:
        if measured.bd_rates is not None:
            add_bd_rates(table, measured.bd_rates)
        for line in with_condition(measured.run.summary).to_dict("records"):
            ours = Estimate(line["psnr_db"], line["psnr_low"], line["psnr_high"])
            point = line["operating_point"]
            table.add(line["condition"], line["scheme"], "psnr_db", ours, operating_point=point)

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        yield self._figure(measured)
        if measured.differences is not None:
            yield Table("difference", measured.differences)
        if measured.bd_rates is not None:
            yield Table("bd_rate", measured.bd_rates)

    def difference(self, measured: _Measured, condition: str, better: str, worse: str) -> Estimate | None:
        run = measured.run
        if _BEST_OF in better or _BEST_OF in worse:
            return None
        return curve_difference(run.log, condition, better, worse, float(run.manifest.get("failure_db", 13.0)))

    def levels(self, measured: _Measured) -> pd.DataFrame:
        import pandas as pd

        frames = [curve_levels(measured.run.summary)]
        if measured.bd_rates is not None:
            rates = measured.bd_rates
            against = pd.DataFrame({"condition": _against(rates), "scheme": rates["scheme"]})
            frames.append(against.assign(quantity="bd_rate_percent", ours=rates["bd_rate_percent"]))
        return pd.concat(frames, ignore_index=True)

    def _figure(self, measured: _Measured) -> Drawing:
        from netsim.figures import rd
        from netsim.figures.kinds import KINDS, make

        kind, run = self.options.figure, measured.run
        name, figure = KINDS[kind].file_name, None
        if kind == "rd" and len(measured.drawn_curves):
            numbers = rd.numbers(run.summary, published=measured.drawn_curves, highlight=self.options.highlight)
            figure = rd.draw(numbers)
            return Drawing(name, figure, numbers)
        asked = self.options
        options: Any = {
            "rd": {"bars": asked.bars, "highlight": asked.highlight},
            "radar": {"low_bpp": asked.low_bpp, "high_bpp": asked.high_bpp, "highlight": asked.highlight},
            "timeline": {},
        }[kind]
        numbers, made = make(kind, run.log, run.summary, **options)
        if kind == "rd" and asked.high_bpp is not None:
            made = rd.draw(numbers, to_bpp=asked.high_bpp)
        drawn: Figure = made
        return Drawing(name, drawn, numbers)


def _against(rates: pd.DataFrame) -> list[str]:
    return [f"against {anchor}" for anchor in rates["anchor"]]


def add_bd_rates(table: Comparison, rates: pd.DataFrame) -> None:
    """Adds rows of BD-rates, without interval: they are of mean curves.

    In the published CSV the anchor is the condition.

    Args:
        table: Gets a row for each rate.
        rates: From ``netsim.studies.pairwise.bd_rates``.
    """
    for line in rates.to_dict("records"):
        anchor, scheme = str(line["anchor"]), str(line["scheme"])
        table.add(
            f"against {anchor}",
            scheme,
            "bd_rate_percent",
            Estimate(line["bd_rate_percent"], math.nan, math.nan),
            paper_condition=table.recipe.paper_name(anchor.removesuffix(MARK)),
            paper_scheme=table.recipe.paper_name(scheme.removesuffix(MARK)),
        )


def curve_levels(summary: pd.DataFrame) -> pd.DataFrame:
    """Mean PSNR of each scheme in each condition, over the widest range of rates that all curves cover there.

    A condition is a channel, with its link where there are several.

    Codecs of several schemes have a row of their best one, too: ``best of CODEC``.

    Args:
        summary: Columns channel, scheme, codec, bpp, psnr_db, psnr_low, psnr_high, link.

    Returns:
        Columns condition, scheme, quantity, ours, ours_low, ours_high.
    """
    import pandas as pd

    from netsim.analysis.rate_curve import mean_over_range
    from netsim.figures.radar import common_range

    rows = []
    codecs = dict(zip(summary["scheme"], summary["codec"], strict=True))
    for condition, here in with_condition(summary).groupby("condition", sort=False):
        low, high = common_range(here)
        of_codec: dict[str, list[dict[str, Any]]] = {}
        for scheme, curve in here.groupby("scheme", sort=False):
            points = curve[["bpp", "psnr_db", "psnr_low", "psnr_high"]].to_numpy(float)
            mean = mean_over_range(points, low, high)
            ends = {"ours": mean.psnr_db, "ours_low": mean.low_db, "ours_high": mean.high_db}
            rows.append({"condition": str(condition), "scheme": str(scheme), "quantity": "psnr_db"} | ends)
            if not math.isnan(mean.psnr_db):
                of_codec.setdefault(codecs[scheme], []).append(rows[-1])
        for codec, mine in of_codec.items():
            if len(mine) > 1:
                rows.append(max(mine, key=lambda row: row["ours"]) | {"scheme": _BEST_OF + codec})
    return pd.DataFrame(rows)

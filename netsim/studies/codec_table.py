"""Study ``codec_table``: slices, times, BD-rate and parameters of codecs (ResiComp, Table II)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from netsim.scenario.plan import Plan
from netsim.statistics.intervals import Estimate, median_interval
from netsim.studies.comparison import Comparison, certain
from netsim.studies.complexity import Measured, hardware, measure_complexity, times_table
from netsim.studies.outputs import Output, Table
from netsim.studies.pairwise import bd_rates
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.published import published_curves
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CodecTable", "CodecTableOptions"]


class CodecTableOptions(StudyOptions):
    """channel: the one without loss. anchor: of BD-rates; a published curve is called ``NAME (published)``. stand_in:
    the anchor on other images than the paper's. curves: a CSV of published curves. published: names of
    curves that netsim has."""

    channel: str
    anchor: str
    stand_in: str
    curves: str | None = None
    published: list[str] = Field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Measured:
    plan: Plan
    times: list[Measured]
    rates: pd.DataFrame
    packets: dict[str, list[int]]


class CodecTable(Study):
    """A run of the scenario for the BD-rates, then times in this process, of each scheme's middle operating point."""

    name = "codec_table"
    Options = CodecTableOptions

    def measure(self, context: StudyContext) -> _Measured:
        asked, plan = self.options, context.plan
        same = not not_the_papers(context.recipe, plan.images.name)
        curves = published_curves(context.recipe, asked.curves, asked.published, [asked.channel])
        anchor = asked.anchor if same else asked.stand_in
        run = context.run()
        packets: dict[str, list[int]] = {}
        with context.cache() as cache:
            for one in plan_schemes(plan):
                counts = [int((~cache.encode(coded).protected).sum()) for coded in one.images]
                packets.setdefault(one.label, []).extend(counts)
        pairs = [[anchor, scheme] for scheme in packets if scheme != anchor]
        rates = bd_rates(run.log, asked.channel, pairs, plan.failure_db, curves, same)
        return _Measured(plan, measure_complexity(plan, several_points=True), rates, packets)

    def compare(self, table: Comparison, measured: _Measured) -> None:
        """Times are medians over the images with their interval, in the unit that the paper has them in.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        machine = hardware()
        for one in measured.times:
            counts = np.array(measured.packets[one.scheme])
            if counts.min() == counts.max():
                table.add("packets that can be lost", one.scheme, "slices", certain(counts[0]), paper_condition="")
            for quantity, values in (("cpu_encode_s", one.encode_ms), ("cpu_decode_s", one.decode_ms)):
                table.add(machine, one.scheme, quantity, median_interval(values / 1000), paper_condition="")
            if one.parameters is not None:
                millions = certain(one.parameters / 1e6)
                table.add("trained parameters", one.scheme, "parameters_millions", millions, paper_condition="")
        for line in measured.rates.to_dict("records"):
            rate = Estimate(line["bd_rate_percent"], math.nan, math.nan)
            condition = f"no loss, against {line['anchor']}"
            beside = "" if line["anchor"] == self.options.anchor else condition  # another anchor, another number
            table.add(condition, line["scheme"], "bd_rate_percent", rate, paper_condition=beside)

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        yield times_table(measured.plan, measured.times)
        yield Table("bd_rate", measured.rates)

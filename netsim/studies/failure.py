"""Study ``failure``: the share of slots without an image, from mask probabilities alone (ResiComp, Fig. 12).

A slot fails if no received packet is usable. Which masks fail follows from the codec's ``usable``; how likely each
mask is follows from the channel and the link. No image is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netsim.decoding.mask_table import QualityTable, slot_probabilities, table_without_quality
from netsim.decoding.streams import stream_key_of
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.figures.select import with_condition
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Failure", "failure_ratios"]


class Failure(Study):
    """Encodes the scenario's first image once per scheme and sends it alone; other images are not used."""

    name = "failure"

    def measure(self, context: StudyContext) -> pd.DataFrame:
        return failure_ratios(context)

    def compare(self, table: Comparison, measured: pd.DataFrame) -> None:
        for line in with_condition(measured).to_dict("records"):
            ours = Estimate(line["failure_ratio"], line["failure_low"], line["failure_high"])
            point = line["operating_point"]
            table.add(line["condition"], line["scheme"], "failure_ratio", ours, operating_point=point)

    def draw(self, recipe: Recipe, measured: pd.DataFrame) -> Iterable[Output]:
        from netsim.figures import failure

        numbers = failure.numbers(measured)
        yield Drawing("failure_ratio", failure.draw(numbers), numbers)


def failure_ratios(context: StudyContext) -> pd.DataFrame:
    """One row per scheme, operating point and channel of the plan, as a summary of the exact engine has it.

    Args:
        context: The study's plan and codec cache.

    Returns:
        Columns as in a summary of the exact engine, among them channel, link, scheme, operating_point, bpp.

    Raises:
        InputError: A controlled row, one that retransmits, more packets than have a mask table, or a channel or link
            without a closed form.
    """
    import pandas as pd

    plan = context.plan
    known: dict[tuple[str, str, str], QualityTable] = {}
    rows: list[dict[str, Any]] = []
    with context.cache() as cache:
        for row in plan.rows:
            channel, scheme = row.channel, row.schemes[0]
            reason = "a controller chooses" if row.control is not None else why_not_exact(channel, row.link)
            if reason:
                message = f"{row.label} over {row.channel_name} has no failure ratio in closed form"
                raise InputError(f"{message}: {reason}")
            key = row.label, row.operating_point, row.link_name
            if key not in known:
                coded = stream_key_of(plan, row, 0, scheme)
                known[key], _ = table_without_quality(cache, coded, scheme.protection, scheme=row.label)
            table = known[key]
            ratio = float(slot_probabilities(table, channel, row.link)[table.failed].sum())
            named: dict[str, Any] = {
                "channel": row.channel_name,
                "link": row.link_name,
                "engine": "exact",
                "scheme": row.label,
            }
            named |= {"operating_point": row.operating_point, "bpp": table.bpp, "slots": 0}
            rows.append(named | {"failure_ratio": ratio, "failure_low": ratio, "failure_high": ratio})
    return pd.DataFrame(rows)

"""Study ``adaptation``: controllers over a channel that alternates, beside fixed choices and an oracle (Fig. 20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from netsim.analysis.adaptation import controlled_rows, course, gains
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Adaptation", "AdaptationOptions"]


class AdaptationOptions(StudyOptions):
    """trial: the one whose course is drawn. slots: how many slots of it."""

    trial: int = Field(default=0, ge=0)
    slots: int = Field(default=60, ge=1)


@dataclass(frozen=True, eq=False)
class _Measured:
    course: pd.DataFrame
    gains: pd.DataFrame


class Adaptation(Study):
    """A run of the scenario, which needs ``control: [none, …]``."""

    name = "adaptation"
    Options = AdaptationOptions

    def measure(self, context: StudyContext) -> _Measured:
        rows = controlled_rows(context.plan, context.run().log)
        return _Measured(course(rows, self.options.trial, self.options.slots), gains(context.plan, rows))

    def compare(self, table: Comparison, measured: _Measured) -> None:
        """Mean PSNR of controller, best fixed choice and oracle (where there is one); the controller's gain and regret.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        several = measured.gains["link"].nunique() > 1
        for line in measured.gains.to_dict("records"):
            condition = f"{line['channel']}, {line['link']}" if several else str(line["channel"])
            for stem in (
                ("psnr", "fixed", "gain") if line["no_oracle"] else ("psnr", "fixed", "oracle", "gain", "regret")
            ):
                ours = Estimate(line[f"{stem}_db"], line[f"{stem}_low"], line[f"{stem}_high"])
                quantity = "psnr_db" if stem == "psnr" else f"{stem}_db"
                table.add(condition, line["scheme"], quantity, ours, operating_point=line["operating_point"])

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        from netsim.figures import adaptation

        yield Drawing("course", adaptation.draw(measured.course), measured.course)
        yield Drawing("gains", adaptation.draw_means(measured.gains), measured.gains)

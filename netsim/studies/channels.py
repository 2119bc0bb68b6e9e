"""Study ``channels``: each channel's loss rate and mean burst, in closed form, beside the printed ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Drawing, Output
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Channels", "ChannelsOptions"]


class ChannelsOptions(StudyOptions):
    """channels: names and ranges. variants: of each (``corrected``, ``released``, ``printed``)."""

    channels: Annotated[list[str], Field(min_length=1)]
    variants: Annotated[list[str], Field(min_length=1)]


class Channels(Study):
    """No images, no scenario. A variant that is not a valid chain has no numbers of ours."""

    name = "channels"
    Options = ChannelsOptions
    needs_scenario = False

    def measure(self, context: StudyContext) -> pd.DataFrame:
        import pandas as pd

        from netsim.channels.describe import describe
        from netsim.channels.spec import expand_range

        rows = []
        for name in [one for spec in self.options.channels for one in expand_range(spec)]:
            for variant in self.options.variants:
                about = describe(name, variant)
                for quantity in ("loss_rate", "mean_burst"):
                    rows.append([name, variant, quantity, about[quantity], about["published"][quantity]])
        return pd.DataFrame(rows, columns=["condition", "scheme", "quantity", "ours", "published"])

    def compare(self, table: Comparison, measured: pd.DataFrame) -> None:
        for channel, variant, quantity, ours, published in measured.itertuples(index=False, name=None):
            table.add(channel, variant, quantity, certain(ours), published=published)

    def draw(self, recipe: Recipe, measured: pd.DataFrame) -> Iterable[Output]:
        from netsim.figures.channels import draw

        yield Drawing("channels", draw(measured), measured)

"""Study ``failure``: the share of slots without an image, from mask probabilities alone (ResiComp, Fig. 12).

A slot fails if no received packet is usable. Which masks fail follows from the codec's ``usable``; how likely each
mask is follows from the channel. No image is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.markov import MarkovChannel
from netsim.codec import Codec, Stream
from netsim.decoding.masks import at_risk_packets, usable_masks
from netsim.decoding.streams import stream_key_of
from netsim.engines.exact import ALL_MASKS_PACKETS
from netsim.errors import InputError
from netsim.protection.base import Protection
from netsim.protection.calls import protected_stream
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Failure", "failing_masks", "failure_ratios"]


class Failure(Study):
    """Encodes the scenario's first image once per scheme; other images are not used."""

    name = "failure"

    def measure(self, context: StudyContext) -> pd.DataFrame:
        return failure_ratios(context)

    def compare(self, table: Comparison, measured: pd.DataFrame) -> None:
        for line in measured.to_dict("records"):
            ours = Estimate(line["failure_ratio"], line["failure_low"], line["failure_high"])
            point = line["operating_point"]
            table.add(line["channel"], line["scheme"], "failure_ratio", ours, operating_point=point)

    def draw(self, recipe: Recipe, measured: pd.DataFrame) -> Iterable[Output]:
        from netsim.figures import failure

        numbers = failure.numbers(measured)
        yield Drawing("failure_ratio", failure.draw(numbers), numbers)


def failing_masks(codec: Codec, stream: Stream, protection: Protection) -> tuple[int, NDArray[np.bool_]]:
    """Which losses leave nothing to show.

    Args:
        codec: The stream's codec.
        stream: An image's packets.
        protection: What is added to them.

    Returns:
        How many packets can be lost, n, and for each of the 2ⁿ masks, in the order of ``all_masks``, whether no packet
        is usable: bool [2ⁿ].

    Raises:
        InputError: More packets can be lost than all masks can be listed for.
    """
    protected = protected_stream(protection, stream)
    at_risk = at_risk_packets(protected)
    if len(at_risk) > ALL_MASKS_PACKETS:
        message = f"{codec.label}: {len(at_risk)} packets can be lost"
        raise InputError(message, hint=f"the failure study lists all masks of at most {ALL_MASKS_PACKETS} packets")
    return len(at_risk), usable_masks(codec, stream, protected, at_risk).failed


def failure_ratios(context: StudyContext) -> pd.DataFrame:
    """One row per scheme, operating point and channel of the plan, as a summary of the exact engine has it.

    Args:
        context: The study's plan and codec cache.

    Returns:
        Columns as in a summary of the exact engine, among them channel, link, scheme, operating_point, bpp.

    Raises:
        InputError: A controlled row, or a channel without mask probabilities.
    """
    import pandas as pd

    plan, known = context.plan, {}
    rows: list[dict[str, Any]] = []
    with context.cache() as cache:
        for row in plan.rows:
            channel, scheme = row.channel, row.schemes[0]
            if row.control is not None or not isinstance(channel, MarkovChannel):
                raise InputError(f"{row.label} over {row.channel_name} has no failure ratio in closed form")
            key = row.label, row.operating_point, row.link_name
            if key not in known:
                coded = stream_key_of(plan, row, 0, scheme)
                stream, protection = cache.encode(coded), scheme.protection
                count, failing = failing_masks(cache.codec(coded), stream, protection)
                sent = protected_stream(protection, stream).sent
                known[key] = sent.bpp, count, failing
            bpp, count, failing = known[key]
            ratio = float(channel.mask_probabilities(count)[failing].sum())
            named: dict[str, Any] = {
                "channel": row.channel_name,
                "link": row.link_name,
                "engine": "exact",
                "scheme": row.label,
            }
            named |= {"operating_point": row.operating_point, "bpp": bpp, "slots": 0}
            rows.append(named | {"failure_ratio": ratio, "failure_low": ratio, "failure_high": ratio})
    return pd.DataFrame(rows)

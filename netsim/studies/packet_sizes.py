"""Study ``packet_sizes``: tokens and bytes of each packet of a stream (ResiComp, Fig. 18)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.decoding.cache import CodecCache
from netsim.errors import InputError
from netsim.scenario.plan import Plan
from netsim.statistics.intervals import Estimate, mean_interval
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output, Table
from netsim.studies.plan_schemes import PlanScheme, plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext
from netsim.studies.tokens import packet_tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PacketSizes", "add_sizes", "packet_sizes"]


class PacketSizes(Study):
    """Encodes each image with each scheme; channels are not used."""

    name = "packet_sizes"

    def measure(self, context: StudyContext) -> pd.DataFrame:
        with context.cache() as cache:
            return packet_sizes(context.plan, cache)

    def compare(self, table: Comparison, measured: pd.DataFrame) -> None:
        add_sizes(table, measured)

    def draw(self, recipe: Recipe, measured: pd.DataFrame) -> Iterable[Output]:
        from netsim.figures.sizes import draw, numbers

        means = numbers(measured)
        yield Table("images", measured)
        yield Drawing("sizes", draw(means), means)


def packet_sizes(plan: Plan, cache: CodecCache) -> pd.DataFrame:
    """Sizes of packets: one row per scheme, image and packet.

    Args:
        plan: The plan; its channels are not used.
        cache: Has the streams, or encodes.

    Returns:
        Columns scheme, operating_point, image, packet (0 for the protected ones together, then each that can be lost,
        from 1), protected, tokens (NaN where the codec has none or does not say), bytes, bpp (the packet's share of the
        image's bit/pixel).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for scheme in plan_schemes(plan):
        for coded in scheme.images:
            rows += _rows(scheme, coded.image.name, cache, coded)
    return pd.DataFrame(rows)


def _rows(scheme: PlanScheme, image: str, cache: CodecCache, coded: Any) -> list[dict[str, Any]]:
    stream = cache.encode(coded)
    tokens = packet_tokens(cache.codec(coded), stream)
    pixels = stream.shape[0] * stream.shape[1]
    named = {"scheme": scheme.label, "operating_point": scheme.operating_point, "image": image}
    droppable = np.flatnonzero(~stream.protected)
    parts = [np.flatnonzero(stream.protected), *(np.array([packet]) for packet in droppable)]
    rows = []
    for number, packets in enumerate(parts):
        size = int(stream.sizes_bytes[packets].sum())
        held = np.nan if tokens is None else float(tokens[packets].sum())
        sizes = {"tokens": held, "bytes": size, "bpp": 8 * size / pixels}
        rows.append(named | {"packet": number, "protected": number == 0} | sizes)
    return rows if len(parts[0]) else rows[1:]


def add_sizes(table: Comparison, sizes: pd.DataFrame) -> None:
    """Mean tokens and bytes of each packet over the images, with the t interval over the images.

    Also bytes_largest_to_mean of each scheme: the mean over images of the largest packet's bytes over the mean
    packet's, packets that can be lost alone; 1 where all are alike.

    Args:
        table: Gets the rows.
        sizes: From ``packet_sizes``.

    Raises:
        InputError: The images' streams differ in their number of packets: then packet 3 of one is not packet 3 of
            another.
    """
    for (label, point), mine in sizes.groupby(["scheme", "operating_point"], sort=False):
        if mine.groupby("image")["packet"].max().nunique() > 1:
            raise InputError(f"{label} {point}: images have different numbers of packets", hint="set `packets`")
        scheme, at = str(label), str(point)
        for packet, part in [(number, mine[mine["packet"] == number]) for number in sorted(set(mine["packet"]))]:
            condition = f"packet {packet}" if packet else "protected packets"
            for quantity in ("tokens", "bytes"):
                values = part[quantity].to_numpy(dtype=np.float64)
                if not np.isnan(values).any():
                    table.add(condition, scheme, quantity, _mean(values), operating_point=at)
        lost = mine[~mine["protected"]].groupby("image", sort=False)["bytes"]
        ratios = (lost.max() / lost.mean()).to_numpy(dtype=np.float64)
        table.add("all packets", scheme, "bytes_largest_to_mean", _mean(ratios), operating_point=at)


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> Estimate:
    return mean_interval(values, np.ones(len(values)), np.arange(len(values)))

"""How a stream is divided: tokens and bytes of each packet (ResiComp, Fig. 18)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.decoding.workshop import Workshop
from netsim.errors import InputError
from netsim.metrics.intervals import mean_interval
from netsim.studies.comparison import comparison
from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe
from netsim.studies.schemes import PlanScheme, plan_schemes
from netsim.studies.tokens import packet_tokens
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_sizes", "packet_sizes"]


def packet_sizes(plan: Plan, shop: Workshop) -> pd.DataFrame:
    """One row per scheme, picture and packet: scheme, operating_point, image, packet, protected, tokens, bytes, bpp.

    packet: 0 for the protected ones together, then each that can be lost, from 1. tokens: NaN where the codec has none
    or does not say. bpp: the packet's share of the picture's bit/pixel.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for scheme in plan_schemes(plan):
        for picture in scheme.pictures:
            rows += _rows(scheme, picture.image.name, shop, picture)
    return pd.DataFrame(rows)


def _rows(scheme: PlanScheme, image: str, shop: Workshop, picture: Any) -> list[dict[str, Any]]:
    stream = shop.encode(picture)
    tokens = packet_tokens(shop.codec(picture), stream)
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


def compare_sizes(recipe: Recipe, sizes: pd.DataFrame) -> pd.DataFrame:
    """comparison.csv: mean tokens and bytes of each packet over the pictures, with the t interval over the pictures.

    Also bytes_largest_to_mean of each scheme: the mean over pictures of the largest packet's bytes over the mean
    packet's, packets that can be lost alone; 1 where all are alike. Raises InputError if the pictures' streams differ
    in their number of packets: then packet 3 of one is not packet 3 of another.
    """
    table = published_table(recipe)
    rows: list[list[Any]] = []
    for (label, point), mine in sizes.groupby(["scheme", "operating_point"], sort=False):
        if mine.groupby("image")["packet"].max().nunique() > 1:
            raise InputError(f"{label} {point}: pictures have different numbers of packets", hint="set `packets`")
        scheme = f"{label} {point}"
        for packet, part in [(number, mine[mine["packet"] == number]) for number in sorted(set(mine["packet"]))]:
            condition = f"packet {packet}" if packet else "protected packets"
            known = published_points(recipe, table, condition, str(label)).get("", {})
            for quantity in ("tokens", "bytes"):
                values = part[quantity].to_numpy(dtype=np.float64)
                if not np.isnan(values).any():
                    rows.append([recipe.name, condition, scheme, quantity, *_mean(values), known.get(quantity)])
        lost = mine[~mine["protected"]].groupby("image", sort=False)["bytes"]
        ratios = (lost.max() / lost.mean()).to_numpy(dtype=np.float64)
        rows.append([recipe.name, "all packets", scheme, "bytes_largest_to_mean", *_mean(ratios), None])
    return comparison(rows)


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    return list(mean_interval(values, np.ones(len(values)), np.arange(len(values))))

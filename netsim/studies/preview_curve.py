"""Study ``preview_curve``: mean PSNR over the bits received so far, nothing lost (ResiComp, Fig. 14)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.codec_calls import usable_packets
from netsim.decoding.cache import CodecCache
from netsim.decoding.masks import mask_text
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError
from netsim.metrics.further import LOSSLESS_DB
from netsim.scenario.plan import Plan
from netsim.statistics.intervals import Estimate, mean_interval
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output, Table
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PreviewCurve", "preview_means", "preview_qualities"]


class PreviewCurve(Study):
    """Decodes each image from its first packets; the scenario's channels are not used."""

    name = "preview_curve"

    def measure(self, context: StudyContext) -> tuple[pd.DataFrame, pd.DataFrame]:
        with context.cache() as cache:
            qualities = preview_qualities(context.plan, cache)
        return qualities, preview_means(qualities)

    def compare(self, table: Comparison, measured: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        for line in measured[1].to_dict("records"):
            named: Any = {"operating_point": line["operating_point"]}
            condition, scheme = f"after packet {line['packet']}", line["scheme"]
            table.add(condition, scheme, "bpp", Estimate(line["bpp"], line["bpp_low"], line["bpp_high"]), **named)
            quality = Estimate(line["psnr_db"], line["psnr_low"], line["psnr_high"])
            table.add(condition, scheme, "psnr_db", quality, **named)

    def draw(self, recipe: Recipe, measured: tuple[pd.DataFrame, pd.DataFrame]) -> Iterable[Output]:
        from netsim.figures.preview_curve import draw

        yield Drawing("preview_curve", draw(measured[1]), measured[1])
        yield Table("images", measured[0])


def preview_qualities(plan: Plan, cache: CodecCache) -> pd.DataFrame:
    """One row per scheme, operating point, image and number of packets received, those that can't be lost included.

    Args:
        plan: Its schemes and images; its channels are not used.
        cache: Encodes and decodes.

    Returns:
        Columns scheme, operating_point, image, packet (how many of the packets that can be lost are there, from 0), bpp
        (of what is there), psnr_db (NaN: no image).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for scheme in plan_schemes(plan):
        for coded in scheme.images:
            named = {"scheme": scheme.label, "operating_point": scheme.operating_point, "image": coded.image.name}
            rows += [named | row for row in _prefixes(cache, coded)]
    return pd.DataFrame(rows)


def _prefixes(cache: CodecCache, coded: StreamKey) -> list[dict[str, Any]]:
    stream, codec = cache.encode(coded), cache.codec(coded)
    at_risk = np.flatnonzero(~stream.protected)
    received = np.ones((len(at_risk) + 1, len(stream)), dtype=bool)
    for count in range(len(at_risk) + 1):
        received[count, at_risk[count:]] = False
    texts = mask_text(usable_packets(codec, stream, received))
    known = cache.qualities(coded, [t for t in dict.fromkeys(texts) if "1" in t], ["psnr_db"])["psnr_db"]
    pixels = stream.shape[0] * stream.shape[1]
    rates = 8 * (received * stream.sizes_bytes).sum(axis=1) / pixels
    return [
        {"packet": count, "bpp": rate, "psnr_db": known.get(text, np.nan)}
        for count, (rate, text) in enumerate(zip(rates.tolist(), texts, strict=True))
    ]


def preview_means(qualities: pd.DataFrame) -> pd.DataFrame:
    """Means over the images of each scheme and packet count, with t intervals over the images.

    An image without any error counts as ``LOSSLESS_DB``. A count at which some image can't be shown is left out: a mean
    over fewer images is of another set.

    Args:
        qualities: From :func:`preview_qualities`.

    Returns:
        Columns scheme, operating_point, packet, bpp, bpp_low, bpp_high, psnr_db, psnr_low, psnr_high.

    Raises:
        InputError: The images' streams differ in their number of packets.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    qualities = qualities.assign(psnr_db=qualities["psnr_db"].clip(upper=LOSSLESS_DB))
    for (scheme, point), mine in qualities.groupby(["scheme", "operating_point"], sort=False):
        if mine.groupby("image")["packet"].max().nunique() > 1:
            raise InputError(f"{scheme} {point}: images have different numbers of packets", hint="set `packets`")
        for packet, part in mine.groupby("packet", sort=True):
            if part["psnr_db"].isna().any():
                continue
            row: dict[str, Any] = {"scheme": scheme, "operating_point": point, "packet": packet}
            for name, column in (("bpp", "bpp"), ("psnr", "psnr_db")):
                values = part[column].to_numpy(dtype=np.float64)
                mean = mean_interval(values, np.ones(len(values)), np.arange(len(values)))
                row |= {column: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
            rows.append(row)
    return pd.DataFrame(rows)

"""Two schemes of a run against each other: differences in dB over the traces, BD-rates without loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.bd_rate import bd_rate_percent
from netsim.analysis.paired import compare_schemes
from netsim.analysis.summary import slot_quality
from netsim.errors import InputError, did_you_mean
from netsim.figures.select import with_condition
from netsim.statistics.intervals import Estimate, mean_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bd_rates", "curve_difference", "differences"]

_SLOT = ["seed", "trial", "slot", "image"]
_CURVE = ["image", "operating_point", "bpp", "quality", "weight"]
_OTHER_IMAGES = "the published curve is of other images"
_FEWEST_POINTS = {3: "pchip"}  # Akima's interpolation needs four


def differences(log: pd.DataFrame, pairs: Sequence[Sequence[str]], failure_db: float) -> pd.DataFrame:
    """Mean PSNR of each pair's first scheme less its second's, per channel, link and operating point.

    Operating points are paired by nearest rate. Two intervals, two questions:

    - difference_low … difference_high, paired by trace: does it hold over other losses, for these images? The unit
      is a trace's mean over all images. Both schemes meet the same random numbers packet by packet; as their
      packets differ in number and content this need not make a pair alike, so what pairing gained is to be read off
      unpaired_low … unpaired_high. The interval is right either way, since traces are independent.
    - images_low … images_high, paired by image: does it hold over other images? The unit is an image's mean
      over all traces.

    Args:
        log: The table that a run writes.
        pairs: Two labels each.
        failure_db: What a failed slot counts as.

    Returns:
        Columns as ``netsim.analysis.paired.compare_schemes`` has them, and images_low, images_high.
    """
    import pandas as pd

    frames = []
    for one, other in pairs:
        frame = compare_schemes(log, one, other, failure_db)
        over_images = [_over_images(log, row, failure_db) for row in frame.to_dict("records")]
        frame["images_low"] = [estimate.low for estimate in over_images]
        frame["images_high"] = [estimate.high for estimate in over_images]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _over_images(log: pd.DataFrame, row: dict[Any, Any], failure_db: float) -> Estimate:
    """The same difference with images as the independent units: of slots that both have, else of the images' means."""
    parts = []
    for letter in "ab":
        mine = _slots(log, str(row["channel"]), str(row[f"scheme_{letter}"]), str(row["link"]))
        mine = mine[mine["operating_point"] == row[f"point_{letter}"]]
        parts.append(mine.assign(**{letter: slot_quality(mine, failure_db)}))
    if row["how"] == "paired":
        both = parts[0].merge(parts[1][[*_SLOT, "b"]], on=_SLOT)
        parts = [both, both]
    apart = _image_means(parts[0], "a") - _image_means(parts[1], "b")
    means = apart.dropna().to_numpy(dtype=np.float64)
    return mean_interval(means, np.ones(len(means)), np.arange(len(means)))


def _image_means(slots: pd.DataFrame, quality: str) -> pd.Series:
    """Each image's mean of a column; the rows of an exact or stratified log have weights."""
    known = slots.dropna(subset=[quality])
    sums = (known[quality] * known["weight"]).groupby(known["image"]).sum()
    return sums / known["weight"].groupby(known["image"]).sum()


def curve_difference(log: pd.DataFrame, condition: str, one: str, other: str, failure_db: float) -> Estimate | None:
    """Mean PSNR of one scheme less another's over the rates that both cover, paired by trace.

    The unit is a trace's difference of two means over rates and images; both schemes meet the same random numbers.

    Args:
        log: The table that a run writes.
        condition: A channel, with its link where the log has several (``netsim.figures.select.with_condition``).
        one: Label of a scheme.
        other: Label of the other.
        failure_db: What a failed slot counts as.

    Returns:
        The mean difference in dB with its t interval over traces; None where a scheme has no traces (exact and
        stratified engine), fewer than two, or no rate that both meet.
    """
    from netsim.analysis.rate_curve import mean_over_range

    here = with_condition(log[["channel", "link"]].drop_duplicates()).query("condition == @condition")
    there = log.merge(here[["channel", "link"]], on=["channel", "link"])
    curves: list[pd.DataFrame] = []
    for scheme in (one, other):
        mine = there[there["packet"].isna() & (there["scheme"] == scheme)]
        if mine.empty or not set(mine["engine"]) <= {"array", "event"} or mine["trial"].nunique() < 2:
            return None
        mine = mine.assign(quality=slot_quality(mine, failure_db))
        curves.append(mine.groupby(["trial", "operating_point"], observed=True)[["bpp", "quality"]].mean())
    rates = [curve.groupby("operating_point")["bpp"].mean() for curve in curves]
    low, high = max(rate.min() for rate in rates), min(rate.max() for rate in rates)
    if low >= high:
        return None
    means = [
        {
            trial: mean_over_range(part[["bpp", "quality", "quality", "quality"]].to_numpy(float), low, high).psnr_db
            for trial, part in curve.groupby("trial")
        }
        for curve in curves
    ]
    apart = np.array([means[0][trial] - means[1][trial] for trial in means[0] if trial in means[1]])
    if len(apart) < 2 or np.isnan(apart).any():
        return None
    return mean_interval(apart, np.ones(len(apart)), np.arange(len(apart)))


def bd_rates(
    log: pd.DataFrame,
    channel: str,
    pairs: Sequence[Sequence[str]],
    failure_db: float,
    published: pd.DataFrame | None = None,
    same_images: bool = True,
) -> pd.DataFrame:
    """How much more rate each pair's second scheme needs than its first for the same PSNR, in one channel.

    Args:
        log: The table that a run writes.
        channel: Name of a channel.
        pairs: (anchor, scheme) each, labels.
        failure_db: What a failed slot counts as.
        published: Further curves that a pair may name (columns channel, scheme, operating_point, bpp, psnr_db).
        same_images: Whether they are of the run's images; if not, ours have no BD-rate against them.

    Returns:
        Columns channel, link, anchor, scheme, points (of the anchor), bd_rate_percent (of the curves of mean PSNR over
        mean rate), why_not (where these have no BD-rate), images, images_mean, images_low, images_high (the mean of the
        images' own BD-rates with its 95 % t interval, images as independent units; those without one left out, so all
        where a curve is published).

    Raises:
        InputError: The run has no such channel or scheme.
    """
    import pandas as pd

    known = sorted(set(log["channel"]))
    if channel not in known:
        raise InputError(
            f"no channel `{channel}` in the run", where="bd_rate.channel", hint=did_you_mean(channel, known)
        )
    rows = []
    for link in dict.fromkeys(log.loc[log["channel"] == channel, "link"]):
        for anchor, scheme in pairs:
            curves = [_curve(log, channel, name, str(link), failure_db, published) for name in (anchor, scheme)]
            row: dict[str, Any] = {"channel": channel, "link": link, "anchor": anchor, "scheme": scheme}
            row["points"] = curves[0]["operating_point"].nunique()
            comparable = same_images or len({bool((curve["image"] == "").all()) for curve in curves}) == 1
            row["bd_rate_percent"], row["why_not"] = _bd_rate(curves) if comparable else (np.nan, _OTHER_IMAGES)
            rows.append(row | _over_images_rates(curves))
    return pd.DataFrame(rows)


def _curve(
    log: pd.DataFrame, channel: str, scheme: str, link: str, failure_db: float, published: pd.DataFrame | None
) -> pd.DataFrame:
    """Columns image, operating_point, bpp, quality, weight. A published curve has one image, without a name."""
    if published is not None and scheme in set(published["scheme"]):
        mine = published[(published["channel"] == channel) & (published["scheme"] == scheme)]
        return mine.assign(quality=mine["psnr_db"], image="", weight=1.0)
    mine = _slots(log, channel, scheme, link)
    return mine.assign(quality=slot_quality(mine, failure_db))[_CURVE]


def _over_images_rates(curves: list[pd.DataFrame]) -> dict[str, float]:
    values = []
    for image in sorted(set(curves[0]["image"]) & set(curves[1]["image"]) - {""}):
        value, _ = _bd_rate([curve[curve["image"] == image] for curve in curves])
        values += [] if np.isnan(value) else [value]
    if not values:
        return {"images": 0, "images_mean": np.nan, "images_low": np.nan, "images_high": np.nan}
    mean = mean_interval(np.array(values), np.ones(len(values)), np.arange(len(values)))
    return {"images": len(values), "images_mean": mean.value, "images_low": mean.low, "images_high": mean.high}


def _bd_rate(curves: list[pd.DataFrame]) -> tuple[float, str]:
    """(BD-rate of the second curve against the first, why there is none)."""
    points: list[list[float]] = []
    for curve in curves:
        means = _weighted_means(curve)
        points += [means["bpp"].tolist(), means["quality"].tolist()]
    method: Any = _FEWEST_POINTS.get(min(len(points[0]), len(points[2])), "akima")
    try:
        return bd_rate_percent(points[0], points[1], points[2], points[3], method), ""
    except InputError as error:
        return float("nan"), str(error)


def _weighted_means(curve: pd.DataFrame) -> pd.DataFrame:
    """Mean bpp and quality of each operating point, by rate; a log's rows have weights (exact, stratified engine).

    A codec that stops short of a rate answers several operating points with one stream: they are one point.
    """
    known = curve.dropna(subset=["quality"])
    parts = known[["bpp", "quality"]].mul(known["weight"], axis=0).assign(weight=known["weight"])
    sums = parts.groupby(known["operating_point"], sort=False).sum()
    means = sums[["bpp", "quality"]].div(sums["weight"], axis=0).sort_values("bpp")
    return means[~means.round(9).duplicated()]


def _slots(log: pd.DataFrame, channel: str, scheme: str, link: str) -> pd.DataFrame:
    """Slots of a scheme in a channel over a link. Raises InputError if the run has no such scheme."""
    mine = log[log["packet"].isna() & (log["scheme"] == scheme)]
    if mine.empty:
        raise InputError(f"no scheme `{scheme}` in the run", hint=did_you_mean(scheme, set(log["scheme"])))
    return mine[(mine["channel"] == channel) & (mine["link"] == link)]

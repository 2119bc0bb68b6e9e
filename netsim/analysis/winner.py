"""Which scheme is best where: expected quality of every scheme over a grid of channels, from mask tables alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.rate_curve import share_between
from netsim.analysis.replay import SchemeOnLink, image_number, rate_bpp, scheme_stream_key, schemes_of
from netsim.analysis.timings import image_timings
from netsim.channels.chains import burst
from netsim.channels.markov import MarkovChannel
from netsim.channels.presets import preset
from netsim.decoding.cache import CodecCache
from netsim.decoding.mask_table import (
    QualityTable,
    expected_db,
    mask_probabilities,
    quality_table,
    table_without_quality,
)
from netsim.decoding.masks import mask_text
from netsim.errors import InputError
from netsim.scenario.plan import Plan
from netsim.text import counted_noun

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EPS", "Grid", "SchemeTables", "burst_grid", "points_around", "winner_numbers", "winners"]

Floats = NDArray[np.float64]
Say = Callable[[str], None]

EPS = ("EP1", "EP2", "EP3", "EP4", "EP5", "EP6")
_LOSS_RATES = (0.001, 0.7, 58)  # from, to, how many
_MEAN_BURSTS = (1.0, 20.0, 41)


@dataclass(frozen=True)
class Grid:
    """Conditions on two axes. channel(x, y): the channel there, None where there can't be one."""

    x_name: str
    y_name: str
    x: Floats
    y: Floats
    channel: Callable[[float, float], MarkovChannel | None]


def burst_grid() -> Grid:
    """Two-state channels by loss rate and mean burst, both in equal ratios; a burst is at least ε/(1−ε) long.

    Returns:
        The grid; it has no channel where a burst would be shorter.
    """
    rates, bursts = (np.geomspace(*axis) for axis in (_LOSS_RATES, _MEAN_BURSTS))

    def channel(loss_rate: float, mean_burst: float) -> MarkovChannel | None:
        if mean_burst < loss_rate / (1 - loss_rate):
            return None
        return burst(loss_rate, mean_burst)

    return Grid("loss_rate", "mean_burst", rates, bursts, channel)


@dataclass(frozen=True)
class SchemeTables:
    """A scheme at one rate: mask tables of its images, and how much each counts in the mean quality (in all 1)."""

    scheme: str
    operating_point: str
    bpp: float
    tables: tuple[QualityTable, ...]
    weights: tuple[float, ...]


def winner_numbers(
    plan: Plan,
    cache: CodecCache,
    near_bpp: float = 0.35,
    images: Sequence[str] = (),
    link: str | None = None,
    say: Say = lambda text: None,
) -> pd.DataFrame:
    """The winner map of a run over loss rate × mean burst.

    Between a scheme's operating points on either side of the rate PSNR is linear in the logarithm of the rate
    (``netsim.analysis.rate_curve``); a scheme with none on one side stands at its nearest. What the link makes late or
    drops in the run's slots counts as lost, exactly as in the run. A scheme that has no mask table (too many packets,
    retransmission, or lateness that is random) is left out.

    Args:
        plan: The run's.
        cache: Masks that the run did not meet are decoded once, and remembered.
        near_bpp: Rate at which the schemes are compared, bit/pixel.
        images: Names; none: all of the run's.
        link: A link's name; None: the plan's first.
        say: Gets a line about each step, and about each scheme that is left out.

    Returns:
        As ``winners``, with near_bpp, images and failure_db.

    Raises:
        InputError: Fewer than two schemes are left, or an unknown image or link.
    """
    chosen = chosen_images(plan, near_bpp, images)
    contenders = []
    for label, points in schemes_of(plan, link).items():
        try:
            contenders.append(_contender(plan, cache, label, points, chosen, near_bpp, say))
        except InputError as error:
            say(f"{label} is left out: {error.message}")
    if len(contenders) < 2:
        hint = "a scenario with several codecs or protections of up to 16 packets has a map"
        few = f"the run has {counted_noun(len(contenders), 'scheme')} with a mask table"
        raise InputError(f"{few}: nothing to win against", hint=hint)
    found = winners(contenders, burst_grid(), {name: preset(name) for name in EPS}, plan.failure_db)
    columns = {"near_bpp": near_bpp, "images": len(chosen), "failure_db": plan.failure_db}
    return found.assign(**columns, link=link or plan.rows[0].link_name)


def chosen_images(plan: Plan, near_bpp: float, images: Sequence[str]) -> list[int]:
    """The images of a winner map, whose rate is checked.

    Args:
        plan: The run's.
        near_bpp: Rate at which the schemes are compared, bit/pixel.
        images: Names; none: all of the run's.

    Returns:
        Places of the images in the plan.

    Raises:
        InputError: The rate is not above 0, or an unknown image.
    """
    if not near_bpp > 0:
        raise InputError(f"a rate of {near_bpp:g} bpp", where="--near-bpp", hint="above 0, for example --near-bpp 0.35")
    return [image_number(plan, name) for name in images] or list(range(len(plan.image_names)))


def _contender(
    plan: Plan,
    cache: CodecCache,
    label: str,
    points: Sequence[SchemeOnLink],
    images: Sequence[int],
    near_bpp: float,
    say: Say,
) -> SchemeTables:
    """A scheme at a rate, from the one or two operating points around it."""
    rates = [rate_bpp(plan, cache, point, images) for point in points]
    around, shares, bpp = points_around(rates, near_bpp)
    tables: list[QualityTable] = []
    weights: list[float] = []
    for i, share in zip(around, shares, strict=True):
        some, counts = _tables(plan, cache, points[i], images, say)
        tables += some
        weights += [share * count for count in counts]
    name = " … ".join(points[i].scheme.operating_point for i in around)
    return SchemeTables(label, name, bpp, tuple(tables), tuple(weights))


def points_around(rates_bpp: Sequence[float], near_bpp: float) -> tuple[list[int], list[float], float]:
    """Which operating points to mix, and in which shares, for the quality at a wanted rate; else the nearest one.

    Args:
        rates_bpp: Rates of the operating points.
        near_bpp: The wanted rate.

    Returns:
        (places of one or two points, their shares, the rate at which the quality is)

    >>> points_around([0.1, 0.4, 0.6], 0.2)
    ([0, 1], [0.5, 0.5], 0.2)
    >>> points_around([0.4, 0.6], 0.3)
    ([0], [1.0], 0.4)
    """
    order = sorted(range(len(rates_bpp)), key=lambda i: rates_bpp[i])
    for low, high in pairwise(order):
        if rates_bpp[low] < near_bpp < rates_bpp[high]:
            share = share_between(rates_bpp[low], rates_bpp[high], near_bpp)
            return [low, high], [1 - share, share], near_bpp
    nearest = min(order, key=lambda i: abs(rates_bpp[i] - near_bpp))
    return [nearest], [1.0], rates_bpp[nearest]


def _tables(
    plan: Plan, cache: CodecCache, point: SchemeOnLink, images: Sequence[int], say: Say
) -> tuple[list[QualityTable], list[float]]:
    """Mask tables of some images, one for each way in which the link treats its packets, and each one's weight.

    Says how many masks have to be decoded, if any.
    """
    protection, timings = point.scheme.protection, image_timings(plan, cache, point)
    ways = [(scheme_stream_key(plan, image, point), timing) for image in images for timing in timings[image]]
    missing: set[tuple[str, str]] = set()
    for key, timing in ways:
        table, decodable = table_without_quality(cache, key, protection, timing, point.label)
        texts = cache.missing(key, mask_text(table.usable[decodable]), ("psnr_db",))
        missing |= {(key.image.name, text) for text in texts}
    if missing:
        masks = f"{len(missing):,} masks of {point.label} at {point.scheme.operating_point}"
        say(f"decode {masks} that the run did not meet")
    tables = [quality_table(cache, key, protection, timing, point.label) for key, timing in ways]
    return tables, [timing.share / len(images) for _, timing in ways]


def winners(
    contenders: Sequence[SchemeTables], grid: Grid, marks: dict[str, MarkovChannel], failure_db: float
) -> pd.DataFrame:
    """Expected PSNR of every contender everywhere on a grid, and over some named channels; nothing is decoded.

    It is each contender's weighted mean over its tables, in dB.

    Args:
        contenders: Schemes with their mask tables.
        grid: Channels by two numbers.
        marks: Channels by name.
        failure_db: What an image that fails counts as.

    Returns:
        One row per condition and scheme: kind (``grid`` or ``mark``), channel (a mark's name), the grid's two axes (a
        mark's own loss rate and mean burst), scheme, operating_point, bpp, psnr_db, behind_db (how far behind the best
        there) and wins (true for one: the first of equals). Conditions that can't be have no rows.
    """
    import pandas as pd

    places = [(x, y, grid.channel(x, y)) for y in grid.y.tolist() for x in grid.x.tolist()]
    there: list[tuple[str, str, float, float, MarkovChannel]] = [
        ("grid", "", x, y, channel) for x, y, channel in places if channel is not None
    ]
    there += [("mark", name, one.loss_rate, one.mean_burst, one) for name, one in marks.items()]
    quality = _expected(contenders, [channel for *_, channel in there], failure_db)
    behind = quality.max(axis=0) - quality
    best = np.argmax(quality, axis=0)
    names = ["kind", "channel", grid.x_name, grid.y_name]
    frame = pd.DataFrame([place[:4] for place in there], columns=names)
    parts: list[Any] = []
    for i, one in enumerate(contenders):
        columns: dict[str, Any] = {"scheme": one.scheme, "operating_point": one.operating_point, "bpp": one.bpp}
        parts.append(frame.assign(**columns, psnr_db=quality[i], behind_db=behind[i], wins=best == i))
    return pd.concat(parts, ignore_index=True)


def _expected(contenders: Sequence[SchemeTables], channels: Sequence[MarkovChannel], failure_db: float) -> Floats:
    """float64 [contenders, channels]: one matrix product for all tables of equally many packets."""
    quality = np.zeros((len(contenders), len(channels)))
    for packets in sorted({table.packets for one in contenders for table in one.tables}):
        mean = np.zeros((len(contenders), 1 << packets))
        for i, one in enumerate(contenders):
            for table, weight in zip(one.tables, one.weights, strict=True):
                if table.packets == packets:
                    mean[i] += weight * table.quality_db(failure_db)
        quality += expected_db(mean, np.stack([mask_probabilities(channel, packets) for channel in channels]))
    return quality

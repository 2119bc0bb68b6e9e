"""One image of a run explained: the tables, and the images under the worst and best masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.importance import loss_count_extremes, packet_importance
from netsim.analysis.replay import (
    SchemeOnLink,
    find_scheme,
    image_number,
    nearest_rate,
    operating_point,
    scheme_stream_key,
    schemes_of,
)
from netsim.channels.base import Channel
from netsim.channels.spec import channel_from_spec
from netsim.codec_calls import decoded_images
from netsim.decoding.cache import CodecCache
from netsim.decoding.mask_table import QualityTable, quality_table, slot_probabilities
from netsim.decoding.streams import StreamKey
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDS", "Explanation", "decoded_masks", "explain"]

ENDS = ("worst", "best")
"""The masks of a loss count that are shown: columns `worst_mask`, `best_mask`, ..."""


@dataclass(frozen=True)
class Explanation:
    """How much each packet of an image matters.

    Attributes:
        packets: One row per packet and channel (``analysis.importance.packet_importance``).
        counts: One row per number of packets lost (``analysis.importance.loss_count_extremes``).
        table: The mask table that they are computed from.
        scheme: The scheme.
        stream_key: The image, codec and operating point.
        failure_db: The quality that counts for a slot without an image, in dB.
        skipped: Why channels are left out: one sentence for each channel without a closed form.
    """

    packets: pd.DataFrame
    counts: pd.DataFrame
    table: QualityTable
    scheme: SchemeOnLink
    stream_key: StreamKey
    failure_db: float
    skipped: tuple[str, ...]

    @property
    def title(self) -> str:
        point = self.scheme.scheme.operating_point
        return f"{self.stream_key.image.name}, {self.scheme.label} at {point} ({self.table.bpp:.2f} bpp)"


def explain(
    plan: Plan,
    cache: CodecCache,
    image: str,
    codec: str,
    point: str | None = None,
    channels: Sequence[str] = (),
    link: str | None = None,
    near_bpp: float = 0.35,
) -> Explanation:
    """Compute how much each packet of an image matters, and the worst and best masks of each loss count.

    The image is sent alone over the link, so that packets may also be late or dropped.

    Args:
        plan: The run's plan.
        cache: Streams and qualities.
        image: Name of an image of the plan.
        codec: A scheme's label, or a codec's name where only one scheme has it.
        point: An operating point (``qp=37``); None: the nearest to near_bpp.
        channels: Names of the run's channels or of presets; none: all of the run's.
        link: A link of the run; None: its first.
        near_bpp: The rate that chooses the operating point, in bits per pixel.

    Returns:
        The tables, and which channels were left out.

    Raises:
        InputError: An unknown name, or a scheme without a mask table.
    """
    number = image_number(plan, image)
    schemes = schemes_of(plan, link)
    points = schemes[find_scheme(codec, {label: some[0].scheme.codec.name for label, some in schemes.items()})]
    chosen = operating_point(points, point) if point else nearest_rate(plan, cache, points, [number], near_bpp)[0]
    key = scheme_stream_key(plan, number, chosen)
    table = quality_table(cache, key, chosen.scheme.protection, scheme=chosen.label)
    if table.packets == 0:
        raise InputError(f"{chosen.label} sends `{image}` in packets that are never lost", hint="nothing can be lost")
    profile = chosen.row.link
    probabilities, skipped = {}, []
    for channel in _channels(plan, channels):
        reason = why_not_exact(channel, profile)
        if reason:
            skipped.append(reason)
        else:
            probabilities[channel.name] = slot_probabilities(table, channel, profile)
    if not probabilities:
        raise InputError("none of the channels has a closed form: " + "; ".join(skipped), hint="--channel EP4")
    packets = packet_importance(table, probabilities, plan.failure_db)
    counts = loss_count_extremes(table, plan.failure_db)
    return Explanation(packets, counts, table, chosen, key, plan.failure_db, tuple(skipped))


def _channels(plan: Plan, names: Sequence[str]) -> Iterable[Channel]:
    known = {row.channel_name: row for row in plan.rows}
    for name in names or known:
        yield known[name].channel if name in known else channel_from_spec(name)


def decoded_masks(found: Explanation, cache: CodecCache) -> dict[str, NDArray[np.uint8]]:
    """The images under the worst and the best mask of each loss count.

    They are decoded now, once per distinct usable mask: the store keeps qualities only.

    Args:
        found: What ``explain`` returned.
        cache: Its codec and stream.

    Returns:
        By mask (text over the packets that can be lost, R = received), uint8 [h, w, 3]. A mask without an image is
        left out.
    """
    counts = found.counts
    masks = sorted({str(m) for end in ENDS for m in counts.loc[~counts[f"{end}_failed"].astype(bool), f"{end}_mask"]})
    if not masks:
        return {}
    index = [sum(1 << i for i, mark in enumerate(mask) if mark == "R") for mask in masks]
    cases, which = np.unique(found.table.which[index], return_inverse=True)
    codec, stream = cache.codec(found.stream_key), cache.encode(found.stream_key)
    decoded = decoded_images(codec, stream, found.table.usable[cases])
    return {mask: decoded[i] for mask, i in zip(masks, which.reshape(-1), strict=True)}

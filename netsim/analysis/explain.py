"""One picture of a run explained: tables, pictures, figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from netsim.decoding.cache import CodecCache
from netsim.decoding.mask_table import QualityTable, quality_table, slot_probabilities
from netsim.decoding.streams import StreamKey
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.runs.atomic import write_atomically
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation", "explain", "write_explanation"]

_THUMBNAIL = 240  # pixels, the longer side


@dataclass(frozen=True)
class Explanation:
    """packets: a row per packet and channel; counts: a row per number of packets lost (see analysis.importance).

    table: what they were read off; scheme, picture: of what. skipped: channels without a closed form, and why.
    """

    packets: pd.DataFrame
    counts: pd.DataFrame
    table: QualityTable
    scheme: SchemeOnLink
    picture: StreamKey
    failure_db: float
    skipped: tuple[str, ...]

    @property
    def title(self) -> str:
        point = self.scheme.scheme.operating_point
        return f"{self.picture.image.name}, {self.scheme.label} at {point} ({self.table.bpp:.2f} bpp)"


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
    """The worth of each packet of a picture, and the worst and best masks of each loss count.

    codec: a scheme's label, or a codec's name where that is clear. point: an operating point (``qp=37``); none: the
    one nearest to near_bpp. channels: names of the run's, or any preset's; none: all of the run's. The picture is taken
    as sent alone over the link, so that packets may also be late or dropped. Raises InputError for unknown names, or
    if there is no mask table.
    """
    number = image_number(plan, image)
    schemes = schemes_of(plan, link)
    points = schemes[find_scheme(codec, {label: some[0].scheme.codec.name for label, some in schemes.items()})]
    chosen = operating_point(points, point) if point else nearest_rate(plan, cache, points, [number], near_bpp)[0]
    picture = scheme_stream_key(plan, number, chosen)
    table = quality_table(cache, picture, chosen.scheme.protection)
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
    return Explanation(packets, counts, table, chosen, picture, plan.failure_db, tuple(skipped))


def _channels(plan: Plan, names: Sequence[str]) -> Iterable[Channel]:
    known = {row.channel_name: row for row in plan.rows}
    for name in names or known:
        yield known[name].channel if name in known else channel_from_spec(name)


def write_explanation(found: Explanation, cache: CodecCache, out: Path) -> list[Path]:
    """Write explain.png, .svg, .csv (packets), explain_masks.csv (loss counts), and a PNG per worst and best mask.

    Pictures are decoded now: the store keeps qualities only. Returns the paths.
    """
    from PIL import Image

    from netsim.figures.explain import draw, shown_counts
    from netsim.figures.style import csv_bytes, save

    ends = ("worst", "best")
    masks = {str(row[f"{end}_mask"]) for _, row in found.counts.iterrows() for end in ends if not row[f"{end}_failed"]}
    pictures = _decoded(found, cache, sorted(masks))
    shown = found.counts[found.counts["lost"].isin(shown_counts(found.table.packets))]
    small = {str(mask): _small(pictures[mask]) for end in ends for mask in shown[f"{end}_mask"] if mask in pictures}
    figure = draw(found.packets, found.counts, small, found.title, found.failure_db)
    paths = save(figure, found.packets, out, "explain")
    contents = {"explain_masks.csv": csv_bytes(found.counts)}
    for path, content in ((out / name, content) for name, content in contents.items()):
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        paths.append(path)
    for _, row in found.counts.iterrows():
        for end in ends:
            if (mask := str(row[f"{end}_mask"])) in pictures:
                path = out / f"lost_{int(row['lost']):02d}_{end}.png"
                image = Image.fromarray(pictures[mask])
                write_atomically(path, lambda file, image=image: image.save(file, format="PNG"))  # type: ignore[misc]
                paths.append(path)
    return paths


def _decoded(found: Explanation, cache: CodecCache, masks: Sequence[str]) -> Mapping[str, NDArray[np.uint8]]:
    """The picture under each mask (text over the packets at risk), decoded once per distinct usable mask."""
    if not masks:
        return {}
    index = [sum(1 << i for i, mark in enumerate(mask) if mark == "R") for mask in masks]
    cases, which = np.unique(found.table.which[index], return_inverse=True)
    codec, stream = cache.codec(found.picture), cache.encode(found.picture)
    decoded = codec.decode(stream, found.table.usable[cases])
    return {mask: decoded[i] for mask, i in zip(masks, which.reshape(-1), strict=True)}


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(image)

"""What each scheme shows of one image under one loss pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.replay import image_number, nearest_rate, replayed_plan, scheme_stream_key, schemes_of
from netsim.channels.base import Channel
from netsim.codec_calls import decoded_images, usable_packets
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError, did_you_mean
from netsim.metrics.psnr import psnr_db
from netsim.protection.base import Protection
from netsim.protection.calls import protected_stream

if TYPE_CHECKING:
    import pandas as pd

    from netsim.runs.results import FinishedRun

__all__ = ["Strip", "StripImage", "loss_pattern", "strip_image", "strip_numbers", "strip_of_run"]

BoolArray = NDArray[np.bool_]

_TRIES = 10_000
_SHOWN, _MOST_PACKETS = 5, 4096


@dataclass(frozen=True, eq=False)
class Strip:
    """One image of a run and what some of its schemes show of it under one loss pattern.

    Attributes:
        image: Its name.
        original: uint8 [H, W, 3].
        images: One a scheme.
        losses: Where the losses come from.
    """

    image: str
    original: NDArray[np.uint8]
    images: tuple[StripImage, ...]
    losses: str


@dataclass(frozen=True, eq=False)
class StripImage:
    """A scheme's image under given losses.

    Attributes:
        scheme: As in a log.
        operating_point: Likewise.
        bpp: Of all that is sent.
        received: Which of the packets that can be lost arrived, bool [n].
        image: uint8 [H, W, 3]; None if no packet is usable.
        psnr_db: NaN if no packet is usable.
    """

    scheme: str
    operating_point: str
    bpp: float
    received: BoolArray
    image: NDArray[np.uint8] | None
    psnr_db: float


def strip_image(
    cache: CodecCache, coded: StreamKey, protection: Protection, named: tuple[str, str], pattern: BoolArray
) -> StripImage:
    """Decode an image from what a loss pattern leaves.

    Args:
        cache: Streams.
        coded: Image, codec and operating point.
        protection: What is sent beside the codec's packets.
        named: Scheme and operating point.
        pattern: True = received, for the first, second, … packet that can be lost: bool [m], m at least their number.

    Returns:
        The image and its PSNR; without an image None and NaN.

    Raises:
        InputError: More packets can be lost than the pattern has.
    """
    stream, codec = cache.encode(coded), cache.codec(coded)
    protected = protected_stream(protection, stream)
    at_risk = np.flatnonzero(~protected.sent.protected)
    if len(at_risk) > len(pattern):
        raise InputError(f"{named[0]}: {len(at_risk)} packets can be lost, the pattern has {len(pattern)}")
    received = np.ones((1, len(protected.sent)), dtype=bool)
    received[0, at_risk] = pattern[: len(at_risk)]
    usable = usable_packets(codec, stream, protected.recover(received))
    image = decoded_images(codec, stream, usable)[0] if usable.any() else None
    quality = np.nan if image is None else float(psnr_db(coded.image.pixels(), image[None])[0])
    return StripImage(*named, protected.sent.bpp, pattern[: len(at_risk)].copy(), image, quality)


def loss_pattern(channel: Channel, packets: int, seed: int, first: int = 10) -> BoolArray:
    """A pattern of a channel in which at least one of the first packets is lost.

    Args:
        channel: Starts anew for each try.
        packets: How many.
        seed: The same seed gives the same pattern.
        first: How many count as the first.

    Returns:
        True = received, bool [packets]: the first of the channel's patterns, in order of trials, that has a loss there;
        where none of many has, the first of them.
    """
    for trial in range(_TRIES):
        received, _ = channel.sample(packets, np.random.default_rng([seed, trial]))
        if not received[:first].all():
            return received
    return channel.sample(packets, np.random.default_rng([seed, 0]))[0]


def strip_numbers(image: str, about: str, images: Sequence[StripImage]) -> pd.DataFrame:
    """The figure's numbers: one row per scheme.

    Args:
        image: Its name.
        about: Where the losses come from: a channel, or packets.
        images: What is shown.

    Returns:
        Columns image, losses, scheme, operating_point, bpp, packets, lost (numbers from 1), psnr_db.
    """
    import pandas as pd

    rows = [
        {
            "image": image,
            "losses": about,
            "scheme": one.scheme,
            "operating_point": one.operating_point,
            "bpp": one.bpp,
            "packets": len(one.received),
            "lost": " ".join(str(number + 1) for number in np.flatnonzero(~one.received)),
            "psnr_db": one.psnr_db,
        }
        for one in images
    ]
    return pd.DataFrame(rows)


def strip_of_run(
    run: FinishedRun,
    *,
    images: Sequence[str] | None = None,
    channel: str | None = None,
    schemes: Sequence[str] | None = None,
    near_bpp: float = 0.35,
) -> Strip:
    """What some schemes of a run show of one of its images.

    Args:
        run: A finished run.
        images: One name; None: the run's first image.
        channel: One of the run's; None: the one whose loss rate is the median.
        schemes: Labels; None: of each codec the scheme with the highest mean PSNR in that channel, at most five.
        near_bpp: Of each scheme the operating point nearest to this rate is shown.

    Returns:
        The original, what each scheme shows, and where the losses come from.

    Raises:
        InputError: An unknown name, or several images.
    """
    plan = replayed_plan(run)
    if images is not None and len(images) != 1:
        raise InputError(f"{len(images)} images", where="--image", hint="the strip shows one")
    number = 0 if images is None else image_number(plan, images[0])
    channels = {row.channel_name: row.channel for row in plan.rows}
    name = _median_channel(channels) if channel is None else channel
    if name not in channels:
        raise InputError(f"the run has no channel `{name}`", where="--channel", hint=did_you_mean(name, channels))
    known = schemes_of(plan)
    labels = list(schemes) if schemes else _best_of_each_codec(run, name, near_bpp)
    for label in labels:
        if label not in known:
            raise InputError(f"no scheme `{label}`", where="--highlight", hint=did_you_mean(label, known))
    pattern = loss_pattern(channels[name], _MOST_PACKETS, plan.seed)
    found = []
    with Store() as store:
        cache = CodecCache(store)
        for label in labels:
            point, _ = nearest_rate(plan, cache, known[label], [number], near_bpp)
            named = label, point.scheme.operating_point
            key = scheme_stream_key(plan, number, point)
            found.append(strip_image(cache, key, point.scheme.protection, named, pattern))
    losses = f"one loss pattern of {name}"
    return Strip(plan.image_names[number], plan.images.items[number].pixels(), tuple(found), losses)


def _median_channel(channels: Mapping[str, Channel]) -> str:
    rates = {name: float(getattr(channel, "loss_rate", 0.0)) for name, channel in channels.items()}
    ranked = sorted(rates, key=rates.__getitem__)
    return ranked[len(ranked) // 2]


def _best_of_each_codec(run: FinishedRun, channel: str, near_bpp: float) -> list[str]:
    """In the run's order: of each codec the scheme with the highest mean PSNR in a channel, near a rate."""
    slots = run.slots
    codecs = dict(zip(slots["scheme"], slots["codec"], strict=True))
    here = run.summary[run.summary["channel"] == channel]
    here = here.assign(away=(here["bpp"] - near_bpp).abs(), codec=here["scheme"].map(codecs))
    nearest = here.sort_values("away", kind="stable").drop_duplicates("scheme")
    best = nearest.sort_values("psnr_db", ascending=False, kind="stable").drop_duplicates("codec").head(_SHOWN)
    return [scheme for scheme in dict.fromkeys(here["scheme"]) if scheme in set(best["scheme"])]

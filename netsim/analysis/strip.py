"""What each scheme shows of one image under one loss pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.decoding.cache import CodecCache, StreamKey
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db
from netsim.protection.base import Protection

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StripImage", "loss_pattern", "strip_image", "strip_numbers"]

BoolArray = NDArray[np.bool_]

_TRIES = 10_000


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

    Raises:
        InputError: More packets can be lost than the pattern has.
    """
    stream, codec = cache.encode(coded), cache.codec(coded)
    protected = protection.protect(stream)
    at_risk = np.flatnonzero(~protected.sent.protected)
    if len(at_risk) > len(pattern):
        raise InputError(f"{named[0]}: {len(at_risk)} packets can be lost, the pattern has {len(pattern)}")
    received = np.ones((1, len(protected.sent)), dtype=bool)
    received[0, at_risk] = pattern[: len(at_risk)]
    usable = codec.usable(stream, protected.recover(received))
    image = codec.decode(stream, usable)[0] if usable.any() else None
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

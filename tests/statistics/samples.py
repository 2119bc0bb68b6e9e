"""What the statistical tests share: codecs on a small image, many trials of the array engine, and the test itself.

Every comparison is seeded and allows 4.9 standard errors: a false alarm once in a million seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from netsim.channels import MarkovChannel, preset
from netsim.codec import Codec, OperatingPoint, create_codec
from netsim.engines.array import simulate_trials
from netsim.engines.exact import all_masks, distributions
from netsim.links.packets import LOST, PacketBurst
from netsim.links.profile import link_from_spec
from netsim.metrics.psnr import psnr_db
from netsim.protection.base import ProtectedStream
from netsim.protection.spec import protection_from_spec
from netsim.streams import Streams
from tests.channels.brute_force import valid_presets

STANDARD_ERRORS = 4.9
PACKETS = 10
FAILURE_DB = 13.0
IDEAL = link_from_spec(None)
SCHEMES: dict[str, tuple[str, dict[str, Any], OperatingPoint, str | dict[str, str]]] = {
    "jpeg2000 prefix": ("jpeg2000", {"receiver": "prefix"}, OperatingPoint("bpp", 0.8), "none"),
    "jpeg2000 resilient": ("jpeg2000", {"receiver": "resilient"}, OperatingPoint("bpp", 0.8), "none"),
    "jpeg + RS(10, 7)": ("jpeg", {"packets": 7}, OperatingPoint("quality", 40.0), {"reed-solomon": "30%"}),
}


def _distinct() -> Iterator[MarkovChannel]:
    """Every preset, and its released variant where that is another chain."""
    for channel in valid_presets():
        if channel.name.endswith("-printed"):
            continue
        corrected = preset(channel.name.removesuffix("-released"))
        if channel.name == corrected.name or not _same(channel, corrected):
            yield channel


def _same(one: MarkovChannel, other: MarkovChannel) -> bool:
    return one.transition.shape == other.transition.shape and bool((one.transition == other.transition).all())


CHANNELS = list(_distinct())


@dataclass(frozen=True)
class Table:
    """A scheme's image decoded from every mask of its ten packets at risk, index bit j set = packet j received.

    quality: float64 [1024], PSNR in dB, FAILURE_DB where it failed. failed: bool [1024]. offer: what is sent.
    """

    quality: NDArray[np.float64]
    failed: NDArray[np.bool_]
    offer: PacketBurst


@cache
def table(scheme: str) -> Table:
    """Really encode the image, protect it, and decode each distinct usable mask once."""
    name, settings, point, protection = SCHEMES[scheme]
    image = np.ascontiguousarray(data.astronaut()[60:156, 160:288])
    codec: Codec = create_codec(name, settings)
    stream = codec.encode(image, point)
    protected: ProtectedStream = protection_from_spec(protection).protect(stream)
    at_risk = np.flatnonzero(~protected.sent.protected)
    assert len(at_risk) == PACKETS
    received = np.ones((1 << PACKETS, len(protected.sent)), dtype=bool)
    received[:, at_risk] = all_masks(PACKETS)
    usable, which = np.unique(codec.usable(stream, protected.recover(received)), axis=0, return_inverse=True)
    decodable = usable.any(axis=1)
    quality = np.full(len(usable), FAILURE_DB)
    quality[decodable] = psnr_db(image, codec.decode(stream, usable[decodable]))
    which = which.reshape(-1)
    sizes, marks = protected.sent.sizes_bytes.tolist(), protected.sent.protected.tolist()
    return Table(quality[which], ~decodable[which], PacketBurst(tuple(sizes), tuple(marks)))


def array_masks(
    channel: MarkovChannel, trials: int, slots: int, offer: PacketBurst, seed: int = 7
) -> NDArray[np.int64]:
    """Number of the mask of the packets at risk in each trial and slot, by the array engine: int64 [trials, slots]."""
    at_risk = np.flatnonzero(~np.array(offer.protected))
    bits = 1 << np.arange(len(at_risk))
    found = np.empty((trials, slots), dtype=np.int64)
    losses = Streams(seed, "losses", channel.name)
    step = 100_000
    for first in range(0, trials, step):
        last = min(first + step, trials)
        for batch in simulate_trials(slots, lambda slot: offer, channel, IDEAL, losses, Streams(seed), first, last):
            found[first:last, batch.slot] = (batch.outcome[:, at_risk] != LOST) @ bits
    return found


def exact_masks(channel: MarkovChannel, slots: int, offer: PacketBurst) -> Iterator[NDArray[np.float64]]:
    """Probability of each mask, slot by slot, by the exact engine: float64 [1024]."""
    at_risk = np.flatnonzero(~np.array(offer.protected))
    bits = 1 << np.arange(len(at_risk))
    for batch in distributions(slots, lambda slot: offer, channel, IDEAL, 1.0, lambda slot: None):
        masks = (batch.outcome[:, at_risk] != LOST) @ bits
        yield np.bincount(masks, batch.weight, 1 << len(at_risk))


def deviation(trial_means: NDArray[np.float64], exact: float) -> float:
    """How many standard errors the mean over independent trials lies off the exact one.

    A trial's slots are correlated, so one number per trial goes in. Without spread it is 0 or infinite.
    """
    off = abs(float(trial_means.mean()) - exact)
    error = float(trial_means.std(ddof=1)) / len(trial_means) ** 0.5
    if error < 1e-12:
        return 0.0 if off < 1e-9 else float("inf")
    return off / error


def worst_deviation(channel: MarkovChannel, scheme: str, trials: int, slots: int) -> float:
    """Exact against array: the largest deviation of mean PSNR, of its square, and of the failure ratio."""
    decoded = table(scheme)
    masks = array_masks(channel, trials, slots, decoded.offer)
    law = np.mean(list(exact_masks(channel, slots, decoded.offer)), axis=0)
    values = (decoded.quality, decoded.quality**2, decoded.failed.astype(np.float64))
    return max(deviation(value[masks].mean(axis=1), float(value @ law)) for value in values)


def started(name: str, start: str) -> MarkovChannel:
    """A preset from a given start."""
    return preset(name, start=start)

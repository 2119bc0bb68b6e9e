"""Which scheme is best over loss rate × round-trip time: where sending again pays, and where there is no time for it.

Retransmission has no mask table (when a packet comes decides whether it counts), so each cell of the map is sampled
over the run's own link, with the round trip put in place of the link's own: half of it there, half of it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.replay import SchemeOnLink, scheme_stream_key, schemes_of
from netsim.analysis.winner import chosen_images, points_around
from netsim.channels.base import Channel
from netsim.channels.chains import bernoulli
from netsim.codec_calls import usable_packets
from netsim.decoding.cache import CodecCache
from netsim.decoding.masks import mask_text
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.engines.outcomes import stack_outcomes
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, UNSENT, PacketBurst
from netsim.links.profile import LinkProfile
from netsim.metrics.further import LOSSLESS_DB
from netsim.protection.calls import protected_stream
from netsim.scenario.plan import Plan
from netsim.streams import Streams

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SLOTS", "PointSampler", "Sample", "round_trip_grid", "round_trip_numbers", "with_round_trip"]

Floats = NDArray[np.float64]
Say = Callable[[str], None]

SLOTS = 240
"""Images sampled in each cell, at least; the same losses for all schemes."""

_LOSS_RATES = (0.005, 0.5, 9)  # from, to, how many
_ROUND_TRIPS = (0.01, 1.0, 11)  # in shares of the deadline


@dataclass(frozen=True)
class Sample:
    """What one operating point came to in one cell: how often each (image, usable mask) was met, and mean rate."""

    met: Counter[tuple[int, str]]
    bpp: float


class PointSampler:
    """One operating point's images, ready to be sent over any channel and link.

    Images take turns, ``slots`` of them in a trial. Numbers are drawn as in a run of the plan's seed.
    """

    def __init__(self, plan: Plan, cache: CodecCache, point: SchemeOnLink, images: Sequence[int]) -> None:
        self.plan, self.cache, self.point, self.images = plan, cache, point, images
        self.codes = [scheme_stream_key(plan, image, point) for image in images]
        self.streams = [cache.encode(code) for code in self.codes]
        protection = point.scheme.protection
        self.arq = protection.arq
        self.protected = [protected_stream(protection, stream) for stream in self.streams]
        sent = [one.sent for one in self.protected]
        self.bursts = [
            PacketBurst(tuple(one.sizes_bytes.tolist()), tuple(one.protected.tolist()), arq=self.arq) for one in sent
        ]
        self.bpp_of_byte = [one.bpp / one.sizes_bytes.sum() for one in sent]

    def sample(self, channel: Channel, link: LinkProfile, trials: int, slots: int) -> Sample:
        """Send trials × slots images.

        Args:
            channel: The channel.
            link: The link.
            trials: How many trials.
            slots: Slots of a trial.

        Returns:
            Usable masks with their counts, and the mean rate.
        """
        losses, jitter = (Streams(self.plan.seed, purpose, "round trip") for purpose in ("losses", "jitter"))
        met: Counter[tuple[int, str]] = Counter()
        rate = 0.0
        for batch in self._batches(channel, link, trials, slots, losses, jitter):
            which = batch.slot % len(self.images)
            sizes = np.tile(self.bursts[which].sizes_bytes, batch.attempts)
            rate += float(((batch.outcome != UNSENT) * sizes).sum()) * self.bpp_of_byte[which]
            received = (batch.outcome == DELIVERED).reshape(len(batch.outcome), batch.attempts, -1).any(axis=1)
            recovered = self.protected[which].recover(received)
            usable = usable_packets(self.cache.codec(self.codes[which]), self.streams[which], recovered)
            met.update((which, text) for text in mask_text(usable))
        return Sample(met, rate / (trials * slots))

    def _batches(
        self, channel: Channel, link: LinkProfile, trials: int, slots: int, losses: Streams, jitter: Streams
    ) -> Any:
        def burst(slot: int, _: object = None) -> PacketBurst:
            return self.bursts[slot % len(self.images)]

        if self.arq is None:
            return simulate_trials(slots, burst, channel, link, losses, jitter, 0, trials)
        each = ((t, simulate_trial(slots, burst, channel, link, losses, jitter, t)) for t in range(trials))
        batches: Any = stack_outcomes(each)
        return batches

    def quality_db(self, samples: Sequence[Sample], failure_db: float) -> Floats:
        """Mean PSNR of each sample; what the store does not remember is decoded once for all of them.

        Args:
            samples: From ``sample``.
            failure_db: What an image that fails counts as.

        Returns:
            float64 [samples] in dB.
        """
        table: dict[tuple[int, str], float] = {}
        for which, code in enumerate(self.codes):
            texts = sorted({text for sample in samples for image, text in sample.met if image == which})
            known = self.cache.qualities(code, [text for text in texts if "1" in text], ("psnr_db",))["psnr_db"]
            for text in texts:
                db = known.get(text, np.nan)
                table[which, text] = failure_db if np.isnan(db) else min(db, LOSSLESS_DB)
        return np.array(
            [sum(table[key] * count for key, count in one.met.items()) / one.met.total() for one in samples]
        )


def with_round_trip(link: LinkProfile, round_trip_s: float) -> LinkProfile:
    """The link with another round trip.

    Args:
        link: The link.
        round_trip_s: Seconds.

    Returns:
        A link whose propagation and feedback delays are half of it each.
    """
    return replace(link, propagation_s=round_trip_s / 2, feedback_delay_s=round_trip_s / 2)


def round_trip_grid(link: LinkProfile) -> tuple[Floats, Floats]:
    """The axes of the map.

    Args:
        link: Its deadline sets the range of round trips.

    Returns:
        (loss rates, round trips in s)

    Raises:
        InputError: The link has no deadline.
    """
    if link.deadline_s is None:
        raise InputError(
            f"link {link.name} has no deadline: a packet can be sent again for ever",
            hint=f"link: {{{link.name}: {{deadline_s: 9}}}} in the scenario gives the round trip a price",
        )
    return np.geomspace(*_LOSS_RATES), link.deadline_s * np.geomspace(*_ROUND_TRIPS)


def round_trip_numbers(
    plan: Plan,
    cache: CodecCache,
    near_bpp: float = 0.35,
    images: Sequence[str] = (),
    link: str | None = None,
    say: Say = lambda text: None,
    count: Callable[[int, int], None] = lambda more, done: None,
) -> pd.DataFrame:
    """The winner map of a run over loss rate (independent losses) × round-trip time.

    Retransmissions count in the rate. As in ``netsim.analysis.winner``, in each cell PSNR is linear in the logarithm of
    the rate between the two operating points around it; a scheme with none on one side stands at its nearest.
    Sampled: ``SLOTS`` images in each cell, under the same losses.

    Args:
        plan: The run's.
        cache: Has streams and qualities, or makes them.
        near_bpp: Rate at which the schemes are compared, bit/pixel.
        images: Names; none: all of the run's.
        link: A link's name; None: the plan's first.
        say: Gets a line about each step.
        count: Gets (more, 0) before cells are sampled and (0, done) after.

    Returns:
        One row per cell and scheme: kind (``grid``), channel (empty), loss_rate, rtt_s, scheme, operating_point, bpp,
        psnr_db, behind_db, wins (true for one: the first of equals), near_bpp, images, failure_db, slots, deadline_s.

    Raises:
        InputError: The link has no deadline, no scheme retransmits, or an unknown image or link.
    """
    import pandas as pd

    chosen = chosen_images(plan, near_bpp, images)
    schemes = schemes_of(plan, link)
    points = [point for several in schemes.values() for point in several]
    _check_retransmits(points)
    profile = points[0].row.link
    rates, trips = round_trip_grid(profile)
    slots = max(plan.slots, len(chosen))
    trials = -(-SLOTS // slots)
    cells = [(rate, trip) for trip in trips.tolist() for rate in rates.tolist()]
    parts = []
    count(len(points) * len(cells), 0)
    for label, several in schemes.items():
        say(f"sample {label}: {len(several)} × {len(cells)} cells of {trials * slots} images")
        found = [
            _cells(PointSampler(plan, cache, point, chosen), cells, profile, trials, slots, plan.failure_db, count)
            for point in several
        ]
        names = [point.scheme.operating_point for point in several]
        parts.append(pd.DataFrame([_row(cell, i, label, names, found, near_bpp) for i, cell in enumerate(cells)]))
    quality = np.stack([part["psnr_db"] for part in parts])
    behind, best = quality.max(axis=0) - quality, np.argmax(quality, axis=0)
    columns: dict[str, Any] = {"near_bpp": near_bpp, "images": len(chosen), "failure_db": plan.failure_db}
    columns |= {"slots": trials * slots, "deadline_s": profile.deadline_s}
    whole = [part.assign(behind_db=behind[i], wins=best == i, **columns) for i, part in enumerate(parts)]
    return pd.concat(whole, ignore_index=True)


def _check_retransmits(points: Sequence[SchemeOnLink]) -> None:
    if all(point.scheme.protection.arq is None for point in points):
        hint = "protection: [none, {arq: {retries: 2}}, {reed-solomon: 30%}]"
        raise InputError("no scheme of the run retransmits: the round trip changes nothing", hint=hint)


def _cells(
    sampler: PointSampler,
    cells: Sequence[tuple[float, float]],
    link: LinkProfile,
    trials: int,
    slots: int,
    failure_db: float,
    count: Callable[[int, int], None],
) -> tuple[Floats, Floats]:
    """(bpp, psnr_db) of one operating point in every cell."""
    samples = []
    for rate, trip in cells:
        samples.append(sampler.sample(bernoulli(rate), with_round_trip(link, trip), trials, slots))
        count(0, 1)
    return np.array([sample.bpp for sample in samples]), sampler.quality_db(samples, failure_db)


def _row(
    cell: tuple[float, float],
    i: int,
    label: str,
    names: Sequence[str],
    found: Sequence[tuple[Floats, Floats]],
    near_bpp: float,
) -> dict[str, Any]:
    """One scheme in one cell, mixed from the points around near_bpp; rounded, so that equals stay equal."""
    around, shares, at_bpp = points_around([float(bpp[i]) for bpp, _ in found], near_bpp)
    return {
        "kind": "grid",
        "channel": "",
        "loss_rate": cell[0],
        "rtt_s": cell[1],
        "scheme": label,
        "operating_point": " … ".join(names[k] for k in around),
        "bpp": at_bpp,
        "psnr_db": round(sum(share * float(found[k][1][i]) for k, share in zip(around, shares, strict=True)), 9),
    }

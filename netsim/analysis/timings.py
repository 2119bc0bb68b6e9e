"""What the link makes of each image's packets in the slots of a run: which are always late, which always dropped."""

from __future__ import annotations

from collections import Counter

import numpy as np

from netsim.analysis.replay import SchemeOnLink, scheme_stream_key
from netsim.channels.chains import bernoulli
from netsim.decoding.cache import CodecCache
from netsim.decoding.mask_table import Timing
from netsim.engines.exact import why_not_exact
from netsim.engines.schedule import transmission_schedule
from netsim.errors import InputError
from netsim.links.packets import PacketBurst
from netsim.protection.calls import protected_stream
from netsim.scenario.plan import Plan

__all__ = ["image_timings"]


def image_timings(plan: Plan, cache: CodecCache, point: SchemeOnLink) -> list[list[Timing]]:
    """The timings of each of the plan's images, over all slots of the plan, under one scheme on its link.

    Args:
        plan: The plan.
        cache: Has the streams, or encodes.
        point: The scheme at one operating point, and its link.

    Returns:
        Per image, one timing for each slot in which it is sent.

    Raises:
        InputError: If lateness is random (jitter and a deadline), or a packet is above the link's limit.
    """
    link, images = point.row.link, len(plan.image_names)
    reason = why_not_exact(bernoulli(0.0), link)
    if reason:
        raise InputError(f"{point.label} has no mask table: {reason}", hint="the event and array engines sample it")
    protection = point.scheme.protection
    bursts = []
    for image in range(images):
        sent = protected_stream(protection, cache.encode(scheme_stream_key(plan, image, point))).sent
        bursts.append(PacketBurst(tuple(sent.sizes_bytes.tolist()), tuple(sent.protected.tolist())))
    found: list[Counter[tuple[tuple[int, ...], tuple[int, ...]]]] = [Counter() for _ in range(images)]
    for slot in transmission_schedule(max(plan.slots, images), lambda slot: bursts[slot % images], link):
        late, dropped = (tuple(np.flatnonzero(which).tolist()) for which in (slot.late, slot.dropped))
        found[slot.slot % images][late, dropped] += 1
    return [
        [Timing(late, dropped, count / counts.total()) for (late, dropped), count in counts.items()] for counts in found
    ]

"""Whether streams fit into a link's deadline at all: packets that are late on an idle link are late in every slot."""

from __future__ import annotations

import numpy as np

from netsim.decoding.cache import CodecCache
from netsim.decoding.streams import stream_key_of
from netsim.engines.schedule import transmission_schedule
from netsim.links.packets import PacketBurst
from netsim.protection.calls import protected_stream
from netsim.scenario.plan import Plan
from netsim.text import few, number_text

__all__ = ["deadline_notes"]


def deadline_notes(plan: Plan, cache: CodecCache) -> list[str]:
    """Which schemes send packets that come after the deadline even if the link is idle and loses nothing.

    Args:
        plan: The plan.
        cache: Has the plan's streams.

    Returns:
        One sentence for each scheme, operating point and link, of the image of which the greatest share is late, the
        worst first; one for all where they are many; none for a link that makes every packet late (``plan_notes`` says
        so).
    """
    notes: dict[str, tuple[float, float]] = {}
    for first in range(len(plan.rows) // len(plan.rows.channels)):
        row = plan.rows[first]
        link = row.link
        if link.deadline_s is None or link.propagation_s > link.deadline_s:
            continue
        for scheme in row.schemes:
            late: list[tuple[float, float]] = []  # of each image: share of its packets, time that the last one takes
            for image in range(len(plan.image_names)):
                stream = cache.encode(stream_key_of(plan, row, image, scheme))
                sent = protected_stream(scheme.protection, stream).sent
                burst = PacketBurst(tuple(sent.sizes_bytes.tolist()), tuple(sent.protected.tolist()))
                [slot] = transmission_schedule(1, lambda _, burst=burst: burst, link)  # type: ignore[misc]
                late.append((float(slot.late.mean()), float(np.nanmax(slot.arrival_s))))
            share, longest_s = max(late)
            if share:
                name = f"{scheme.label} at {scheme.operating_point} over {link.name}"
                sentence = (
                    f"{name}: {_percent(share)} of an image's packets come after deadline_s "
                    f"{number_text(link.deadline_s)} also on an idle link without loss: the last one takes "
                    f"{longest_s:.3g} s"
                )
                notes[sentence] = share, longest_s
    worst = sorted(notes, key=notes.__getitem__, reverse=True)
    many = "operating points of schemes send packets that come after the deadline also on an idle link without loss"
    return few(worst, many, "The worst")


def _percent(share: float) -> str:
    """A share of packets, so that few are not none and many are not all.

    >>> _percent(0.004), _percent(0.996), _percent(2 / 3), _percent(1.0)
    ('0.4 %', '99.6 %', '67 %', '100 %')
    """
    return f"{100 * share:.{2 if share < 0.995 else 4}g} %"

"""The time arithmetic of a link: each formula stands here once, for every engine.

Times are float64 seconds. Engines that are to agree bit for bit must evaluate, in this order of operations::

    serialisation_i = 8 · (size_i + overhead_bytes) / rate_bps            (integers until the division)
    start_i         = max(offered_i, start_{i-1} + interval_s, end_{i-1})
    end_i           = start_i + serialisation_i
    arrival_i       = (end_i + propagation_s) + jitter_s · u_i            (u_i uniform in [0, 1))

over the packets that the link took, in sending order and across slots; ``offered_i`` is the start of the
packet's slot. Slot s starts at ``s · period_s`` or, without a period, at ``end`` of the last packet taken of
the slot before (at that slot's own start if none was taken). A slot's deadline falls at ``start + deadline_s``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netsim.links.profile import LinkProfile

__all__ = ["STEP_TOLERANCE", "chain_steps", "serialisation_s"]

STEP_TOLERANCE = 1e-6
"""Share of ``step_s`` by which step boundaries lie early.

Packets sent every ``step_s`` carry accumulated rounding (0.1 + … + 0.1 is 0.7999999999999999 after eight);
without it they would fall now on one side of a boundary and now on the other: no step, then two."""


def serialisation_s(sizes_bytes: Sequence[int], link: LinkProfile) -> list[float]:
    """Time that each packet occupies the link: 8 · (payload + overhead) / rate, in seconds."""
    overhead, rate = link.overhead_bytes, link.rate_bps
    return [8 * (size + overhead) / rate for size in sizes_bytes]


def chain_steps(before_s: Any, now_s: Any, step_s: Any) -> Any:
    """Steps of a chain with time step ``step_s`` between two transmission times (scalars or arrays alike).

    The number of step boundaries between them, floor(now/step) − floor(before/step), with boundaries a
    ``STEP_TOLERANCE`` of a step early so that rounding does not move a packet across one. int64.

    >>> int(chain_steps(0.0, 0.25, 0.1)), int(chain_steps(0.25, 0.29, 0.1))
    (2, 0)
    >>> chain_steps([0.0, 0.7], [0.7, 0.7999999999999999], 0.1)
    array([7, 1])
    """
    now = np.floor(np.asarray(now_s, dtype=np.float64) / step_s + STEP_TOLERANCE)
    before = np.floor(np.asarray(before_s, dtype=np.float64) / step_s + STEP_TOLERANCE)
    return (now - before).astype(np.int64)

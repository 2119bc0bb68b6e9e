"""The time arithmetic of a link: each formula once, for every engine.

Times are exact. A link's numbers count as the decimals that they are written as (0.1 is one tenth, not the float64
next to it), and all times are whole numbers of ticks, so small that every number of the link is a whole number of
them::

    serialisation_i = 8 · (size_i + overhead_bytes) / rate_bps
    start_i         = max(offered_i, start_{i-1} + interval_s, end_{i-1})
    end_i           = start_i + serialisation_i        or, with a rate trace, ``netsim.links.opportunities``
    arrival_i       = end_i + propagation_s

over the packets that the link took, in sending order and across slots; ``offered_i`` is the start of the
packet's slot. Slot s starts at ``s · period_s`` or, without a period, at ``end`` of the last packet taken of
the slot before (at that slot's own start if none was taken). A slot's deadline falls at ``start + deadline_s``.

A log holds float64 seconds: each exact time is rounded once, to the nearest. Jitter is random and is added to the
rounded arrival, ``arrival_s + jitter_s · u_i`` with u_i uniform in [0, 1). A packet is late if its exact arrival
without jitter is after the deadline, or its float64 arrival with jitter after the float64 deadline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from netsim.links.opportunities import Opportunities
from netsim.links.profile import LinkProfile

__all__ = ["STEP_TOLERANCE", "LinkTicks", "chain_steps", "decimal", "link_ticks"]

LEAST_TICKS_PER_S = 10**12
"""Jittered arrivals and ARQ timers are rounded up to whole ticks, so a tick is a picosecond at most."""

STEP_TOLERANCE = 1e-6
"""Share of ``step_s`` by which step boundaries lie early.

A time step that is not a finite decimal (the serialisation time of a packet, 1/3 s) can't be written exactly. Without
the tolerance, packets sent every such step would fall now on one side of a boundary and now on the other."""


def decimal(value: float) -> Fraction:
    """The decimal that a number is written as, exact.

    Args:
        value: A float is taken as the shortest decimal that reads back as it.

    Returns:
        An exact fraction.

    >>> decimal(0.1) + decimal(0.2) == decimal(0.3)
    True
    """
    return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)


@dataclass(frozen=True)
class LinkTicks:
    """A link's numbers in ticks, all exact integers.

    Attributes:
        per_s: Ticks in a second.
        interval, propagation, jitter, feedback, period: As in ``LinkProfile``.
        deadline: inf if nothing is late.
        byte: Ticks that a byte takes, 0 at infinite rate.
        overhead_bytes: Headers of each packet.
        opportunities: When the link can deliver, where it has a rate trace; ``byte`` is then 0.
    """

    per_s: int
    interval: int
    propagation: int
    jitter: int
    feedback: int
    period: int | None
    deadline: float
    byte: int
    overhead_bytes: int
    opportunities: Opportunities | None = None

    def seconds(self, ticks: int) -> float:
        """The float64 nearest to the exact time.

        Args:
            ticks: A time or a duration in ticks.

        Returns:
            Seconds.
        """
        return ticks / self.per_s

    def at_least(self, time_s: float) -> int:
        """The first tick that is not before a time.

        Args:
            time_s: A time in seconds, taken as a binary number.

        Returns:
            The tick.
        """
        numerator, denominator = time_s.as_integer_ratio()
        return -(-numerator * self.per_s // denominator)

    def duration(self, duration_s: float) -> int:
        """A duration in ticks.

        Args:
            duration_s: Seconds as the user wrote them, taken as a decimal.

        Returns:
            Ticks, rounded up.
        """
        return math.ceil(decimal(duration_s) * self.per_s)

    def end(self, start: int, size_bytes: int, used: int = 0) -> tuple[int, int]:
        """When a transmission ends.

        Args:
            start: Tick at which it starts.
            size_bytes: Payload.
            used: Of a rate trace, the byte position up to which earlier packets have used it.

        Returns:
            The tick, and the byte position after the packet (0 without a rate trace).
        """
        if self.opportunities is None:
            return start + (size_bytes + self.overhead_bytes) * self.byte, 0
        return self.opportunities.end(start, size_bytes + self.overhead_bytes, used)


@lru_cache(maxsize=64)
def link_ticks(link: LinkProfile) -> LinkTicks:
    """A link's numbers in ticks. One tick divides all of them and the time of a byte.

    Args:
        link: The link.

    Returns:
        Its numbers in whole ticks, and how many ticks a second has.

    >>> ticks = link_ticks(LinkProfile(rate_bps=24e6, interval_s=0.1, period_s=0.3))
    >>> 3 * ticks.interval == ticks.period, ticks.seconds(3 * ticks.end(0, 1)[0])
    (True, 1e-06)
    """
    timeless = math.isinf(link.rate_bps) or link.rate_trace is not None
    byte = Fraction(0) if timeless else 8 / decimal(link.rate_bps)
    times = {
        "interval": decimal(link.interval_s),
        "propagation": decimal(link.propagation_s),
        "jitter": decimal(link.jitter_s),
        "feedback": decimal(link.feedback_delay_s),
        "byte": byte,
    }
    period = None if link.period_s is None else decimal(link.period_s)
    deadline = None if link.deadline_s is None else decimal(link.deadline_s)
    several = [*times.values(), *(time for time in (period, deadline) if time is not None)]
    per_s = math.lcm(LEAST_TICKS_PER_S, *(time.denominator for time in several))
    return LinkTicks(
        per_s=per_s,
        period=None if period is None else int(period * per_s),
        deadline=math.inf if deadline is None else int(deadline * per_s),
        overhead_bytes=link.overhead_bytes,
        opportunities=None if link.rate_trace is None else Opportunities(link.rate_trace, per_s),
        **{name: int(time * per_s) for name, time in times.items()},
    )


def chain_steps(before_s: Any, now_s: Any, step_s: Any) -> Any:
    """Steps of a chain between two transmission times.

    This is the number of step boundaries between them, floor(now/step) − floor(before/step), with boundaries a
    ``STEP_TOLERANCE`` of a step early so that rounding does not move a packet across one.

    Args:
        before_s: Earlier times, scalar or array.
        now_s: Later times, of the same shape.
        step_s: Time step of the chain.

    Returns:
        int64, of the same shape.

    >>> int(chain_steps(0.0, 0.25, 0.1)), int(chain_steps(0.25, 0.29, 0.1))
    (2, 0)
    >>> chain_steps([0.0, 0.7], [0.7, 0.7999999999999999], 0.1)
    array([7, 1])
    """
    now = np.floor(np.asarray(now_s, dtype=np.float64) / step_s + STEP_TOLERANCE)
    before = np.floor(np.asarray(before_s, dtype=np.float64) / step_s + STEP_TOLERANCE)
    return (now - before).astype(np.int64)

"""The time of a training run: how much of it was work, and how much is left."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ActiveClock", "duration"]


def duration(seconds: float) -> str:
    """A time span for a reader.

    >>> duration(50), duration(130), duration(3900)
    ('50 s', '2 min', '1 h 05 min')
    """
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class ActiveClock:
    """Time that a run has really worked, and the share of its time that is used.

    A gap of more than ``gap_s`` between two ticks is a pause (the process was stopped, the machine slept): it does not
    count as work, unless the gap before it was one, too, and not much shorter: then steps are slow. ``stop_at``
    (seconds of ``now``) is absolute: what a pause takes away from it is gone, and the share then rises faster, so that
    it is 1 at the stop in any case.
    """

    def __init__(
        self,
        budget_s: float,
        *,
        active_s: float = 0.0,
        stop_at: float | None = None,
        gap_s: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.budget_s, self.active_s, self.stop_at, self.gap_s, self._now = budget_s, active_s, stop_at, gap_s, now
        self._last, self._gap_before = now(), 0.0

    def tick(self) -> float:
        """Counts the time since the last tick; returns the share of the run that is over, 0…1."""
        now = self._now()
        gap = now - self._last
        if gap <= (self.gap_s if self._gap_before <= self.gap_s else 3 * self._gap_before):
            self.active_s += gap
        self._last, self._gap_before = now, gap
        left = self.left_s()
        return 1.0 if left <= 0 else self.active_s / (self.active_s + left)

    def left_s(self) -> float:
        """Seconds of work left."""
        left = self.budget_s - self.active_s
        return left if self.stop_at is None else min(left, self.stop_at - self._last)

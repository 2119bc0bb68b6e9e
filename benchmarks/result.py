"""What a benchmark gives, and how times are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Result", "best_s", "faster", "rivals_s", "within"]


@dataclass(frozen=True)
class Result:
    """One line of the table. ratio: how many times better than the reference; met: it is at least ``target``."""

    name: str
    ours: float
    reference: float
    ratio: float
    target: float
    unit: str

    @property
    def met(self) -> bool:
        return self.ratio >= self.target

    def as_dict(self) -> dict[str, Any]:
        """Keys in the order name, ours, reference, ratio, target, met, unit."""
        fields = asdict(self)
        return {
            key: fields.get(key, self.met) for key in ("name", "ours", "reference", "ratio", "target", "met", "unit")
        }


def faster(name: str, ours: float, reference: float, target: float, unit: str) -> Result:
    """Of rates: more is better.

    >>> faster("x", 10.0, 5.0, 3.0, "packets/s").met
    False
    """
    return Result(name, ours, reference, ours / reference, target, unit)


def within(name: str, ours: float, limit: float, unit: str) -> Result:
    """Of costs against a limit, which stands as the reference: less is better, and the ratio must reach 1."""
    return Result(name, ours, limit, limit / ours, 1.0, unit)


def best_s(call: Callable[[], Any], repeats: int = 7) -> float:
    """Wall-clock seconds of the quickest of several calls, after one to warm up (compilers, caches)."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def rivals_s(ours: Callable[[], Any], reference: Callable[[], Any], rounds: int = 15) -> tuple[float, float]:
    """Processor seconds of the quickest call of each, called in turns so that a busy machine slows both.

    Both must run in this thread alone.
    """
    best = [float("inf"), float("inf")]
    for turn in range(rounds + 1):
        for which, call in enumerate((ours, reference)):
            start = time.thread_time()
            call()
            if turn:  # the first warms up
                best[which] = min(best[which], time.thread_time() - start)
    return best[0], best[1]

"""Mahimahi link traces: when a link can deliver, not what it loses."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.channels.traces.files import PACKETS_LIMIT, read_bytes, read_lines
from netsim.errors import InputError

__all__ = ["OPPORTUNITY_BYTES", "RateTrace", "looks_like", "read_rate_trace"]

OPPORTUNITY_BYTES = 1500
"""Bytes that one line of a file lets pass: a packet of the largest size on Ethernet."""

_LONGEST_MS = 10**9


@dataclass(frozen=True, eq=False, repr=False)
class RateTrace:
    """Opportunities to deliver, repeated without end. Two are equal if their times are.

    Attributes:
        path: The file.
        times_ms: int64 [n], not falling: at each, the link delivers up to ``OPPORTUNITY_BYTES``.
    """

    path: Path
    times_ms: NDArray[np.int64]

    @cached_property
    def sha256(self) -> str:
        """Of the times, in hexadecimal."""
        return hashlib.sha256(self.times_ms.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RateTrace) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"<RateTrace of {self.mean_rate_bps / 1e6:.4g} Mbit/s, {self.period_ms} ms, sha256 {self.sha256}>"

    @property
    def period_ms(self) -> int:
        """Time after which the trace starts again: that of its last opportunity."""
        return int(self.times_ms[-1])

    @property
    def mean_rate_bps(self) -> float:
        """Mean rate over a period, in bit/s."""
        return 8 * OPPORTUNITY_BYTES * len(self.times_ms) / (self.period_ms * 1e-3)

    def rates_bps(self, window_ms: int = 1000) -> NDArray[np.float64]:
        """Rates in windows that follow each other, in bit/s.

        Args:
            window_ms: Length of a window.

        Returns:
            float64 [windows]; a last, shorter one is left out.
        """
        windows = max(1, self.period_ms // window_ms)
        counts = np.bincount(np.minimum((self.times_ms - 1).clip(0) // window_ms, windows), minlength=windows + 1)
        return np.asarray(counts[:windows] * (8 * OPPORTUNITY_BYTES / (window_ms * 1e-3)))


def looks_like(text: str) -> bool:
    """Whether a file's first lines may be Mahimahi's: whole numbers alone that do not fall.

    Args:
        text: The file's first lines.

    Returns:
        True if they may be.
    """
    lines = text.splitlines()[:-1][:50] or text.splitlines()
    if not lines or not all(line.strip().isdecimal() and len(line) < 12 for line in lines):
        return False
    numbers = [int(line) for line in lines]
    return numbers == sorted(numbers) and bool(set("".join(line.strip() for line in lines)) - {"0", "1"})


def read_rate_trace(path: Path) -> RateTrace:
    """Read a Mahimahi trace: a line holds the millisecond at which 1,500 bytes can be delivered.

    Args:
        path: The file.

    Returns:
        The trace.

    Raises:
        InputError: A line is not a whole number, or less than the one before; no line is above zero.
    """
    times_ms = array("q")
    last = 0
    for number, line in enumerate(read_lines(read_bytes(path), "replace"), 1):
        text = line.strip()
        if not text:
            continue
        if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > _LONGEST_MS:
            hint = f"a whole number of milliseconds, up to {_LONGEST_MS:,}"
            raise InputError(f"`{text[:40]}` is not a time", where=f"{path}:{number}", hint=hint)
        time_ms = int(text)
        if time_ms < last:
            raise InputError(f"{time_ms} comes after {last}", where=f"{path}:{number}", hint="times do not fall")
        times_ms.append(time_ms)
        last = time_ms
    if not last:
        raise InputError(f"trace {path} never delivers", hint="at least one line above 0")
    if len(times_ms) > PACKETS_LIMIT:
        raise InputError(f"trace {path} has {len(times_ms):,} lines", hint=f"at most {PACKETS_LIMIT:,}")
    return RateTrace(path, np.array(times_ms, dtype=np.int64))

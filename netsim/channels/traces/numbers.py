"""From the numbers of the packets that arrived to a mask of all that were sent: missing numbers are losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.channels.traces.files import PACKETS_LIMIT
from netsim.channels.traces.model import Recording
from netsim.errors import InputError

__all__ = ["recording_from_numbers", "unwrapped"]

_OVERTAKEN_PACKETS = 500  # a packet may arrive late by half of a trace of so many numbers; no counter is as narrow


def unwrapped(numbers: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Numbers of a counter of ``bits`` bits, continued where the counter starts again.

    Each number is taken as the one nearest to the number before it, as RFC 3550 (appendix A.1) extends RTP's.

    Args:
        numbers: int64 [n], in order of arrival.
        bits: Width of the counter.

    Returns:
        int64 [n]; the first is unchanged.

    >>> unwrapped(np.array([65534, 65535, 1, 0, 2]), 16)
    array([65534, 65535, 65537, 65536, 65538])
    """
    if not len(numbers):
        return numbers
    span = 1 << bits
    steps = (np.diff(numbers) + span // 2) % span - span // 2
    return np.concatenate([numbers[:1], numbers[0] + np.cumsum(steps)])


def recording_from_numbers(
    path: Path,
    label: str,
    numbers: NDArray[np.int64],
    *,
    lost: NDArray[np.bool_] | None = None,
    times_s: NDArray[np.float64] | None = None,
    bits: int | None = None,
    sent: tuple[int, int] | None = None,
) -> tuple[Recording, list[str]]:
    """A recording from numbers in order of arrival.

    Args:
        path: The file, for messages.
        label: The recording's.
        numbers: int64 [n], of the packets seen; any order, duplicates allowed.
        lost: bool [n], True where the file says that the packet was lost; None: all were received.
        times_s: float64 [n], when each was seen.
        bits: Width of the counter, if it starts again.
        sent: First and last number sent; None: the first and last seen.

    Returns:
        The recording and notes on it.

    Raises:
        InputError: There are no numbers, they lie outside ``sent`` or too far apart to be packets of one trace, or they
            start again and neither ``bits`` nor ``lost`` is given.
    """
    if not len(numbers):
        raise InputError(f"trace {path} holds no packets", hint="a numbered packet on each line")
    if bits is not None:
        if numbers.min() < 0 or numbers.max() >= 1 << bits:
            wrong = numbers[(numbers < 0) | (numbers >= 1 << bits)][0]
            hint = f"a counter of {bits} bits has no such number"
            raise InputError(f"trace {path} has the number {wrong}", hint=hint)
        numbers = unwrapped(numbers, bits)
    elif lost is None:
        _refuse_restarts(path, numbers)
    first, packets = _range_sent(path, numbers, sent)
    places = numbers - first
    arrived = places if lost is None else places[~lost]
    received = np.zeros(packets, dtype=bool)
    received[arrived] = True
    times = None
    if times_s is not None:
        times = np.full(packets, np.nan)
        times[places[::-1]] = times_s[::-1]  # of duplicates, the first
    notes = []
    named = f"recording {label}" if label.isdigit() else label
    duplicates = len(places) - len(np.unique(places))
    if duplicates:
        notes.append(f"{named}: {duplicates:,} duplicates count once")
    overtaken = int((np.diff(numbers) < 0).sum())
    if overtaken:
        notes.append(f"{named}: {overtaken:,} packets came out of order")
    if sent is None and lost is None:
        notes.append(
            f"{named}: losses before the first and after the last received packet are unknown, unless `sent` is given"
        )
    return Recording(label, received, times), notes


def _refuse_restarts(path: Path, numbers: NDArray[np.int64]) -> None:
    """A counter that starts again would count all later packets as duplicates, and hide their losses."""
    span = int(numbers.max() - numbers.min()) + 1
    falls = int((np.diff(numbers) < -(span // 2)).sum())
    if falls and span > _OVERTAKEN_PACKETS:
        bits = int(numbers.max()).bit_length()
        hint = (
            f"does its counter start again? --counter-bits {bits} is enough for these numbers; did the sender start "
            "again? a column `link` tells recordings apart; lines stand in order of arrival"
        )
        message = (
            f"trace {path}: the number falls by more than half its range, {falls:,} time{'s' if falls > 1 else ''}"
        )
        raise InputError(message, hint=hint, key=("counter_bits",))


def _range_sent(path: Path, numbers: NDArray[np.int64], sent: tuple[int, int] | None) -> tuple[int, int]:
    """Number of the first packet sent, and how many were sent."""
    first, last = (int(numbers.min()), int(numbers.max())) if sent is None else sent
    if numbers.min() < first or numbers.max() > last:
        wrong = int(numbers.min()) if numbers.min() < first else int(numbers.max())
        raise InputError(f"trace {path} has the number {wrong}, sent were {first}..{last}", key=("sent",))
    packets = last - first + 1
    if packets > PACKETS_LIMIT:
        hint = f"at most {PACKETS_LIMIT:,} packets; is it a sequence number, and did its counter start again?"
        raise InputError(f"trace {path}: numbers from {first} to {last} are {packets:,} packets", hint=hint)
    return first, packets

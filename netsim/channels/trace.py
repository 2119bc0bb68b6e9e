"""Recorded losses played back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.statistics import MASK_PACKETS_LIMIT
from netsim.channels.traces import TraceOptions, read_trace
from netsim.errors import InputError

__all__ = ["TraceChannel", "trace_channel"]

BoolArray = NDArray[np.bool_]
Vector = NDArray[np.float64]
State = tuple[int, int]


class TraceChannel(Channel):
    """Playback of recorded series, each of them as a ring.

    A trial begins at a record drawn uniformly from all series together, and stays in that record's series. The state
    is (series, position of the last packet). The statistics are those of this process, exactly: every record is equally
    likely to be the first.

    Args:
        name: As in scenarios and logs.
        series: Received, bool [n] of each link.
        step_s: Seconds per record; None: one record per packet.

    Raises:
        InputError: There are no packets, or ``step_s`` is not above zero.

    >>> channel = TraceChannel("mine", [np.array([True, True, False, True])])
    >>> channel.loss_rate, channel.mean_burst
    (0.25, 1.0)
    """

    def __init__(self, name: str, series: Sequence[BoolArray], step_s: float | None = None) -> None:
        if not series or not all(len(s) for s in series):
            raise InputError(f"trace {name} has no packets", hint="at least one record in every series")
        if step_s is not None and not 0 < step_s < float("inf"):
            raise InputError(
                f"step_s {step_s} is not a time step", hint="seconds per record, above zero", key=("step_s",)
            )
        self.name, self.step_s = name, step_s
        self.series = tuple(np.array(s, dtype=bool) for s in series)
        self._plain = [s.tolist() for s in self.series]
        self._ends = np.cumsum([len(s) for s in self.series])

    def initial_state(self, u: float) -> State:
        """Series and position, every record alike.

        Args:
            u: Uniform in [0, 1).

        Returns:
            (number of the series, position in it).
        """
        index = int(u * self._ends[-1])
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - int(self._ends[number] - len(self.series[number]))

    def receive_one(self, u_step: float, u_loss: float, state: State, steps: int = 1) -> tuple[bool, State]:
        """The record some steps further on; the uniforms decide nothing.

        Args:
            u_step: Not used.
            u_loss: Not used.
            state: Series and position.
            steps: How many records to go on; behind the last one the series begins again.

        Returns:
            (whether the packet is received, the state after).
        """
        number, position = state
        records = self._plain[number]
        position = (position + steps) % len(records)
        return records[position], (number, position)

    def receive(self, uniforms: Vector, state: State, steps: int | NDArray[np.int64] = 1) -> tuple[BoolArray, State]:
        """n records in order.

        Args:
            uniforms: float64 [n, 2], for their number alone.
            state: Before the first packet.
            steps: int or int [n], records further on.

        Returns:
            Received, bool [n], and the state after the last packet.
        """
        number, position = state
        records = self.series[number]
        count = len(uniforms)
        if count == 0:
            return np.empty(0, dtype=bool), state
        positions = (position + np.cumsum(np.broadcast_to(steps, (count,)))) % len(records)
        return records[positions], (number, int(positions[-1]))

    @property
    def can_lose(self) -> bool:
        """Whether any record is a loss."""
        return not all(s.all() for s in self.series)

    @cached_property
    def loss_rate(self) -> float:
        """Share of all records that are lost."""
        return float(1 - np.concatenate(self.series).mean())

    @cached_property
    def mean_burst(self) -> float:
        """Mean length of a run of losses; 0 if nothing is lost, infinity if losses never end."""
        lost = sum(int((~s).sum()) for s in self.series)
        begins = sum(int((~s & np.roll(s, 1)).sum()) for s in self.series)
        if lost == 0:
            return 0.0
        return lost / begins if begins else float("inf")

    def autocorrelation(self, lag: int) -> float:
        """Correlation of the losses of two packets; 0 where there is no variance.

        Args:
            lag: Packets from the one to the other, 0 or more.

        Returns:
            From −1 to 1.

        Raises:
            InputError: ``lag`` is negative.
        """
        if lag < 0:
            raise InputError(f"lag {lag} is negative", hint="a lag is a number of packets, 0 or more")
        if lag == 0:
            return 1.0
        rate = self.loss_rate
        if rate * (1 - rate) <= 0:
            return 0.0
        joint = sum(float((~s * 1.0 - rate) @ (np.roll(~s, -lag) * 1.0 - rate)) for s in self.series)
        return joint / int(self._ends[-1]) / (rate * (1 - rate))

    def loss_count_probabilities(self, packets: int) -> Vector:
        """Distribution of the number lost among ``packets``.

        Args:
            packets: Length of the window, at least 1.

        Returns:
            float64 [packets + 1], index = packets lost.

        Raises:
            InputError: ``packets`` is below 1.
        """
        if packets < 1:
            raise InputError(f"{packets} packets", hint="a window holds at least one packet")
        counts = np.zeros(packets + 1)
        for s in self.series:
            turns, rest = divmod(packets, len(s))
            sums = np.concatenate([[0], np.cumsum(np.concatenate([~s, ~s]))])
            windows = turns * sums[len(s)] + sums[rest : rest + len(s)] - sums[: len(s)]
            counts += np.bincount(windows, minlength=packets + 1)
        return np.asarray(counts / self._ends[-1])

    def mask_probabilities(self, packets: int) -> Vector:
        """Probability of every mask.

        Args:
            packets: Length of the masks.

        Returns:
            float64 [2**packets]; in the index, bit j set = packet j received.

        Raises:
            InputError: No packets, or too many.
        """
        if not 1 <= packets <= MASK_PACKETS_LIMIT:
            raise InputError(f"masks of {packets} packets", hint=f"from 1 to {MASK_PACKETS_LIMIT}")
        counts = np.zeros(2**packets)
        for s in self.series:
            masks = np.zeros(len(s), dtype=np.int64)
            for packet in range(packets):
                masks |= np.roll(s, -packet).astype(np.int64) << packet
            counts += np.bincount(masks, minlength=2**packets)
        return np.asarray(counts / self._ends[-1])


def trace_channel(
    path: Path,
    link: str | None = None,
    *,
    name: str = "",
    step_s: float | None = None,
    options: TraceOptions | None = None,
) -> TraceChannel:
    """A trace channel from a file: one link of it (all its recordings), or all links.

    Args:
        path: The file.
        link: A label of its recordings; None: all.
        name: Of the channel; empty: ``trace FILE LINK``.
        step_s: Seconds per record; None: the trace advances one record per packet.
        options: What the file does not say about itself.

    Returns:
        The channel.

    Raises:
        InputError: What ``read_trace`` refuses, and an unknown link.
    """
    trace = read_trace(path, options).select(link)
    label = name or " ".join(["trace", Path(path).stem, *([link] if link else [])])
    channel = TraceChannel(label, [one.received for one in trace.recordings], step_s)
    channel.recorded_step_s = trace.interval_s
    return channel

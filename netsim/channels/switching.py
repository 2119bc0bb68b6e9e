"""A channel that alternates at random between several, as in ResiComp's Fig. 20 (EP3 and EP5)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.calls import received_packet, received_packets
from netsim.channels.matrices import cdf
from netsim.errors import InputError
from netsim.validation import check_whole

__all__ = ["SwitchingChannel"]

State = tuple[int, tuple[Any, ...], int]


class SwitchingChannel(Channel):
    """Draws the active one of several channels every ``dwell_slots`` slots, independently of the last.

    State between packets: index of the active channel, states of all, number of slots entered. A channel that is not
    active stays in its state. All channels must have the same ``step_s``.

    Args:
        channels: At least one.
        probabilities: Of each channel, summing to 1; None: all alike.
        name: Name in logs and figures; empty: made of the channels' names.
        dwell_slots: Slots from one draw to the next.

    Raises:
        InputError: No channels, different ``step_s``, probabilities that are not a distribution, or no dwell time.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        probabilities: Sequence[float] | None = None,
        name: str = "",
        dwell_slots: int = 1,
    ) -> None:
        if not channels:
            raise InputError("a switch without channels", hint="list at least one", key=("switch",))
        if len({channel.step_s for channel in channels}) > 1:
            given = ", ".join(f"{channel.name}: {channel.step_s}" for channel in channels)
            raise InputError(
                f"the switched channels differ in step_s ({given})", hint="give all the same, or none", key=("switch",)
            )
        share = [1 / len(channels)] * len(channels) if probabilities is None else [float(p) for p in probabilities]
        if len(share) != len(channels) or min(share) < 0 or abs(sum(share) - 1) > 1e-9:
            raise InputError(
                f"probabilities {share} for {len(channels)} channels",
                hint="one per channel, none below 0, summing to 1",
                key=("probabilities",),
            )
        check_whole("dwell_slots", dwell_slots, least=1)
        self.dwell_slots = dwell_slots
        self.channels = tuple(channels)
        self.probabilities = tuple(share)
        self.name = name or "switch " + "/".join(channel.name for channel in channels)
        self.step_s = channels[0].step_s
        self.recorded_step_s = _furthest(self.step_s, [channel.recorded_step_s for channel in channels])
        self._cdf = cdf(np.array(share))

    @property
    def can_lose(self) -> bool:
        """Whether one of the channels may lose a packet."""
        return any(channel.can_lose for channel in self.channels)

    @property
    def has_memory(self) -> bool:
        """Whether one of the channels has; the switch itself counts slots, not packets."""
        return any(channel.has_memory for channel in self.channels)

    def initial_state(self, u: float) -> State:
        """An active channel and a start state for each, all from one uniform.

        Args:
            u: Uniform in [0, 1).

        Returns:
            (number of the active channel, state of each, slots entered).
        """
        first, *others = _spread(u, len(self.channels) + 1)
        states = tuple(c.initial_state(v) for c, v in zip(self.channels, others, strict=True))
        return bisect_right(self._cdf, first), states, 0

    def enter_slot(self, u: float, state: State) -> State:
        """Draw the slot's channel, if it is the first of ``dwell_slots``.

        Args:
            u: Uniform in [0, 1).
            state: The state at the end of the slot before.

        Returns:
            The state at the slot's start.
        """
        choice, inner = _spread(u, 2)
        active, states, slots = state
        if slots % self.dwell_slots == 0:
            active = bisect_right(self._cdf, choice)
        entered = self.channels[active].enter_slot(inner, states[active])
        return active, _replaced(states, active, entered), slots + 1

    def receive_one(self, u_step: float, u_loss: float, state: State, steps: int = 1) -> tuple[bool, State]:
        """One packet over the active channel.

        Args:
            u_step: Uniform that decides the chain's steps.
            u_loss: Uniform that decides the loss.
            state: The state before the packet.
            steps: Steps since the packet before.

        Returns:
            (whether the packet is received, the state after).
        """
        active, states, slots = state
        received, after = received_packet(self.channels[active], u_step, u_loss, states[active], steps)
        return received, (active, _replaced(states, active, after), slots)

    def receive(self, uniforms: NDArray[np.float64], state: State, steps: Any = 1) -> tuple[NDArray[np.bool_], State]:
        """Packets in order, all within one slot.

        Args:
            uniforms: float64 [n, 2].
            state: The state before the packets.
            steps: Steps before each packet: int, or int [n].

        Returns:
            (bool [n], the state after).
        """
        active, states, slots = state
        received, after = received_packets(self.channels[active], uniforms, states[active], steps)
        return received, (active, _replaced(states, active, after), slots)


def _replaced(states: tuple[Any, ...], index: int, state: Any) -> tuple[Any, ...]:
    return (*states[:index], state, *states[index + 1 :])


def _spread(u: float, count: int) -> list[float]:
    """``count`` uniforms from one: SplitMix64 (Steele, Lea and Flood 2014) seeded with its 53 bits."""
    mask = (1 << 64) - 1
    word = int(u * 2**53)
    values = []
    for _ in range(count):
        word = (word + 0x9E3779B97F4A7C15) & mask
        z = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        values.append(((z ^ (z >> 31)) >> 11) / 2**53)
    return values


def _furthest(step_s: float | None, recorded_s: Sequence[float | None]) -> float | None:
    """Of the switched recordings' times per packet the one that differs most from the step of them all."""
    known = [one for one in recorded_s if one is not None and one > 0]
    if step_s is None or not known:
        return None
    return max(known, key=lambda one: max(one / step_s, step_s / one))

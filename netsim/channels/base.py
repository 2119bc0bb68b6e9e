"""What a channel is: the process that decides which packets are lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Channel"]

BoolArray = NDArray[np.bool_]


class Channel(ABC):
    """A loss process. A packet is lost or received; True = received.

    The caller draws the uniforms, so one packet at a time and a million at once give the same bits. Each packet takes
    two uniforms, the first for the state transition, the second for the loss; both are always consumed. **The chain
    steps first, then the packet is drawn** (as in the training code of the loss-resilient codec and in the ResiComp
    release). With a stationary start the order is immaterial.

    Attributes:
        name: As written in scenarios and logs.
        step_s: None: the chain steps once per packet. Else it steps once per that many seconds, and the caller says how
            many steps lie between two packets.
        recorded_step_s: Seconds between two packets of the recording that the channel plays back; None: there is
            none, or it has no times.
        written: The value of a scenario that means this channel; None: a scenario can't name it.
        source: Where the numbers come from, if they were fitted: file, family, likelihood, …
    """

    name: str
    step_s: float | None = None
    recorded_step_s: float | None = None
    written: Any = None
    source: Mapping[str, Any] = MappingProxyType({})

    def __repr__(self) -> str:
        """``<Channel EP4: loss 13.8 %, mean burst 1.69, 3 states>``."""
        facts = self._facts()
        return f"<Channel {self.name}{': ' if facts else ''}{', '.join(facts)}>"

    def _facts(self) -> list[str]:
        """Statistics that the channel has in closed form."""
        rate, burst_packets, states = (getattr(self, key, None) for key in ("loss_rate", "mean_burst", "states"))
        facts = [f"loss {100 * rate:.3g} %"] if rate is not None else []
        facts += [f"mean burst {burst_packets:.3g}"] if burst_packets is not None else []
        facts += [f"{len(states)} states"] if states is not None and len(states) > 1 else []
        return [*facts, *([f"a step per {self.step_s:g} s"] if self.step_s is not None else [])]

    def _repr_html_(self) -> str:
        cells = "".join(f"<li>{escape(fact)}</li>" for fact in self._facts())
        return f"<b>Channel {escape(self.name)}</b><ul>{cells}</ul>"

    @property
    def can_lose(self) -> bool:
        """Whether the channel may lose a packet. False only where it is known to lose none."""
        return True

    @property
    def has_memory(self) -> bool:
        """Whether losses may depend on the packets sent before. False only where it is known that they do not."""
        return True

    @abstractmethod
    def initial_state(self, u: float) -> Any:
        """State before the first packet of a trial.

        Args:
            u: A uniform in [0, 1).

        Returns:
            The state, of a type of the channel's own.
        """

    def enter_slot(self, u: float, state: Any) -> Any:
        """State at the start of a slot. Most channels run on unchanged.

        Args:
            u: A uniform in [0, 1).
            state: State after the previous slot.

        Returns:
            The state before the slot's first packet.
        """
        return state

    @abstractmethod
    def receive_one(self, u_step: float, u_loss: float, state: Any, steps: int = 1) -> tuple[bool, Any]:
        """Send one packet, in plain Python: the event engine calls this.

        Args:
            u_step: A uniform in [0, 1) for the transition.
            u_loss: A uniform in [0, 1) for the loss.
            state: State before the packet.
            steps: Steps since the packet before.

        Returns:
            Whether the packet is received, and the state after it.
        """

    @abstractmethod
    def receive(self, uniforms: NDArray[np.float64], state: Any, steps: Any = 1) -> tuple[BoolArray, Any]:
        """Send packets in order; equals n calls of ``receive_one`` bit for bit.

        Args:
            uniforms: For the transition and the loss of each packet, float64 [n, 2].
            state: State before the first packet.
            steps: Steps before each packet, int or int [n].

        Returns:
            The mask (True = received, bool [n]), and the state after the last packet.
        """

    def sample(self, n: int, rng: np.random.Generator, state: Any = None) -> tuple[BoolArray, Any]:
        """Draw the receptions of n packets.

        Args:
            n: Number of packets.
            rng: Source of the uniforms.
            state: State before the first packet; None starts a trial and draws one more uniform first.

        Returns:
            The mask (True = received, bool [n]), and the state after the last packet.
        """
        if state is None:
            state = self.initial_state(rng.random())
        return self.receive(rng.random((n, 2)), state)

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

    Driven by uniforms that the caller draws, so that one packet at a time and a million at once give the
    same bits: per packet two uniforms, the first for the state transition, the second for the loss draw
    (both are always consumed). **The chain steps first, then the packet is drawn** (as the training code of
    the loss-resilient codec and the ResiComp release do); with a stationary start the order is immaterial.

    name: as written in scenarios and logs. step_s: None, the chain steps once per packet; else once per
    that many seconds, and the caller says how many steps lie between two packets.
    """

    name: str
    step_s: float | None = None
    written: Any = None
    """What a scenario calls it; None: nothing that a scenario can say."""
    source: Mapping[str, Any] = MappingProxyType({})
    """Where its numbers come from, if it was fitted: file, family, likelihood, …"""

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

    @abstractmethod
    def initial_state(self, u: float) -> Any:
        """State before the first packet of a trial, from one uniform in [0, 1)."""

    def enter_slot(self, u: float, state: Any) -> Any:
        """State at the start of a slot, from one uniform; most channels run on unchanged."""
        return state

    @abstractmethod
    def receive_one(self, u_step: float, u_loss: float, state: Any, steps: int = 1) -> tuple[bool, Any]:
        """One packet, plain Python (the event engine's path): (received, state after)."""

    @abstractmethod
    def receive(self, uniforms: NDArray[np.float64], state: Any, steps: Any = 1) -> tuple[BoolArray, Any]:
        """Packets in order, bit-identical to n receive_one calls. uniforms: float64 [n, 2]; steps: int or int [n]."""

    def sample(self, n: int, rng: np.random.Generator, state: Any = None) -> tuple[BoolArray, Any]:
        """n packets: (received bool [n], state). state None starts a trial: one uniform more is drawn first."""
        if state is None:
            state = self.initial_state(rng.random())
        return self.receive(rng.random((n, 2)), state)

"""What a channel is: the process that decides which packets are lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
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

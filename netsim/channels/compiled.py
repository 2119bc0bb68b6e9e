"""The per-packet loop, compiled. Imported where many packets are drawn at once: numba takes half a second to load."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.compiling import compiled

__all__ = ["run_chain", "run_chain_varying"]


@compiled
def _two_states(uniforms: Any, states: Any, cdf: Any, loss: Any, received: Any) -> None:
    """Without branches: what each state would do is worked out, in bit s for state s, and one is picked.

    Only the pick waits for the packet before, so the processor works on many packets at once.
    """
    trials, packets = received.shape
    from_good, from_bad = cdf[0, 0], cdf[1, 0]
    loss_good, loss_bad = loss[0], loss[1]
    for t in range(trials):
        state = np.int64(states[t])
        for i in range(packets):
            u, v = uniforms[t, i, 0], uniforms[t, i, 1]
            after = np.int64(u >= from_good) | (np.int64(u >= from_bad) << 1)
            arrives = np.int64(v >= loss_good) | (np.int64(v >= loss_bad) << 1)
            state = (after >> state) & 1
            received[t, i] = ((arrives >> state) & 1) != 0
        states[t] = state


@compiled
def _three_states(uniforms: Any, states: Any, cdf: Any, loss: Any, received: Any) -> None:
    """The same with two bits for each state, and the state doubled so that it is the shift."""
    trials, packets = received.shape
    g0, g1, b0, b1, i0, i1 = cdf[0, 0], cdf[0, 1], cdf[1, 0], cdf[1, 1], cdf[2, 0], cdf[2, 1]
    loss_0, loss_1, loss_2 = loss[0], loss[1], loss[2]
    for t in range(trials):
        shift = np.int64(states[t]) * 2
        for i in range(packets):
            u, v = uniforms[t, i, 0], uniforms[t, i, 1]
            from_0 = np.int64(u >= g0) + np.int64(u >= g1)
            from_1 = np.int64(u >= b0) + np.int64(u >= b1)
            from_2 = np.int64(u >= i0) + np.int64(u >= i1)
            after = (from_0 << 1) | (from_1 << 3) | (from_2 << 5)
            arrives = np.int64(v >= loss_0) | (np.int64(v >= loss_1) << 2) | (np.int64(v >= loss_2) << 4)
            shift = (after >> shift) & 6
            received[t, i] = ((arrives >> shift) & 1) != 0
        states[t] = shift >> 1


@compiled
def run_chain(
    uniforms: NDArray[np.float64],  # [t, n, 2]
    states: NDArray[np.int64],  # [t], changed to the states after the last packet
    cdf: NDArray[np.float64],  # [S, S - 1] cumulative rows
    loss: NDArray[np.float64],  # [S]
    received: NDArray[np.bool_],  # [t, n], written
) -> None:
    """Step once per packet, then draw: the same comparisons as MarkovChannel.receive_one.

    Args:
        uniforms: float64 [trials, packets, 2]: for the step and for the draw.
        states: int64 [trials], each trial's state; changed in place.
        cdf: float64 [S, S - 1], cumulative transition probabilities of each state.
        loss: float64 [S], probability of loss in each state.
        received: bool [trials, packets], filled in.
    """
    trials, packets = received.shape
    size = len(loss)
    if size == 2:
        _two_states(uniforms, states, cdf, loss, received)
        return
    if size == 3:
        _three_states(uniforms, states, cdf, loss, received)
        return
    for t in range(trials):
        state = states[t]
        for i in range(packets):
            u = uniforms[t, i, 0]
            after = 0
            for j in range(size - 1):
                after += u >= cdf[state, j]
            state = after
            received[t, i] = uniforms[t, i, 1] >= loss[state]
        states[t] = state


@compiled
def run_chain_varying(
    uniforms: NDArray[np.float64],  # [t, n, 2]
    states: NDArray[np.int64],  # [t], changed
    which: NDArray[np.int64],  # [t, n], row of ``cdf`` for each packet
    cdf: NDArray[np.float64],  # [K, S, S - 1] cumulative rows of each power of the matrix
    loss: NDArray[np.float64],  # [S]
    received: NDArray[np.bool_],  # [t, n], written
) -> None:
    """The same where the number of steps differs from packet to packet.

    Args:
        uniforms: float64 [trials, packets, 2]: for the step and for the draw.
        states: int64 [trials], each trial's state; changed in place.
        which: int64 [trials, packets], place of each packet's number of steps in ``cdf``.
        cdf: float64 [numbers of steps, S, S - 1].
        loss: float64 [S].
        received: bool [trials, packets], filled in.
    """
    trials, packets = received.shape
    for t in range(trials):
        state = states[t]
        for i in range(packets):
            u = uniforms[t, i, 0]
            k = which[t, i]
            after = 0
            for j in range(cdf.shape[2]):
                after += u >= cdf[k, state, j]
            state = after
            received[t, i] = uniforms[t, i, 1] >= loss[state]
        states[t] = state

"""The per-packet loop, compiled. Imported where many packets are drawn at once: numba takes half a second to load."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["run_chain", "run_chain_varying"]


def _compile(function: Any) -> Any:
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep the machine code in: compile it in each process
        return numba.njit(nogil=True)(function)


@_compile
def run_chain(
    uniforms: NDArray[np.float64],  # [t, n, 2]
    states: NDArray[np.int64],  # [t], changed to the states after the last packet
    cuts: NDArray[np.float64],  # [S, S - 1] cumulative rows
    loss: NDArray[np.float64],  # [S]
    received: NDArray[np.bool_],  # [t, n], written
) -> None:
    """Step once per packet, then draw: the same comparisons as MarkovChannel.receive_one."""
    trials, packets = received.shape
    size = len(loss)
    if size == 2:
        c0, c1, l0, l1 = cuts[0, 0], cuts[1, 0], loss[0], loss[1]
        for t in range(trials):
            bad = states[t] == 1
            for i in range(packets):
                u = uniforms[t, i, 0]
                to_bad_from_good, to_bad_from_bad = u >= c0, u >= c1
                bad = to_bad_from_bad if bad else to_bad_from_good
                received[t, i] = uniforms[t, i, 1] >= (l1 if bad else l0)
            states[t] = 1 if bad else 0
        return
    for t in range(trials):
        state = states[t]
        for i in range(packets):
            u = uniforms[t, i, 0]
            after = 0
            for j in range(size - 1):
                after += u >= cuts[state, j]
            state = after
            received[t, i] = uniforms[t, i, 1] >= loss[state]
        states[t] = state


@_compile
def run_chain_varying(
    uniforms: NDArray[np.float64],  # [t, n, 2]
    states: NDArray[np.int64],  # [t], changed
    which: NDArray[np.int64],  # [t, n], row of ``cuts`` for each packet
    cuts: NDArray[np.float64],  # [K, S, S - 1] cumulative rows of each power of the matrix
    loss: NDArray[np.float64],  # [S]
    received: NDArray[np.bool_],  # [t, n], written
) -> None:
    """The same where the number of steps differs from packet to packet."""
    trials, packets = received.shape
    for t in range(trials):
        state = states[t]
        for i in range(packets):
            u = uniforms[t, i, 0]
            k = which[t, i]
            after = 0
            for j in range(cuts.shape[2]):
                after += u >= cuts[k, state, j]
            state = after
            received[t, i] = uniforms[t, i, 1] >= loss[state]
        states[t] = state

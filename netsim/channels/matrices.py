"""The checks that make matrices a chain, with errors that name the row, and cumulative rows to sample from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.errors import InputError

__all__ = ["ROW_SUM_TOLERANCE", "cdf", "check_probability", "check_step_s", "checked_loss", "checked_transition"]

Vector = NDArray[np.float64]

ROW_SUM_TOLERANCE = 1e-9
LEAST_STEP_S = 1e-9


def checked_transition(transition: ArrayLike, states: Sequence[str] | None) -> tuple[Vector, tuple[str, ...]]:
    """A transition matrix, checked.

    Args:
        transition: A row for each state: probabilities of the next one.
        states: Names; None: S0, S1, …

    Returns:
        float64 [S, S], rows scaled to sum to one exactly; the states' names.

    Raises:
        InputError: It is not a transition matrix; with key ("rows", i) or ("states",).
    """
    rows = _as_array(transition, "rows")
    if rows.ndim != 2 or rows.shape[0] != rows.shape[1] or not rows.size:
        raise InputError(
            f"rows has shape {rows.shape}",
            hint="a transition matrix is square: one row and column per state",
            key=("rows",),
        )
    names = tuple(states) if states is not None else tuple(f"S{i}" for i in range(len(rows)))
    if len(names) != len(rows):
        raise InputError(
            f"{len(names)} states ({', '.join(names)}) but {len(rows)} rows",
            hint="name one state per row",
            key=("states",),
        )
    if len(set(names)) != len(names) or {"stationary", "uniform"} & set(names):
        raise InputError(
            f"states {', '.join(names)}",
            key=("states",),
            hint="names differ from each other and from `stationary` and `uniform`",
        )
    for i, row in enumerate(rows):
        place = f"rows[{i}] (state {names[i]})"
        for value in row:
            if not value >= 0:
                raise InputError(
                    f"{place} holds {_decimal(value)}", hint="a probability is between 0 and 1", key=("rows", i)
                )
        if not abs(row.sum() - 1) <= ROW_SUM_TOLERANCE:
            terms = " + ".join(_decimal(value) for value in row)
            raise InputError(
                f"{place} sums to {_decimal(row.sum())} ({terms})",
                hint="a row of a transition matrix holds the probabilities of leaving one state: they sum to 1",
                key=("rows", i),
            )
    rows = rows / rows.sum(axis=1, keepdims=True)
    rows.setflags(write=False)
    return rows, names


def checked_loss(loss: ArrayLike, states: tuple[str, ...]) -> Vector:
    """Loss probabilities, checked.

    Args:
        loss: One probability per state.
        states: Their names, for messages.

    Returns:
        float64 [S], read-only.

    Raises:
        InputError: One is outside 0…1; with key ("loss", i).
    """
    vector = _as_array(loss, "loss")
    if vector.shape != (len(states),):
        raise InputError(
            f"loss has shape {vector.shape} for {len(states)} states",
            hint="one loss probability per state",
            key=("loss",),
        )
    for i, value in enumerate(vector):
        if not 0 <= value <= 1:
            raise InputError(
                f"loss[{i}] (state {states[i]}) is {_decimal(value)}",
                hint="a probability is between 0 and 1",
                key=("loss", i),
            )
    vector.setflags(write=False)
    return vector


def _as_array(values: ArrayLike, key: str) -> Vector:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} is {values!r}", hint="numbers, every row as long as the others", key=(key,)) from None


def check_probability(key: str, value: float) -> None:
    """Check that a value is a probability.

    Args:
        key: Name of the value.
        value: The value.

    Raises:
        InputError: It is not, with key (key,).
    """
    if not 0 <= value <= 1:
        raise InputError(f"{key} {value:g} is not a probability", hint="between 0 and 1", key=(key,))


def check_step_s(step_s: float) -> None:
    """Check a time step. Steps are counted in 64 bits: in shorter ones a trial of some days has too many.

    Args:
        step_s: Seconds per step of a chain.

    Raises:
        InputError: It is not finite, or below a nanosecond, with key ("step_s",).
    """
    if not LEAST_STEP_S <= step_s < float("inf"):
        hint = f"seconds per step, {LEAST_STEP_S:g} or above"
        raise InputError(f"step_s {step_s:g} is not a time step", hint=hint, key=("step_s",))


def cdf(row: Vector) -> list[float]:
    """Cumulative probabilities without the last, so that the next state is ``bisect_right(cdf, u)``.

    From the last possible state on they are exactly one: rounding never opens a way into an impossible one.

    Args:
        row: float64 [S], probabilities that sum to one.

    Returns:
        S - 1 numbers.
    """
    last = int(np.flatnonzero(row)[-1])
    return [x if j < last else 1.0 for j, x in enumerate(accumulate(row.tolist()))][:-1]


def _decimal(value: float) -> str:
    return repr(round(float(value), 12))

"""Context modes: which slices each slice is predicted from (ResiComp, §IV-C, Figs. 6 and 7).

A mode is a boolean matrix (L, L): entry (i, j) is True where slice j is a context of slice i. It is strictly lower
triangular (*recoverability*: slices are decoded in order) and transitively closed (*contextual inheritance*: the
contexts of a context are contexts, since they must be decoded anyway). Slices are counted from 0 in code and from 1 in
messages, as in the paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError, did_you_mean

__all__ = [
    "MODES",
    "DecodingPass",
    "context_matrix",
    "decoding_passes",
    "effective_masks",
    "own_contexts",
    "usable",
    "usable_masks",
]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_RULES: dict[str, Callable[[IntArray, IntArray], Any]] = {  # (i, j) → bool, for j < i
    "LC": lambda i, j: i > j,
    "ISC": lambda i, j: i < j,
    "LMDC": lambda i, j: j % 2 == 0,
    "SLC": lambda i, j: j == 0,
    "TwoLoop": lambda i, j: (j % 2 == 0) | ((i % 2 == 1) & (i >= 3)),
}
_MULTIPLE = re.compile(r"MDC-([1-9]\d{0,5})")

MODES = ("LC", "TwoLoop", "MDC-2", "LMDC", "MDC-3", "MDC-4", "MDC-5", "SLC", "ISC")
"""The paper's nine, from layered (fewest bits) to intra-slice coding (fewest losses), by their number of masks."""

_MASKS_LIMIT = 1 << 20
_TRUTH = {0: False, 1: True}  # False == 0 and True == 1: YAML's own words are keys too


@dataclass(frozen=True)
class DecodingPass:
    """One pass of the Transformer: slices with the same contexts, predicted together.

    Attributes:
        contexts: Slices that the pass reads, counted from 0.
        slices: Slices that it predicts.
    """

    contexts: tuple[int, ...]
    slices: tuple[int, ...]


def context_matrix(mode: str | Sequence[Any], slices: int) -> BoolArray:
    """The context matrix of a mode (Fig. 7).

    Args:
        mode: ``LC`` (layered: all slices before), ``ISC`` (intra-slice: none), ``MDC-n`` (n ≥ 2 descriptions: i ≡ j mod
            n), ``LMDC`` (layered multiple description: j even), ``SLC`` (scalable layered: j = 0), ``TwoLoop`` (j even,
            or i odd and ≥ 3), always with j < i, counted from 0; or the rows of a matrix of 0 and 1.
        slices: L.

    Returns:
        bool (L, L).

    Raises:
        InputError: An unknown mode, no slices, or rows that are not a context matrix of L slices.

    >>> context_matrix("MDC-2", 4).astype(int)
    array([[0, 0, 0, 0],
           [0, 0, 0, 0],
           [1, 0, 0, 0],
           [0, 1, 0, 0]])
    """
    if slices < 1:
        raise InputError(f"{slices} slices", hint="an image has one slice or more")
    if not isinstance(mode, str):
        return own_contexts(mode, slices)
    i, j = np.indices((slices, slices))
    several = _MULTIPLE.fullmatch(mode)
    if several and int(several[1]) >= 2:
        chosen = (i - j) % int(several[1]) == 0
    elif mode in _RULES:
        chosen = _RULES[mode](i, j)
    else:
        hint = f"{did_you_mean(mode, MODES)}, or MDC-n with n of 2 or more, or rows of a matrix"
        raise InputError(f"no context mode `{mode}`", hint=hint)
    return np.asarray(chosen & (j < i), dtype=bool)


def own_contexts(rows: Any, slices: int | None = None) -> BoolArray:
    """Checks a context matrix that a user wrote.

    Args:
        rows: L lists of L entries, each 0 or 1 (or false and true); row i says from which slices slice i is predicted.
        slices: Required L; None: the number of rows.

    Returns:
        bool (L, L).

    Raises:
        InputError: The matrix is not square, an entry is neither 0 nor 1, a slice has itself or a later slice as
            context, or a context of a context is missing. The message names the pair; ``key`` is its 0-based place.

    >>> own_contexts([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    Traceback (most recent call last):
    ...
    netsim.errors.InputError: context matrix: slice 3 is predicted from slice 2, and slice 2 from slice 1, but slice 3
    not from slice 1
      contexts of a context are contexts too: write 1 in row 3, column 1 (counted from 1), or 0 in row 3, column 2
    """
    matrix = _square(rows, slices)
    forward = np.argwhere(np.triu(matrix))
    if len(forward):
        i, j = map(int, forward[0])
        what = "itself" if i == j else f"slice {j + 1}, which comes later"
        raise InputError(
            f"context matrix: slice {i + 1} is predicted from {what}",
            hint=f"only slices before it can be contexts: write 0 in row {i + 1}, column {j + 1} (counted from 1)",
            key=(i, j),
        )
    number = matrix.astype(np.float32)
    broken = np.argwhere((number @ number > 0) & ~matrix)
    if len(broken):
        i, k = map(int, broken[0])
        j = int(np.flatnonzero(matrix[i] & matrix[:, k])[0])
        raise InputError(
            f"context matrix: slice {i + 1} is predicted from slice {j + 1}, and slice {j + 1} from slice {k + 1}, "
            f"but slice {i + 1} not from slice {k + 1}",
            hint=f"contexts of a context are contexts too: write 1 in row {i + 1}, column {k + 1} (counted from 1), "
            f"or 0 in row {i + 1}, column {j + 1}",
            key=(i, k),
        )
    return matrix


def _square(rows: Any, slices: int | None) -> BoolArray:
    wanted = "a list of rows, each a list of as many 0 and 1 as there are slices: [[0, 0], [1, 0]]"
    if isinstance(rows, str) or not isinstance(rows, Sequence | np.ndarray) or not len(rows):
        raise InputError(f"context matrix: {rows!r} is not a matrix", hint=wanted)
    if slices is not None and len(rows) != slices:
        raise InputError(
            f"context matrix: {len(rows)} rows for {slices} slices", hint="one row and one column for each slice"
        )
    for i, row in enumerate(rows):
        if isinstance(row, str) or not isinstance(row, Sequence | np.ndarray):
            raise InputError(f"context matrix: row {i + 1} is {row!r}", hint=wanted, key=(i,))
        if len(row) != len(rows):
            message = f"context matrix: row {i + 1} has {len(row)} entries, and there are {len(rows)} rows"
            raise InputError(message, hint="one row and one column for each slice", key=(i,))
        for j, entry in enumerate(row):
            if not isinstance(entry, int | np.integer | np.bool_) or entry not in _TRUTH:
                message = f"context matrix: {entry!r} in row {i + 1}, column {j + 1} (counted from 1)"
                raise InputError(message, hint="1: is a context, 0: is not", key=(i, j))
    return np.array([[bool(entry) for entry in row] for row in rows], dtype=bool)


def usable(contexts: BoolArray, received: BoolArray) -> BoolArray:
    """Which slices can be decoded: those that arrived together with all their contexts (Algorithm 3).

    Args:
        contexts: bool (L, L), a context matrix; as it is transitively closed, direct contexts are all contexts.
        received: bool (..., L).

    Returns:
        bool (..., L).

    >>> usable(context_matrix("LC", 4), np.array([[True, True, False, True], [False, True, True, True]])).astype(int)
    array([[1, 1, 0, 0],
           [0, 0, 0, 0]])
    """
    received = np.asarray(received, dtype=bool)
    missing = (~received).astype(np.float32) @ contexts.T.astype(np.float32)  # how many contexts: floats go to BLAS
    return np.asarray(received & (missing == 0))


def effective_masks(contexts: BoolArray) -> int:
    """Number of distinct usable masks among the 2^L, the empty one included.

    Exact for every mode and length: the recursion goes slice by slice and counts all beginnings together that leave the
    same later slices decodable.

    Args:
        contexts: bool (L, L), a context matrix.

    >>> [effective_masks(context_matrix(mode, 10)) for mode in ("LC", "MDC-2", "ISC")]
    [11, 36, 1024]
    """
    dependants = [sum(1 << int(i) for i in np.flatnonzero(column)) for column in contexts.T]
    beginnings = {(1 << len(contexts)) - 1: 1}  # bits of slices still decodable → number of usable masks so far
    for number in range(len(contexts)):
        bit = 1 << number
        after: dict[int, int] = {}
        for left, count in beginnings.items():
            branches = (left & ~bit, left & ~bit & ~dependants[number]) if left & bit else (left,)
            for branch in branches:
                after[branch] = after.get(branch, 0) + count
        beginnings = after
    return sum(beginnings.values())


def usable_masks(contexts: BoolArray) -> BoolArray:
    """All distinct usable masks.

    Args:
        contexts: bool (L, L), a context matrix.

    Returns:
        bool (effective_masks, L); the first is empty, the last is full.

    Raises:
        InputError: There are more than 2^20.

    >>> usable_masks(context_matrix("LC", 3)).astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    slices = len(contexts)
    if (count := effective_masks(contexts)) > _MASKS_LIMIT:
        raise InputError(f"{slices} slices with {count:,} usable masks", hint=f"up to {_MASKS_LIMIT:,} are listed")
    masks = np.zeros((1, slices), dtype=bool)
    for number, needed in enumerate(contexts):
        longer = masks[masks[:, needed].all(axis=1)]
        longer[:, number] = True
        masks = np.concatenate([masks, longer])
    return masks


def decoding_passes(contexts: BoolArray, wanted: BoolArray | None = None) -> tuple[DecodingPass, ...]:
    """The passes that decode some slices, in order: slices that share their contexts are predicted in one pass.

    Every context of a pass is decoded in a pass before it (§IV-C, Algorithm 3).

    Args:
        contexts: bool (L, L), a context matrix.
        wanted: bool (L,), the slices to decode, usable ones; None: all. A pass that no wanted slice needs is left out.

    >>> [one.slices for one in decoding_passes(context_matrix("LMDC", 6))]
    [(0,), (1, 2), (3, 4), (5,)]
    """
    found: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(contexts):  # by first slice: contexts of all slices of a pass come before it
        if wanted is None or wanted[number]:
            found.setdefault(tuple(map(int, np.flatnonzero(row))), []).append(number)
    return tuple(DecodingPass(needed, tuple(slices)) for needed, slices in found.items())

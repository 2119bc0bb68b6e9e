"""Numba's compiler, with machine code kept on disk where there is a place for it."""

from __future__ import annotations

from typing import Any

import numba

__all__ = ["compiled"]


def compiled(function: Any) -> Any:
    """The function compiled, without the interpreter's lock.

    The machine code is kept beside the source or in the user's cache folder. Where neither can be written, each
    process compiles it.

    Args:
        function: A Python function within what Numba compiles.

    Returns:
        The compiled function; it is compiled at its first call.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder for the machine code
        return numba.njit(nogil=True)(function)

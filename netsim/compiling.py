"""Numba's compiler, with machine code kept on disk where there is a place for it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from types import CodeType
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

__all__ = ["compiled"]


def compiled(function: Any) -> Any:
    """The function compiled, without the interpreter's lock.

    The machine code is kept beside the source or in the user's cache folder, and compiled anew when the function, or
    one that it calls, or a constant of either has changed. Where neither folder can be written, each process compiles.

    Args:
        function: A Python function within what Numba compiles.

    Returns:
        The compiled function; it is compiled at its first call.
    """
    made: Any = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # no folder for the machine code
        made._cache = _Cache(function)
    return made


class _Cache(FunctionCache):
    """Numba's, which looks at the function's own file only: callees and constants of other files are compiled in."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _digest(self._py_func))


def _digest(function: Any) -> str:
    """Of the code of a function and of all compiled functions and constants that it refers to."""
    made, seen, todo = hashlib.sha256(), set(), [function]
    while todo:
        now = todo.pop()
        if now in seen:
            continue
        seen.add(now)
        made.update(_text(now.__code__).encode())
        for name in now.__code__.co_names:
            value = now.__globals__.get(name)
            if isinstance(value, Dispatcher):
                todo.append(value.py_func)
            elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
                made.update(f"{name}={value!r}\n".encode())
            elif isinstance(value, np.ndarray):
                made.update(f"{name}={value.dtype}{value.shape}\n".encode() + value.tobytes())
    return made.hexdigest()


def _text(code: CodeType) -> str:
    constants = [_text(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return f"{code.co_code!r} {constants} {code.co_names} {code.co_varnames}\n"

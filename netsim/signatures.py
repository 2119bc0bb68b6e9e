"""How functions of plug-ins can be called, and what they return, in words for error messages."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["keyword_only", "kind_of", "method_takes", "raised_at", "signature_text", "takes"]

_SHOWN = 4  # members of a tuple


def takes(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> bool:
    """Whether a function can be called with these arguments.

    Args:
        function: Any callable.
        *arguments: What it would get.
        **keywords: What it would get by name.

    Returns:
        Also true where Python can't tell.

    >>> takes(lambda reference, images: 0, None, None), takes(lambda image: 0, None, None)
    (True, False)
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # functions in C
        return True
    try:
        signature.bind(*arguments, **keywords)
    except TypeError:
        return False
    return True


def method_takes(kind: type, method: str, arguments: int) -> bool:
    """Whether a method of a class, static ones too, can be called with so many arguments on an instance.

    Args:
        kind: The class.
        method: Name of the method.
        arguments: How many, besides the instance.

    Returns:
        Also true where Python can't tell.

    >>> method_takes(bytes, "hex", 0), method_takes(type("A", (), {"one": lambda self: 1}), "one", 1)
    (True, False)
    """
    is_bound = isinstance(inspect.getattr_static(kind, method), staticmethod | classmethod)
    return takes(getattr(kind, method), *[None] * (arguments if is_bound else arguments + 1))


def keyword_only(function: Callable[..., Any]) -> dict[str, Any]:
    """Keyword-only parameters of a function with their defaults.

    Args:
        function: Any callable.

    Returns:
        By name the default, ``inspect.Parameter.empty`` where there is none.

    >>> keyword_only(lambda log, summary, *, channel=None: 0)
    {'channel': None}
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # functions in C
        return {}
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def signature_text(function: Callable[..., Any]) -> str:
    """Name and parameters of a function, without annotations.

    Args:
        function: Any callable.

    Returns:
        As in its definition, on one line.

    >>> def receive(self, uniforms, state, steps: int = 1): ...
    >>> signature_text(receive)
    'receive(self, uniforms, state, steps=1)'
    """
    signature = inspect.signature(function)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    bare = signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    return f"{getattr(function, '__name__', type(function).__name__)}{bare}"


def kind_of(value: Any) -> str:
    """Type of a value; dtype and shape of an array; the kinds of a tuple's members.

    Args:
        value: Any value.

    Returns:
        Words for an error.

    >>> import numpy as np
    >>> kind_of(None), kind_of([b""]), kind_of((True, np.zeros((2, 3))))
    ('None', 'list', '(bool, float64 [2, 3])')
    """
    if isinstance(value, tuple):
        more = ", …" if len(value) > _SHOWN else "," if len(value) == 1 else ""
        return f"({', '.join(map(kind_of, value[:_SHOWN]))}{more})"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        array = f"{value.dtype} {list(value.shape)}" if len(value.shape) else str(value.dtype)
        return array if type(value).__module__ == "numpy" else f"{type(value).__name__} of {array}"
    return "None" if value is None else type(value).__name__


def raised_at(error: BaseException) -> str:
    """File and line that raised an error.

    Args:
        error: An error that was caught.

    Returns:
        Empty if it was never raised.

    >>> raised_at(ValueError("not raised"))
    ''
    """
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""

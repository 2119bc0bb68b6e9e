"""Reads a scenario that is given as Python values: checked, copied, in plain types. Errors quote the value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from netsim.errors import InputError, shortened
from netsim.registry import name_hint
from netsim.yaml_text import DEPTH_LIMIT, VALUES_LIMIT

__all__ = ["plain_value"]

_HOLDS = "texts, numbers, truth values, None, lists and mappings with text keys"
_DIGITS_LIMIT = 50
_KINDS = {"Channel": "channel", "Codec": "codec", "Protection": "protection", "LinkProfile": "link"}
_KIND_OF_KEY = {"metrics": "metric", "channels": "channel", "codecs": "codec", "link": "link", "control": "controller"}


def plain_value(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """A copy of a Python value in the types that a YAML file has.

    Tuples, ranges and arrays become lists, NumPy numbers become numbers, paths become texts, and a channel of
    ``netsim.channels`` becomes what a scenario calls it.

    Args:
        value: Texts, numbers, truth values, None, sequences and mappings, nested.
        path: Place of the value in the scenario, for errors.

    Returns:
        Texts, numbers, truth values, None, lists and dictionaries.

    Raises:
        InputError: A value of another type, or too many or too deep values; ``key`` is its place.

    >>> plain_value({"bpp": (0.2, 0.35), "seed": True})
    {'bpp': [0.2, 0.35], 'seed': True}
    """
    return _Copy().plain(value, path)


class _Copy:
    """Counts the values that are copied."""

    def __init__(self) -> None:
        self.values = 0

    def plain(self, value: Any, path: tuple[str | int, ...]) -> Any:
        self.values += 1
        if self.values > VALUES_LIMIT:
            raise InputError(f"more than {VALUES_LIMIT:,} values", key=path[:1])
        if len(path) > DEPTH_LIMIT:
            raise InputError(f"nested {len(path)} deep", hint=f"at most {DEPTH_LIMIT}", key=path[:1])
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if abs(value) >= 10**_DIGITS_LIMIT:
                raise InputError("a number of too many digits", hint=f"at most {_DIGITS_LIMIT}", key=path)
            return int(value)
        if isinstance(value, float):
            return float(value)
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, PurePath):
            return self.text(str(value), path)
        if isinstance(value, Mapping):
            return {self.key(key, path): self.plain(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple | range):
            if len(value) > VALUES_LIMIT:
                raise InputError(f"{len(value):,} values", hint=f"at most {VALUES_LIMIT:,}", key=path)
            return [self.plain(inner, (*path, i)) for i, inner in enumerate(value)]
        if callable(getattr(value, "tolist", None)) and not isinstance(value, type):  # NumPy, pandas
            return self.plain(value.tolist(), path)
        written = getattr(value, "written", None)  # a channel as a scenario calls it
        if written is not None:
            return self.plain(written, path)
        raise InputError(f"{shortened(repr(value), 80)} is a {type(value).__name__}", hint=_hint(value, path), key=path)

    def key(self, key: Any, path: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            raise InputError(f"a key that is not text: {shortened(repr(key), 80)}", hint=_HOLDS, key=path)
        return self.text(key, path)

    def text(self, value: str, path: tuple[str | int, ...]) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            message = f"{shortened(ascii(value), 80)} holds half a surrogate pair"
            raise InputError(message, hint="a text of whole characters", key=path) from None
        return str.__str__(value)


def _hint(value: Any, path: tuple[str | int, ...]) -> str:
    """What a scenario may hold; for a plug-in, its name or how it gets one."""
    for parent in value.__mro__ if isinstance(value, type) else type(value).__mro__:
        kind = _KINDS.get(parent.__name__)
        if kind and parent.__module__.startswith("netsim."):
            if isinstance(value, type):
                return name_hint(kind, value)
            return f'{_HOLDS}; give a {kind} of your own a name: netsim.register("{kind}")'
    if callable(value) and path and path[0] in _KIND_OF_KEY:
        return name_hint("protection" if "protection" in path else _KIND_OF_KEY[str(path[0])], value)
    return _HOLDS

"""Plug-ins by entry point, in the groups ``netsim.codecs``, ``.channels``, ``.controllers`` and ``.metrics``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from netsim.errors import InputError, did_you_mean

__all__ = ["entry_module", "load_plugin", "plugin_names"]


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def plugin_names(group: str) -> list[str]:
    """Names registered under an entry-point group, sorted; imports none of them."""
    return sorted(_group(group))


def load_plugin(group: str, name: str) -> Any:
    """The object that ``name`` stands for in ``group``.

    Raises InputError (with the nearest known name) if there is none.
    """
    points = _group(group)
    if name not in points:
        kind = group.rpartition(".")[2].removesuffix("s")
        raise InputError(f"unknown {kind} `{name}`", hint=did_you_mean(name, points))
    return points[name].load()


def entry_module(group: str, name: str) -> tuple[str, ...]:
    """The module that the entry point of a plug-in names; empty if there is no such entry point."""
    point = _group(group).get(name)
    return (point.module,) if point is not None else ()

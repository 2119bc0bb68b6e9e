"""Plug-ins by entry point, in the groups ``netsim.codecs``, ``.channels``, ``.controllers`` and ``.metrics``."""

from __future__ import annotations

import re
import traceback
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

    Raises:
        InputError: There is none (the nearest known name is the hint), or it can't be imported: the plug-in's fault, or
            a package that it needs is not installed.
    """
    points = _group(group)
    kind = group.rpartition(".")[2].removesuffix("s")
    if name not in points:
        raise InputError(f"unknown {kind} `{name}`", hint=did_you_mean(name, points))
    try:
        return points[name].load()
    except (Exception, SystemExit) as error:  # a plug-in's module may raise anything
        words = " ".join(str(error).split())
        message = f"{kind} `{name}` can't be imported: {type(error).__name__}: {words}"
        raise InputError(message, hint=_way_out(points[name], error)) from error


def _way_out(point: EntryPoint, error: BaseException) -> str:
    """The package to install if one is missing, else where the plug-in's module breaks."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name.partition(".")[0]
        for needed in (point.dist.requires or []) if point.dist else []:
            extra = re.fullmatch(rf"{re.escape(missing)}\b.*extra == [\"'](\w+)[\"'].*", needed)
            if extra and point.dist:
                return f'`{point.value}` needs {missing}: pip install "{point.dist.name}[{extra[1]}]"'
        return f"`{point.value}` needs {missing}: install it"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"`{point.value}`, raised in {frame.filename}, line {frame.lineno}"


def entry_module(group: str, name: str) -> tuple[str, ...]:
    """The module that the entry point of a plug-in names; empty if there is no such entry point."""
    point = _group(group).get(name)
    return (point.module,) if point is not None else ()

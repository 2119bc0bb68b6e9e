"""The forms in which a scenario names a controller: netsim's own, and plug-ins (``netsim.registry``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netsim.control.base import Controller, ControllerFactory
from netsim.control.fixed import fixed
from netsim.control.previous_interval import previous_interval
from netsim.errors import InputError
from netsim.protection.base import Protection
from netsim.registry import load_plugin, plugin_names, unknown_hint

__all__ = ["built_in_names", "controller_from_spec", "controller_names"]

_BUILT_IN: dict[str, ControllerFactory] = {"fixed": fixed, "previous-interval": previous_interval}


def built_in_names() -> list[str]:
    """Names of netsim's own controllers."""
    return list(_BUILT_IN)


def controller_names() -> list[str]:
    """Names of all controllers, built in and installed."""
    return sorted({*_BUILT_IN, *plugin_names("controller")})


def controller_from_spec(spec: Any, protections: Sequence[Protection]) -> Controller:
    """The controller that a scenario names.

    Args:
        spec: None (``fixed``), a name, or a name with its settings.
        protections: The protections that it chooses among, in the scenario's order, at least one.

    Raises:
        InputError: A faulty specification; ``key`` is relative to ``spec``.

    >>> from netsim.protection.spec import protection_from_spec
    >>> choices = [protection_from_spec(s) for s in ("none", {"reed-solomon": "30%"})]
    >>> controller_from_spec({"previous-interval": {"factor": 2}}, choices).name
    'previous-interval 2×'
    """
    if spec is None:
        spec = "fixed"
    if isinstance(spec, str):
        spec = {spec: None}
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise InputError(f"control {spec!r} is not one controller", hint="write `previous-interval: {factor: 2}`")
    name, settings = next(iter(spec.items()))
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        message = f"control {name}: {settings!r} is not a list of settings"
        raise InputError(message, hint=f"write `{name}: {{…}}`", key=(name,))
    if name not in controller_names():
        hint = unknown_hint("controller", name, controller_names())
        raise InputError(f"unknown controller `{name}`", hint=hint, key=(name,))
    factory: ControllerFactory = _BUILT_IN[name] if name in _BUILT_IN else load_plugin("controller", name)
    try:
        return factory(settings, protections)
    except InputError as error:
        raise InputError(f"control {name}: {error.message}", hint=error.hint, key=(name, *error.key)) from None

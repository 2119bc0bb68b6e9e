"""The forms in which a scenario names a controller: netsim's own, and plug-ins (``netsim.registry``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netsim.control.base import Controller, ControllerFactory
from netsim.control.fixed import fixed
from netsim.control.previous_interval import previous_interval
from netsim.errors import InputError, noting
from netsim.links.packets import Report
from netsim.protection.base import Protection
from netsim.registry import load_plugin, plugin_names, unknown_hint
from netsim.signatures import kind_of, signature_text, takes

__all__ = ["built_in_names", "chosen", "controller_from_spec", "controller_names"]

_BUILT_IN: dict[str, ControllerFactory] = {"fixed": fixed, "previous-interval": previous_interval}


def built_in_names() -> list[str]:
    """Names of netsim's own controllers.

    Returns:
        In the order of their definition.
    """
    return list(_BUILT_IN)


def controller_names() -> list[str]:
    """Names of all controllers, built in and installed.

    Returns:
        netsim's own first.
    """
    return sorted({*_BUILT_IN, *plugin_names("controller")})


def controller_from_spec(spec: Any, protections: Sequence[Protection]) -> Controller:
    """The controller that a scenario names.

    Args:
        spec: None (``fixed``), a name, or a name with its settings.
        protections: The protections that it chooses among, in the scenario's order, at least one.

    Returns:
        The controller; each trial gets a copy.

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
    if not takes(factory, settings, protections):
        message = f"controller `{name}` can't be called as netsim calls it: {signature_text(factory)}"
        raise InputError(message, hint="__init__(self, settings, protections), or a function of both", key=(name,))
    try:
        made = factory(settings, protections)
    except InputError as error:
        raise InputError(f"control {name}: {error.message}", hint=error.hint, key=(name, *error.key)) from None
    _check_made(name, made)
    return made


def _check_made(name: str, made: Any) -> None:
    called = getattr(made, "name", None)
    if not isinstance(called, str) or not called.strip():
        has = "has no attribute `name`" if called is None else f"has the name {called!r}"
        message = f"controller `{name}`: {kind_of(made)} {has}"
        raise InputError(message, hint=f'name = "{name}", as in logs', key=(name,))
    choose = getattr(made, "choose", None)
    if not callable(choose) or not takes(choose, 0, ()):
        has = f"can't be called as netsim calls it: {signature_text(choose)}" if callable(choose) else "is missing"
        message = f"controller `{name}`: `choose` of {kind_of(made)} {has}"
        raise InputError(message, hint="def choose(self, slot, reports)", key=(name,))


def chosen(controller: Controller, slot: int, reports: Sequence[Report], count: int) -> int:
    """``controller.choose(slot, reports)``.

    Args:
        controller: The controller.
        slot: Number of the slot.
        reports: The reports that have reached the sender.
        count: Number of choices.

    Returns:
        Index of the choice.

    Raises:
        InputError: The controller returns anything else.
    """
    with noting(f"choose of controller `{controller.name}`, slot {slot}"):
        choice: Any = controller.choose(slot, reports)
    if not isinstance(choice, int | np.integer) or not 0 <= choice < count:
        message = f"controller `{controller.name}`: choose returns {choice!r} for slot {slot}"
        raise InputError(message, hint=f"a whole number from 0 to {count - 1}: the index of a choice")
    return int(choice)

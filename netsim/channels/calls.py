"""What a channel of somebody else's is and returns, checked where it enters netsim.

Each mistake is one sentence that names the channel. The checks look at names, types, dtypes and shapes alone;
``netsim check-channel`` tries what the contract says.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.errors import InputError, did_you_mean
from netsim.signatures import kind_of, raised_at, signature_text, takes

__all__ = ["ChannelFault", "check_channel_maker", "made_channel", "received_packet", "received_packets"]

BoolArray = NDArray[np.bool_]

_ARGUMENTS = {"initial_state": 1, "enter_slot": 2, "receive_one": 4, "receive": 3}
_BESIDE = ("name", "step_s")  # keys of every channel


class ChannelFault(InputError):
    """A channel returns what it should not, while packets are sent: its entry is to blame, not the codec's."""


def received_packets(channel: Channel, uniforms: NDArray[np.float64], state: Any, steps: Any = 1) -> tuple[Any, Any]:
    """``channel.receive(uniforms, state, steps)``.

    Args:
        channel: The channel.
        uniforms: For the transition and the loss of each packet, float64 [n, 2].
        state: State before the first packet.
        steps: Steps before each packet, int or int [n].

    Returns:
        The mask, bool [n], and the state after the last packet.

    Raises:
        ChannelFault: The channel returns anything else.
    """
    returned: Any = channel.receive(uniforms, state, steps)
    if isinstance(returned, tuple) and len(returned) == 2:
        received = returned[0]
        if isinstance(received, np.ndarray) and received.dtype == np.bool_ and received.shape == (len(uniforms),):
            return returned
    count = f"{len(uniforms)} packet{'s' if len(uniforms) != 1 else ''}"
    hint = f"(mask, state): the mask is a bool array of shape [{len(uniforms)}], True = received"
    raise ChannelFault(f"{_of(channel)}.receive returns {kind_of(returned)} for {count}", hint=hint)


def received_packet(channel: Channel, u_step: float, u_loss: float, state: Any, steps: int = 1) -> tuple[bool, Any]:
    """``channel.receive_one(u_step, u_loss, state, steps)``.

    Args:
        channel: The channel.
        u_step: A uniform in [0, 1) for the transition.
        u_loss: A uniform in [0, 1) for the loss.
        state: State before the packet.
        steps: Steps since the packet before.

    Returns:
        Whether the packet is received, and the state after it.

    Raises:
        ChannelFault: The channel returns anything else.
    """
    returned: Any = channel.receive_one(u_step, u_loss, state, steps)
    if isinstance(returned, tuple) and len(returned) == 2:
        received = returned[0]
        if received is True or received is False or isinstance(received, np.bool_):  # ``is`` is the fastest: per packet
            return returned
    hint = "(received, state): received is True or False"
    raise ChannelFault(f"{_of(channel)}.receive_one returns {kind_of(returned)}", hint=hint)


def check_channel_maker(name: str, maker: Any) -> None:
    """Check what a scenario calls to make a channel.

    Args:
        name: As in a scenario.
        maker: A class or a function.

    Raises:
        InputError: A class that is not a channel, or one that lacks a method.
    """
    if not isinstance(maker, type):
        return
    if not issubclass(maker, Channel):
        hint = "a subclass of netsim.Channel, or a function that returns a channel"
        raise InputError(f"channel `{name}` is the class {maker.__name__}, which is not a channel", hint=hint)
    missing = [method for method in _ARGUMENTS if method in maker.__abstractmethods__]
    if missing:
        message = f"channel `{name}`: {maker.__name__} has no method `{missing[0]}`"
        raise InputError(message, hint=f"def {signature_text(getattr(Channel, missing[0]))}")


def made_channel(name: str, maker: Callable[..., Any], parameters: Mapping[str, Any]) -> Channel:
    """The channel that a plug-in makes of its parameters.

    Args:
        name: As in a scenario.
        maker: The plug-in, a class or a function.
        parameters: As in a scenario.

    Returns:
        The channel.

    Raises:
        InputError: A parameter is unknown, missing or refused, or the plug-in makes anything else; ``key`` is the place
            below the channel.
    """
    check_channel_maker(name, maker)
    _check_parameters(name, maker, parameters)
    try:
        channel = maker(**parameters)
    except InputError as error:
        raise InputError(error.message, where=error.where, hint=error.hint, key=(name, *error.key)) from None
    except (TypeError, ValueError) as error:
        if not parameters:  # no value of the scenario's: the plug-in's own fault
            raise
        key = _blamed(str(error), parameters)
        shown = f"{key}: {parameters[key]!r}" if key else repr(dict(parameters))
        message = f"channel `{name}` refuses {shown} ({type(error).__name__}: {error})"
        raise InputError(message, hint=f"raised in {raised_at(error)}", key=(name, key) if key else (name,)) from error
    _check_made(name, maker, channel)
    return channel


def _check_parameters(name: str, maker: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
    try:
        known = inspect.signature(maker).parameters.values()
    except ValueError:  # a function in C
        return
    keys = [one.name for one in known if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    unknown = (
        [] if any(one.kind is one.VAR_KEYWORD for one in known) else [key for key in parameters if key not in keys]
    )
    if unknown and unknown[0] in _BESIDE:
        key = unknown[0]
        hint = f"`{key}` stands beside `{name}`: {{{name}: {{…}}, {key}: {parameters[key]}}}"
        raise InputError(f"channel `{name}` has no parameter `{key}`", hint=hint, key=(name, key))
    if unknown:
        hint = did_you_mean(str(unknown[0]), keys) if keys else f"`{name}` takes no parameters"
        raise InputError(f"channel `{name}` has no parameter `{unknown[0]}`", hint=hint, key=(name, unknown[0]))
    needed = [one.name for one in known if one.name in keys and one.default is one.empty]
    missing = [key for key in needed if key not in parameters]
    if missing:
        hint = f"{{{name}: {{{', '.join(f'{key}: …' for key in needed)}}}}}"
        raise InputError(f"channel `{name}` needs `{missing[0]}`", hint=hint, key=(name,))


def _blamed(words: str, parameters: Mapping[str, Any]) -> str:
    """The parameter that an error is about: the only one, or the only one that its words mention; else none."""
    named = [key for key in parameters if re.search(rf"\b{re.escape(key)}\b", words)]
    return next((keys[0] for keys in ([*parameters], named) if len(keys) == 1), "")


def _check_made(name: str, maker: Callable[..., Any], channel: Any) -> None:
    if not isinstance(channel, Channel):
        hint = "a channel plug-in is a subclass of netsim.Channel, or a function that returns an instance of one"
        raise InputError(f"channel `{name}`: {_called(maker)} returns {kind_of(channel)}, not a channel", hint=hint)
    kind = type(channel).__name__
    called = getattr(channel, "name", None)
    if not isinstance(called, str) or not called.strip():
        hint = f'self.name = "…" in __init__, or the class attribute name = "{name}": the name in logs and figures'
        message = f"channel `{name}`: {kind} has no attribute `name`" if called is None else ""
        raise InputError(message or f"channel `{name}`: the name of {kind} is {called!r}", hint=hint)
    for method, arguments in _ARGUMENTS.items():
        if not takes(getattr(channel, method), *[None] * arguments):
            message = f"channel `{name}` can't be called as netsim calls it: {kind}.{_written(channel, method)}"
            raise InputError(message, hint=f"def {signature_text(getattr(Channel, method))}")
    rate = inspect.getattr_static(channel, "loss_rate", None)
    is_rate = isinstance(rate, int | float | np.number) and 0 <= rate <= 1
    if not (is_rate or rate is None or isinstance(rate, property | cached_property)):
        shown = "a method" if callable(rate) else repr(rate)
        hint = "a number from 0 to 1, or a property; leave it out where it is not known"
        raise InputError(f"channel `{name}`: loss_rate of {kind} is {shown}", hint=hint)
    step_s: Any = channel.step_s
    if not (step_s is None or (isinstance(step_s, int | float | np.number) and 0 < step_s < float("inf"))):
        message = f"channel `{name}`: step_s of {kind} is {step_s!r}"
        raise InputError(message, hint="seconds per step, above 0; None: a step per packet")


def _called(maker: Callable[..., Any]) -> str:
    return getattr(maker, "__name__", type(maker).__name__)


def _written(channel: Channel, method: str) -> str:
    """The method as its author wrote it, ``self`` included."""
    function = getattr(type(channel), method, None) or getattr(channel, method)
    return signature_text(function)


def _of(channel: Channel) -> str:
    return f"channel `{channel.name}`: {type(channel).__name__}"

"""What a protection is and returns, checked where it enters netsim: each mistake is one sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netsim.codec import Packet, Stream
from netsim.errors import InputError, noting
from netsim.protection.base import ProtectedStream, Protection
from netsim.signatures import kind_of, signature_text, takes

__all__ = ["check_recovery", "made_protection", "protected_stream"]


def made_protection(name: str, maker: Callable[..., Any], settings: Any) -> Protection:
    """The protection that a plug-in makes of its settings.

    Args:
        name: As in a scenario.
        maker: The plug-in, a class or a function.
        settings: As in a scenario; None: there are none.

    Returns:
        The protection.

    Raises:
        InputError: It can't be called with its settings, it makes no protection, or one without a name or a method.
    """
    if not takes(maker, settings):
        hint = "__init__(self, settings), or a function (settings)"
        raise InputError(f"it can't be called with its settings: {signature_text(maker)}", hint=hint)
    if missing := sorted(getattr(maker, "__abstractmethods__", ())):
        message = f"{signature_text(maker).partition('(')[0]} has no method `{missing[0]}`"
        raise InputError(message, hint=f"def {signature_text(getattr(Protection, missing[0]))}")
    made = maker(settings)
    if not isinstance(made, Protection):
        hint = "a protection plug-in is a subclass of netsim.Protection, or a function that returns an instance of one"
        raise InputError(f"it makes {kind_of(made)}, not a protection", hint=hint)
    called: Any = getattr(made, "name", None)
    if not isinstance(called, str) or not called.strip():
        raise InputError(f"the name of {type(made).__name__} is {called!r}", hint=f'name = "{name}", as in logs')
    return made


def protected_stream(protection: Protection, stream: Stream) -> ProtectedStream:
    """``protection.protect(stream)``.

    Args:
        protection: The protection.
        stream: The codec's stream.

    Returns:
        What is sent.

    Raises:
        InputError: The protection returns anything else.
    """
    with noting(f"protect of protection `{protection.name}`"):
        made: Any = protection.protect(stream)
    if not isinstance(made, ProtectedStream):
        hint = "a subclass of netsim.protection.base.ProtectedStream"
        raise InputError(f"protection `{protection.name}`: protect returns {kind_of(made)}", hint=hint)
    sent: Any = getattr(made, "sent", None)
    if not isinstance(sent, Stream) or not all(isinstance(one, Packet) for one in sent.packets):
        hint = "super().__init__(data, sent), two netsim.Stream of netsim.Packet"
        raise InputError(f"protection `{protection.name}`: what is sent is {kind_of(sent)}", hint=hint)
    if tuple(sent.packets[: len(stream)]) != tuple(stream.packets):
        hint = "first the data packets, unchanged and in order, then those that the protection adds"
        raise InputError(
            f"protection `{protection.name}`: what is sent does not begin with the data packets", hint=hint
        )
    with noting(f"recover of protection `{protection.name}`"):
        recovered: Any = made.recover(np.ones((1, len(sent)), dtype=bool))
    is_mask = isinstance(recovered, np.ndarray) and recovered.dtype == np.bool_
    if not is_mask or recovered.shape != (1, len(stream)):
        message = f"protection `{protection.name}`: recover returns {kind_of(recovered)} for bool {[1, len(sent)]}"
        raise InputError(message, hint=f"bool [..., {len(stream)}]: which data packets are available")
    return made


def check_recovery(protection: Protection, protected: ProtectedStream) -> None:
    """Really decode the parity once: with as many packets missing, from the first on, as it may lose.

    Args:
        protection: The protection.
        protected: A stream under it.

    Raises:
        InputError: Other bytes come out than were sent.
    """
    received = np.ones(len(protected.sent), dtype=bool)
    for packet in np.flatnonzero(~protected.sent.protected):
        received[packet] = False
        if not protected.recover(received).all():
            received[packet] = True
            break
    if not received.all():
        data = [packet.payload for packet in protected.data.packets]
        with noting(f"recovered_payloads of protection `{protection.name}`"):
            recovered: Any = protected.recovered_payloads(received)
        if not isinstance(recovered, list) or recovered != data:
            lost = ", ".join(str(packet) for packet in np.flatnonzero(~received))
            message = f"protection `{protection.name}`: recovered_payloads gives other bytes than were sent"
            raise InputError(message, hint=f"without packet {lost} it must give the {len(data)} data packets' payloads")

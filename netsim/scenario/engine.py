"""Whether the engine that a scenario asks for has an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netsim.channels.spec import channel_from_spec
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.links.profile import link_from_spec
from netsim.protection.spec import protection_from_spec

__all__ = ["check_engine"]


def check_engine(asked: str, channel: Any, link: Any, control: Any, protections: Iterable[Any]) -> None:
    """Raises InputError where the asked engine can't answer a condition.

    channel, link, control, protections: as the scenario writes them.
    """
    if asked in ("array", "exact") and control is not None:
        raise InputError(f"engine {asked} with a controller: feedback needs time", hint="engine: event")
    again = [one for one in map(protection_from_spec, protections) if one.arq is not None]
    if asked not in ("auto", "event") and again:
        message = f"engine {asked} with {again[0].name}: what is sent again depends on what was lost, and takes time"
        raise InputError(message, hint="engine: auto, which simulates these schemes by events, or event for all")
    if asked == "exact":
        reason = why_not_exact(channel_from_spec(channel), link_from_spec(link))
        if reason:
            raise InputError(f"the exact engine has no answer: {reason}", hint="engine: auto, array or event")

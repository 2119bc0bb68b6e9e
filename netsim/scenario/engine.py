"""Whether the engine that a scenario asks for has an answer."""

from __future__ import annotations

from typing import Any

from netsim.channels.spec import channel_from_spec
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.links.profile import link_from_spec

__all__ = ["check_engine"]


def check_engine(asked: str, channel: Any, link: Any, control: Any) -> None:
    """Raises InputError where the asked engine can't answer a condition (specs of channel, link and control)."""
    if asked in ("array", "exact") and control is not None:
        raise InputError(f"engine {asked} with a controller: feedback needs time", hint="engine: event")
    if asked == "exact":
        reason = why_not_exact(channel_from_spec(channel), link_from_spec(link))
        if reason:
            raise InputError(f"the exact engine has no answer: {reason}", hint="engine: auto, array or event")

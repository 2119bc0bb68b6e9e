"""Which engine can answer a row of a plan, and why not: the one place that says so."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.channels.base import Channel
from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.links.profile import LinkProfile
from netsim.protection.base import Protection
from netsim.scenario.schema import ENGINES

__all__ = ["Condition", "check_engine", "why_not"]


@dataclass(frozen=True)
class Condition:
    """What of a plan row decides which engines can answer it.

    controlled: a controller chooses from slot to slot. to_precision: sampled until a stated precision is reached.
    """

    channel: Channel
    link: LinkProfile
    protections: tuple[Protection, ...]
    controlled: bool = False
    to_precision: bool = False


def why_not(engine: str, condition: Condition) -> str:
    """Why an engine can't answer a condition.

    Args:
        engine: One of ``ENGINES``. ``auto`` takes an engine that can, and ``event`` can answer everything.
        condition: What is asked.

    Returns:
        A clause; empty if the engine can answer.
    """
    if engine in ("auto", "event"):
        return ""
    if condition.controlled:
        return "a controller chooses from what was received, and its reports take time"
    again = [one.name for one in condition.protections if one.arq is not None]
    if again:
        return f"under {again[0]} what is sent again depends on what was lost, and takes time"
    if engine == "array":
        return ""
    if engine == "stratified" and condition.to_precision:
        return "it takes a fixed number of draws (`trials`) and does not sample on to a `precision`"
    return why_not_exact(condition.channel, condition.link)


def check_engine(engine: str, condition: Condition) -> None:
    """Raise InputError if an engine can't answer a condition; the hint names those that can."""
    reason = why_not(engine, condition)
    if reason:
        able = [name for name in ENGINES if not why_not(name, condition)]
        raise InputError(f"engine {engine} has no answer: {reason}", hint=f"engine: {' or '.join(able)}")

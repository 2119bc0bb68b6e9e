"""Which engine can answer a row of a plan, and why not: the one place that says so."""

from __future__ import annotations

from netsim.engines.exact import why_not_exact
from netsim.errors import InputError
from netsim.scenario.plan import PlanRow
from netsim.scenario.schema import ENGINES

__all__ = ["check_engine", "why_not"]


def why_not(engine: str, row: PlanRow, to_precision: bool = False) -> str:
    """Why an engine can't answer a row.

    Args:
        engine: One of ``ENGINES``. ``auto`` takes an engine that can, and ``event`` can answer everything.
        row: What is asked.
        to_precision: Whether trials are added until a stated precision is reached.

    Returns:
        A clause; empty if the engine can answer.
    """
    if engine in ("auto", "event"):
        return ""
    if row.control is not None:
        return "a controller chooses from what was received, and its reports take time"
    again = [scheme.protection_name for scheme in row.schemes if scheme.protection.arq is not None]
    if again:
        return f"under {again[0]} what is sent again depends on what was lost, and takes time"
    if engine == "array":
        return ""
    if engine == "stratified" and to_precision:
        return "it takes a fixed number of draws (`trials`) and does not sample on to a `precision`"
    return why_not_exact(row.channel, row.link)


def check_engine(engine: str, row: PlanRow, to_precision: bool = False) -> None:
    """Check that an engine can answer a row.

    Args:
        engine: Name of the engine.
        row: The row.
        to_precision: Whether trials go on until a precision is reached.

    Raises:
        InputError: It can't; the hint names the engines that can.
    """
    reason = why_not(engine, row, to_precision)
    if reason:
        able = [name for name in ENGINES if not why_not(name, row, to_precision)]
        raise InputError(f"engine {engine} has no answer: {reason}", hint=f"engine: {' or '.join(able)}")

"""The JSON file of ``irtt client -o FILE`` (Isochronous Round-Trip Tester)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netsim.channels.traces.files import check_packets, read_bytes
from netsim.channels.traces.model import Recording, Trace, TraceOptions
from netsim.errors import InputError

__all__ = ["read_irtt"]

_JSON_LIMIT_BYTES = 128 * 2**20  # as Python objects, some ten times that
_LATEST_NS = 2**63  # a clock of irtt has 64 bits
_STATES = ("false", "true", "true_up", "true_down")


def read_irtt(path: Path, options: TraceOptions) -> Trace:
    """The round trips of a file as one recording.

    ``direction`` says which loss counts: ``round-trip`` (request or reply); ``up`` (the request); ``down`` (the
    reply, among requests that arrived). irtt tells up from down only where the server counts what it receives.

    Args:
        path: The file, plain or packed with gzip.
        options: ``direction`` counts, and must be given.

    Returns:
        The trace, of one recording labelled with the direction.

    Raises:
        InputError: No direction; not such a file; a direction that irtt did not tell.
    """
    content = read_bytes(path, _JSON_LIMIT_BYTES)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"trace {path} is not JSON", hint="the file of `irtt client -o FILE`") from None
    trips = data.get("round_trips") if isinstance(data, Mapping) else None
    if not isinstance(trips, list) or not trips:
        raise InputError(f"trace {path} has no round_trips", hint="the file of `irtt client -o FILE`")
    states, times_s = [], []
    for i, trip in enumerate(trips):
        where = f"{path}  round_trips[{i}]"
        state = trip.get("lost") if isinstance(trip, Mapping) else None
        if state not in _STATES:
            raise InputError(f"lost is {state!r}", where=where, hint=f"one of {', '.join(_STATES)}")
        if trip.get("seqno", i) != i:
            raise InputError(f"seqno {trip['seqno']!r} where {i} comes next", where=where)
        states.append(state)
        times_s.append(_sent_s(trip))
    if not options.direction:
        counts = ", ".join(f"{states.count(state):,} {state}" for state in _STATES if state in states)
        hint = f"lost: {counts}\ngive --direction round-trip, up or down"
        raise InputError(f"trace {path} holds losses of both directions", hint=hint, key=("direction",))
    statuses = np.array(states)
    if options.direction != "round-trip" and (statuses == "true").any():
        hint = "the server must count what it receives (`irtt server --stats=…`); or --direction round-trip"
        raise InputError(f"trace {path} does not tell losses up from losses down", hint=hint, key=("direction",))
    times = np.array(times_s)
    if options.direction == "down":
        arrived = statuses != "true_up"
        statuses, times = statuses[arrived], times[arrived]
    received = statuses == "false" if options.direction == "round-trip" else statuses != f"true_{options.direction}"
    if not len(received):
        raise InputError(f"trace {path}: no request arrived", hint="--direction up")
    check_packets(path, len(received))
    known = times if np.isfinite(times).any() else None
    return Trace(path, "irtt", (Recording(options.direction, received, known),))


def _sent_s(trip: Mapping[str, Any]) -> float:
    """When the client sent, by its monotonic clock; NaN where the file does not say."""
    place: Any = trip
    for key in ("timestamps", "client", "send", "monotonic"):
        place = place.get(key) if isinstance(place, Mapping) else None
    if not isinstance(place, int | float) or isinstance(place, bool) or not abs(place) < _LATEST_NS:
        return float("nan")
    return place * 1e-9

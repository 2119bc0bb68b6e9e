"""What makes two schemes of a plan the same, and labels that tell different ones apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netsim.errors import InputError
from netsim.protection.base import Protection
from netsim.protection.reed_solomon import ReedSolomon
from netsim.scenario.document import Document, KeyPath
from netsim.scenario.plan import PlanRow, Scheme

__all__ = ["Placed", "adds_nothing", "curve_identity", "refuse_twins", "scheme_identity", "with_unique_labels"]


@dataclass(frozen=True)
class Placed:
    """An entry of a scenario's grid. places: where it stands, from the whole entry to the finest part that names it.

    Two entries with equal identities are twins. called: the entry in words, for messages.
    """

    identity: str
    places: tuple[KeyPath, ...]
    called: str


def curve_identity(scheme: Scheme) -> str:
    """Everything that decides what a scheme sends and shows, but for the operating point.

    Args:
        scheme: The scheme.

    Returns:
        A text that equal schemes share.
    """
    return _curve_identity(scheme, scheme.protection_name)


def _curve_identity(scheme: Scheme, protection: str) -> str:
    codec = scheme.codec
    return json.dumps([codec.name, codec.settings, protection], sort_keys=True, default=str)


def adds_nothing(protection: Protection) -> bool:
    """Whether a protection is one in name alone: an erasure code without parity sends what `none` sends.

    Args:
        protection: The protection.

    Returns:
        True for `reed-solomon: 0%` and codes (n, n).
    """
    return isinstance(protection, ReedSolomon) and protection.share == 0


def scheme_identity(scheme: Scheme) -> str:
    """Everything that decides what a scheme sends and shows; a protection that adds nothing counts as none.

    Args:
        scheme: The scheme.

    Returns:
        A text that equal schemes share.
    """
    curve = _curve_identity(scheme, "none" if adds_nothing(scheme.protection) else scheme.protection_name)
    return json.dumps([curve, scheme.point.key, scheme.point.value])


def refuse_twins(document: Document, entries: Iterable[Placed], way_out: str = "leave one out") -> None:
    """Refuses two entries that are the same: they would meet the same losses and count as independent.

    The message names both places, as finely as they differ.

    Args:
        document: The scenario, for the places.
        entries: Entries with their identity, name and places, in the scenario's order.
        way_out: What the message advises.

    Raises:
        InputError: Two entries have the same identity.
    """
    seen: dict[str, Placed] = {}
    for entry in entries:
        first = seen.setdefault(entry.identity, entry)
        if first is entry:
            continue
        pairs = zip(first.places, entry.places, strict=False)
        before, here = next((pair for pair in pairs if pair[0] != pair[1]), (first.places[0], entry.places[0]))
        hint = f"the first stands at {document.where(before)}: {way_out}"
        raise InputError(f"{entry.called} is listed twice", where=document.where(here), hint=hint)


def with_unique_labels(rows: Sequence[PlanRow]) -> tuple[PlanRow, ...]:
    """The rows with labels that differ wherever the curves differ; a label that is unique already stays as it is.

    What is added is each setting in which curves of one label differ, as it is written: ``jpeg packets=2``.

    Args:
        rows: Rows of a plan.

    Returns:
        The rows in the same order, with ``distinction`` set where it is needed.
    """
    schemes = {curve_identity(scheme): scheme for row in rows for scheme in row.schemes}
    added = _distinctions({key: (scheme.label, _traits(scheme)) for key, scheme in schemes.items()})
    named = [
        replace(row, schemes=tuple(replace(one, distinction=added[curve_identity(one)]) for one in row.schemes))
        for row in rows
    ]
    controlled = {_row_identity(row): row for row in named if row.control is not None}
    known = {scheme.label for row in named for scheme in row.schemes}
    further = _distinctions({key: (row.label, _row_traits(row)) for key, row in controlled.items()}, known)
    return tuple(row if row.control is None else replace(row, distinction=further[_row_identity(row)]) for row in named)


def _row_identity(row: PlanRow) -> str:
    control = row.control.identity if row.control is not None else ""
    return json.dumps([[curve_identity(one) for one in row.schemes], control])


Traits = dict[str, str]


def _traits(scheme: Scheme) -> Traits:
    return {key: str(value) for key, value in scheme.asked or scheme.codec.settings}


def _row_traits(row: PlanRow) -> Traits:
    """What a controlled row's label may add: its choices where these differ, and the controller's settings."""
    choices = " | ".join(scheme.label for scheme in row.schemes)
    return {"choices": f"({choices})"} | dict(row.control.settings if row.control is not None else ())


def _distinctions(curves: dict[str, tuple[str, Traits]], taken: Iterable[str] = ()) -> dict[str, str]:
    """What each curve's label needs to be unique; curves: by identity, its label and its traits."""
    by_label: dict[str, list[str]] = {}
    for key, (label, _) in curves.items():
        by_label.setdefault(label, []).append(key)
    found: dict[str, str] = {}
    used = {*taken}
    alone = {label for label, keys in by_label.items() if len(keys) == 1 and label not in used}
    used |= alone
    for label, keys in by_label.items():
        if label in alone:
            found[keys[0]] = ""
            continue
        names = dict.fromkeys(name for key in keys for name in curves[key][1])
        differing = [name for name in names if len({curves[key][1].get(name) for key in keys}) > 1]
        for key in keys:
            traits = curves[key][1]
            text = " ".join(f"{name}={traits[name]}" for name in differing if name in traits)
            number, unique = 1, text
            while not unique or f"{label} {unique}" in used:
                number += 1
                unique = f"{text} #{number}".strip()
            used.add(f"{label} {unique}")
            found[key] = unique
    return found

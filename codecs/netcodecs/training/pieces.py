"""Reads a training plan: what its pieces are, and whether each can be trained as it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from netcodecs.progressive.methods import method_named
from netcodecs.training.core.settings import SETTINGS, check_setting
from netsim.errors import InputError, did_you_mean

__all__ = ["NEW", "RESICOMP", "Piece", "pieces_in"]

RESICOMP = "resicomp"
NEW = "new"
_TYPES: Mapping[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "trains": (str, "a text"),
    "start": (str, "a text"),
    "steps": (int, "a whole number"),
    "settings": (dict, "a mapping"),
}
_OF_ALL = ("rate", "batch", "crop", "seed", "device", "balance", "smaller_share")
_OF_RESICOMP = ("alpha", "transforms_rate", "size", "separate")
_OF_NEW_NETWORKS = ("transforms", "size", "separate")


@dataclass(frozen=True)
class Piece:
    """One entry of the plan.

    Attributes:
        name: Of the piece; its run's folder.
        trains: Which weights it makes: a method of the progressive family, or ``resicomp``.
        start: Which weights it starts from: a name in the weights folder, or a path.
        steps: Of the run.
        settings: Where they are not the usual ones: rate, batch, crop, seed, device, balance, smaller_share; of a
            method: transforms (of a new network), whole_share (with tail drop), lossless_share (with uniform losses);
            of resicomp: alpha, transforms_rate, size and separate (of a new Transformer).
    """

    name: str
    trains: str
    start: str
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)


def pieces_in(path: Path) -> list[Piece]:
    """The plan in a file.

    Raises:
        InputError: If the file can't be read; a piece lacks a key, has an unknown one, a wrong value, or a setting
            that what it trains does not have; or two have one name.
    """
    try:
        given = YAML(typ="safe").load(path)
    except (OSError, UnicodeError, YAMLError) as error:
        raise InputError(f"{path} can't be read", hint=str(error)) from None
    entries = given.get("pieces") if isinstance(given, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{path.name} has no list `pieces`", hint="codecs/training-plan.yaml is an example")
    pieces = [_checked(entry, path.name, number) for number, entry in enumerate(entries)]
    names = [piece.name for piece in pieces]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path.name}: two pieces have the name `{twice[0]}`", hint="each has its own run")
    return pieces


def _checked(entry: Any, file: str, number: int) -> Piece:
    """One entry of a plan as a piece."""
    where = f"{file}: pieces[{number}]"
    if not isinstance(entry, dict):
        raise InputError(f"{where} is {entry!r}", hint=f"a mapping with the keys {', '.join(_TYPES)}")
    for key, value in entry.items():
        if key not in _TYPES:
            raise InputError(f"{where} has an unknown key `{key}`", hint=did_you_mean(str(key), _TYPES))
        kind, right = _TYPES[key]
        if type(value) is not kind:
            raise InputError(f"{where}.{key} is {value!r}", hint=right)
    if missing := sorted(set(_TYPES) - {"settings"} - set(entry)):
        raise InputError(f"{where} needs `{missing[0]}`")
    if entry["steps"] < 1:
        raise InputError(f"{where}.steps is {entry['steps']}", hint="at least 1")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", entry["name"]):
        raise InputError(f"{where}.name is {entry['name']!r}", hint="a folder's name: letters, digits, . _ -")
    piece = Piece(**entry)
    try:
        _check_settings(piece)
    except InputError as error:
        raise error.at(f"{file}: piece `{piece.name}`") from None
    return piece


def _check_settings(piece: Piece) -> None:
    """Raises InputError for what can't be trained, and for a wrong setting of it."""
    known = _settings_of(piece.trains)
    for name, value in piece.settings.items():
        if name not in known:
            all_known = f"settings of {piece.trains}: {', '.join(known)}"
            hint = all_known if name in SETTINGS else did_you_mean(str(name), known)
            raise InputError(f"{piece.trains} has no setting `{name}`", hint=hint)
        check_setting(name, value, f"settings.{name}")
        if name in _OF_NEW_NETWORKS and value and not _may_start_new(piece):
            right = NEW if name == "transforms" else "weights of a baseline, such as mbt-mean"
            message = f"settings.{name} is {value!r}, but the weights of start `{piece.start}` have a size of their own"
            raise InputError(message, hint=f"start from {right}, or leave it out")


def _settings_of(trains: str) -> list[str]:
    """What a piece may set.

    Raises:
        InputError: There is no such method.
    """
    if trains == RESICOMP:
        return [*_OF_ALL, *_OF_RESICOMP]
    method = method_named(trains)
    of_method = {"transforms": True, "whole_share": method.tail_drop, "lossless_share": method.losses == "uniform"}
    return [*_OF_ALL, *(name for name, has in of_method.items() if has)]


def _may_start_new(piece: Piece) -> bool:
    """Whether a piece may start with a new network; of ResiComp, what a path holds shows only when it begins."""
    return piece.start != RESICOMP if piece.trains == RESICOMP else piece.start == NEW

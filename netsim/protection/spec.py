"""The forms in which a scenario names a protection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netsim.errors import InputError
from netsim.links.packets import Arq
from netsim.protection.arq import SelectiveRepeat
from netsim.protection.base import NoProtection, Protection
from netsim.protection.calls import made_protection
from netsim.protection.galois import SYMBOLS
from netsim.protection.reed_solomon import ReedSolomon
from netsim.protection.repetition import Repetition
from netsim.registry import load_plugin, plugin_identity, plugin_names, unknown_hint
from netsim.validation import check_keys, check_number, check_whole

__all__ = ["protection_from_spec", "protection_identity", "protection_kinds"]

RETRIES_LIMIT = 100
"""Most retransmissions of a packet: the event engine keeps a record of each, made or not."""

PACKETS_LIMIT = 65_535
"""Greatest number of a repeated packet, far beyond any stream: the list is kept in memory."""

TIMES_LIMIT = 255
"""Most times that a packet is sent: as many as the packets of an erasure code's block."""

_KINDS = ("none", "reed-solomon", "repeat", "arq")
_FORMS = "write `reed-solomon: 30%` (share of the packets sent) or `reed-solomon: [10, 7]` (n, k)"
_ARQ_FORMS = "write `arq: {retries: 2}`"
_REPEAT_FORMS = "write `repeat: {packets: [1]}` (those sent twice, from 1) or `repeat: {first: 2, times: 3}`"


def protection_from_spec(spec: Any) -> Protection:
    """The protection that a scenario names.

    Args:
        spec: ``none``, a share of parity or (n, k), repetition, retransmission, or a plug-in's name.

    Returns:
        The protection.

    Raises:
        InputError: A faulty specification; ``key`` is relative to ``spec``.

    >>> protection_from_spec({"reed-solomon": "30%"}).name, protection_from_spec(None).name
    ('reed-solomon 30%', 'none')
    >>> protection_from_spec({"reed-solomon": {"n": 10, "k": 7}}).name
    'reed-solomon (10, 7)'
    >>> protection_from_spec({"repeat": {"packets": [1], "times": 2}}).name
    'repeat (1)'
    >>> protection_from_spec({"arq": {"retries": 2}}).name
    'arq 2'
    """
    if spec is None or spec == "none":
        return NoProtection()
    known = (*_KINDS, *plugin_names("protection"))
    if isinstance(spec, str) and spec in known[len(_KINDS) :]:
        spec = {spec: None}
    if isinstance(spec, str):
        forms = {"reed-solomon": _FORMS, "repeat": _REPEAT_FORMS, "arq": _ARQ_FORMS}
        hint = forms.get(spec) or unknown_hint("protection", spec, known)
        raise InputError(f"protection `{spec}` {'needs a strength' if spec in _KINDS else 'is unknown'}", hint=hint)
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise InputError(f"protection {spec!r} is not one protection", hint=f"write `none`, or {_FORMS[6:]}")
    kind, strength = next(iter(spec.items()))
    if kind not in known[1:]:
        raise InputError(f"unknown protection `{kind}`", hint=unknown_hint("protection", kind, known), key=(kind,))
    try:
        return _READERS[kind](strength) if kind in _READERS else _plugin(kind, strength)
    except InputError as error:
        raise InputError(f"{kind}: {error.message}", hint=error.hint, key=(kind, *error.key)) from None


def protection_kinds() -> tuple[str, ...]:
    """Names of netsim's own protections."""
    return _KINDS


def protection_identity(spec: Any) -> list[str]:
    """Digest of the code of a third party's protection; empty for netsim's own.

    Args:
        spec: As for :func:`protection_from_spec`.

    Returns:
        A digest of the plug-in's code, or an empty list.
    """
    names = [spec] if isinstance(spec, str) else list(spec or ())
    return [plugin_identity("protection", name) for name in names if name in plugin_names("protection")]


def _plugin(name: str, settings: Any) -> Protection:
    """A plug-in's protection, made from its settings in the scenario; None: there are none."""
    return made_protection(name, load_plugin("protection", name), settings)


def _reed_solomon(strength: Any) -> ReedSolomon:
    if isinstance(strength, Mapping):
        check_keys(strength, ("n", "k"))
        if len(strength) < 2:
            raise InputError(f"{dict(strength)} lacks {'k' if 'n' in strength else 'n'}", hint=_FORMS)
        return ReedSolomon(code=_code(strength["n"], strength["k"]))
    if isinstance(strength, list | tuple):
        if len(strength) != 2:
            raise InputError(f"{list(strength)} is not (n, k)", hint=_FORMS)
        return ReedSolomon(code=_code(*strength))
    return ReedSolomon(share=_share(strength))


def _arq(settings: Any) -> SelectiveRepeat:
    if not isinstance(settings, Mapping):
        raise InputError(f"{settings!r} is not a list of settings", hint=_ARQ_FORMS)
    check_keys(settings, ("retries", "timeout_s"))
    if "retries" not in settings:
        raise InputError("no retries given", hint=_ARQ_FORMS)
    check_whole("retries", settings["retries"], least=1)
    if settings["retries"] > RETRIES_LIMIT:
        hint = f"up to {RETRIES_LIMIT}; the deadline of the link ends them earlier"
        raise InputError(
            f"retries {settings['retries']} is more than any link has time for", hint=hint, key=("retries",)
        )
    if "timeout_s" in settings:
        check_number("timeout_s", settings["timeout_s"], above_zero=True, most=1e9)
    return SelectiveRepeat(Arq(settings["retries"], settings.get("timeout_s")))


def _repeat(settings: Any) -> Repetition:
    if not isinstance(settings, Mapping):
        raise InputError(f"{settings!r} is not a list of settings", hint=_REPEAT_FORMS)
    check_keys(settings, ("packets", "first", "times"))
    if ("packets" in settings) == ("first" in settings):
        what = "both packets and first are given" if "first" in settings else "neither packets nor first is given"
        raise InputError(what, hint=_REPEAT_FORMS)
    times = settings.get("times", 2)
    _check_range("times", times, 2, TIMES_LIMIT)
    if "first" in settings:
        _check_range("first", settings["first"], 1, PACKETS_LIMIT)
        return Repetition(first=settings["first"], times=times)
    return Repetition(packets=_packet_numbers(settings["packets"]), times=times)


def _packet_numbers(value: Any) -> list[int]:
    """One number or a list of them."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = list(value) if several else [value]
    if not numbers:
        raise InputError("packets is an empty list", hint=f"{_REPEAT_FORMS}, or `none`", key=("packets",))
    for i, number in enumerate(numbers):
        at = ("packets", i) if several else ("packets",)
        _check_range("packets", number, 1, PACKETS_LIMIT, at)
        if number in numbers[:i]:
            raise InputError(f"packet {number} is listed twice", hint="`times: 3` sends it three times", key=at)
    return numbers


def _check_range(key: str, value: Any, least: int, most: int, at: tuple[str | int, ...] = ()) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        hint = f"{key}: whole numbers from {least} to {most:,}"
        raise InputError(f"{key} {value!r} is out of range", hint=hint, key=at or (key,))


def _code(n: Any, k: Any) -> tuple[int, int]:
    for key, value in (("n", n), ("k", k)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(f"{key} = {value!r} is not a whole number", hint=_FORMS)
    if k < 1:
        raise InputError(f"k = {k}: a block has at least one data packet", hint=f"1 <= k <= n; {_FORMS}")
    if k > n:
        raise InputError(
            f"k = {k} is above n = {n}", hint=f"n packets are sent, k of them data: [{k}, {n}] or k <= {n}; {_FORMS}"
        )
    if n > SYMBOLS:
        raise InputError(f"n = {n}: a block has at most {SYMBOLS} packets", hint=f"n <= {SYMBOLS}")
    return n, k


def _share(value: Any) -> Fraction:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?\s*%", value.strip()):
        share = Fraction(value.strip().rstrip("% ")) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf"):
        share = Fraction(str(value))
    else:
        raise InputError(f"{value!r} is neither a share nor (n, k)", hint=_FORMS)
    if not 0 <= share < 1:
        percent = f"{value}%" if isinstance(value, int | float) and 1 <= value < 100 else "30%"
        raise InputError(
            f"share {value} is outside 0% to 100%", hint=f"parity is part of what is sent, below all of it: `{percent}`"
        )
    return share


_READERS = {"reed-solomon": _reed_solomon, "repeat": _repeat, "arq": _arq}

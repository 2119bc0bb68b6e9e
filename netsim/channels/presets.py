"""The papers' channels by name, each in the variants that exist of it; numbers come from ``published.csv``.

- ``corrected`` (the default): a valid chain with the printed loss rate and mean burst.
- ``released``: the chain that the authors' released code really runs, clipping included.
- ``printed``: the numbers as printed in the paper; refused where they are not a chain.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from netsim.channels.chains import bernoulli, burst, gilbert_elliott, three_state
from netsim.channels.markov import MarkovChannel
from netsim.errors import InputError, did_you_mean

__all__ = ["VARIANTS", "preset", "preset_names", "preset_variants", "published", "split_variant"]

VARIANTS = ("corrected", "released", "printed")

# How each faulty pattern is made a chain: EP2's row B misses one by rounding, so it is scaled; EP3's and EP5's
# printed loss rates follow from their printed rows only with a negative probability, so they become the
# two-state chain with exactly the printed loss rate and burst.
NORMALISED = ("EP2",)
TWO_STATE = ("EP3", "EP5")

GE_KEYS = ("p", "r", "h", "k")
THREE_STATE_KEYS = ("p_good", "p_bad", "p_intermediate", "p_bad_to_good")


@cache
def _table() -> dict[str, dict[str, dict[str, float]]]:
    """preset → status ("published", "released") → quantity → value, in the file's order."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    lines = (files("netsim.channels") / "published.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        statuses = table.setdefault(row["preset"], {"published": {}, "released": {}})
        statuses[row["status"]][row["quantity"]] = float(row["value"])
    return table


def preset_names() -> list[str]:
    """Names of all presets.

    Returns:
        In the order of the table.

    >>> preset_names()[:4]
    ['uniform-5', 'uniform-10', 'uniform-20', 'ge-10']
    """
    return list(_table())


def preset_variants(name: str) -> tuple[str, ...]:
    """Variants of a preset, the default first; independent loss has one alone.

    Args:
        name: The preset's.

    Returns:
        Some of ``corrected``, ``released`` and ``printed``.

    Raises:
        InputError: The preset is unknown.
    """
    return VARIANTS if len(published(name)) > 1 else VARIANTS[:1]


def published(name: str) -> dict[str, float]:
    """What the paper prints of a preset, by quantity.

    Args:
        name: The preset's.

    Returns:
        Numbers by the names of their quantities.

    Raises:
        InputError: The preset is unknown.

    >>> published("EP4")["loss_rate"], published("EP4")["mean_burst"]
    (0.138, 1.69)
    """
    _check_name(name)
    return dict(_table()[name]["published"])


def split_variant(text: str) -> tuple[str, str | None]:
    """Preset and variant from a short name.

    Args:
        text: A preset's name, perhaps with ``-`` and a variant.

    Returns:
        (name, variant); None without a variant.

    >>> split_variant("EP3-released"), split_variant("ge-15")
    (('EP3', 'released'), ('ge-15', None))
    """
    name, _, variant = text.rpartition("-")
    return (name, variant) if name and variant in VARIANTS else (text, None)


def preset(
    name: str,
    variant: str = "corrected",
    *,
    start: str = "stationary",
    step_s: float | None = None,
    label: str = "",
) -> MarkovChannel:
    """A preset channel.

    Args:
        name: The preset's.
        variant: ``corrected``, ``released`` or ``printed``.
        start: State before the first packet.
        step_s: Seconds per step; None: a step per packet.
        label: The channel's name; by default the preset's, with the variant unless it is ``corrected``.

    Returns:
        The channel.

    Raises:
        InputError: The preset, variant or start is unknown, or a printed variant is not a chain.

    >>> preset("EP3").name, round(preset("EP3").loss_rate, 6), round(preset("EP3").mean_burst, 6)
    ('EP3', 0.065, 5.0)
    >>> released = preset("EP3", "released")
    >>> released.name, round(released.loss_rate, 4), round(released.mean_burst, 4)
    ('EP3-released', 0.0588, 1.25)
    """
    known = preset_variants(name)
    if variant not in known:
        raise InputError(f"{name} has no variant `{variant}`", hint=did_you_mean(variant, known), key=("variant",))
    label = label or (name if variant == "corrected" else f"{name}-{variant}")
    quantities = published(name)
    if "p_good" in quantities:
        return _error_pattern(name, variant, label, start, step_s)
    if "p" in quantities:
        p, r, h, k = _numbers(name, variant, GE_KEYS)
        return gilbert_elliott(p, r, h, k, name=label, start=start, step_s=step_s)
    return bernoulli(quantities["loss_rate"], name=label, start=start, step_s=step_s)


def _error_pattern(name: str, variant: str, label: str, start: str, step_s: float | None) -> MarkovChannel:
    if variant == "corrected" and name in TWO_STATE:
        printed = published(name)
        return burst(printed["loss_rate"], printed["mean_burst"], name=label, start=start, step_s=step_s)
    p_good, p_bad, p_intermediate, p_bad_to_good = _numbers(name, variant, THREE_STATE_KEYS)
    if variant == "corrected" and name in NORMALISED:
        total = p_bad + p_bad_to_good
        p_bad, p_bad_to_good = p_bad / total, p_bad_to_good / total
    if variant == "released":
        # one uniform u: u < p_BG goes to G, u > p_BG + p_B to I, all else stays in B
        p_bad = min(p_bad, 1 - p_bad_to_good)
    try:
        return three_state(p_good, p_bad, p_intermediate, p_bad_to_good, name=label, start=start, step_s=step_s)
    except InputError as error:
        if error.key[:1] != ("rows",):
            raise
        hint = f"{error.hint}\n{_way_out(name)}"
        raise InputError(f"{name} as printed is not a chain: {error.message}", hint=hint, key=("variant",)) from None


def _way_out(name: str) -> str:
    return (
        f"`{name}` (corrected) is a chain with its printed loss rate and burst; "
        f"`{name}-released` is what the authors' code runs"
    )


def printed_fault(rows: Sequence[Sequence[float]]) -> str:
    """A hint for someone who typed a paper's impossible matrix: which preset it is.

    Args:
        rows: A transition matrix as typed.

    Returns:
        A hint; empty for any other matrix.

    >>> printed_fault([[0.95, 0.05, 0], [0.8, 0.8, 0], [0, 0.4, 0.6]]).splitlines()[0]
    'EP3 as printed in the paper has this fault'
    """
    try:
        given = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return ""
    for name in (*NORMALISED, *TWO_STATE):
        g, b, i, bg = _numbers(name, "printed", THREE_STATE_KEYS)
        # the last entry of row B is whatever someone made of 1 - p_B - p_BG
        matrix = np.array([[g, 1 - g, 0], [bg, b, 0], [0, 1 - i, i]])
        if given.shape == matrix.shape and b + bg > 1 + 1e-9:
            entries = np.ones_like(matrix, dtype=bool)
            entries[1, 2] = False
            if np.allclose(given[entries], matrix[entries], rtol=0, atol=1e-6):
                return f"{name} as printed in the paper has this fault\n{_way_out(name)}"
    return ""


def _numbers(name: str, variant: str, keys: tuple[str, ...]) -> tuple[float, ...]:
    """Parameters of a variant. The released code's own numbers go before the paper's where it has other ones.

    For Gilbert–Elliott the released numbers are the paper's before rounding, so ``corrected`` takes them too;
    EP5's p_BG of the release is another number, so there it does not.
    """
    statuses = _table()[name]
    exact = variant == "released" or (variant == "corrected" and "p" in statuses["released"])
    values = {**statuses["published"], **(statuses["released"] if exact else {})}
    return tuple(values[key] for key in keys)


def _check_name(name: str) -> None:
    known = preset_names()
    if name in known:
        return
    same = [k for k in known if k.casefold() == str(name).casefold()]
    hint = f"did you mean `{same[0]}`? known: {', '.join(known)}" if same else did_you_mean(str(name), known)
    raise InputError(f"unknown preset `{name}`", hint=hint, key=("preset",))

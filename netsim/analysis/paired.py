"""Two schemes of a run against each other: the difference in dB, with its 95 % interval, channel by channel.

All schemes of a run meet the same channel realisations (losses depend on the seed, the channel and the trial, not on
the scheme), so sampled differences are taken slot by slot: what a hard slot costs both does not count as noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.replay import find_scheme
from netsim.analysis.slot_values import can_fail, can_lose, slot_quality
from netsim.analysis.summary import summarise
from netsim.errors import InputError, did_you_mean
from netsim.statistics.intervals import Estimate, batch_labels, difference_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_schemes", "pair_points", "paired_difference"]

_CONDITION = ["channel", "link"]
_CURVE = [*_CONDITION, "scheme", "operating_point"]
_SLOT = ["seed", "trial", "slot", "image"]


def compare_schemes(log: pd.DataFrame, a: str, b: str, failure_db: float, points: Sequence[str] = ()) -> pd.DataFrame:
    """The mean PSNR of scheme ``a`` less that of ``b``: one row per pair of operating points, channel and link.

    The column ``how`` says what the difference is made of:

    - ``paired``: both sampled, difference slot by slot, batch means over trials;
    - ``independent``: one or both stratified; their samples have nothing in common;
    - ``exact``: both exact, no width but the bounds of what was left unresolved;
    - ``one exact``: the sampled one's interval.

    Args:
        log: The table that a run writes.
        a: A scheme as the log calls it, or a codec's name where that is clear.
        b: The other.
        failure_db: What a slot without an image counts as.
        points: Operating points of a, and of b; none: each is paired with the nearest in bpp, where that is mutual;
            one: a's, paired with the nearest of b.

    Returns:
        Columns channel, link, scheme_a, point_a, bpp_a, scheme_b, point_b, bpp_b, psnr_a_db, psnr_b_db, difference_db,
        difference_low, difference_high, failure_a, failure_b, unpaired_low, unpaired_high (the interval that
        independent samples would have given; NaN where nothing was paired), pairs (slots compared; NaN where not
        paired) and how.

    Raises:
        InputError: An unknown scheme or operating point, or the two are one and the same.
    """
    import pandas as pd

    slots = log[log["packet"].isna()]
    labels = {str(scheme): str(codec) for scheme, codec in slots.groupby("scheme", sort=False)["codec"].first().items()}
    a, b = (find_scheme(name, labels) for name in (a, b))
    slots = slots[slots["scheme"].isin([a, b])]
    summary = summarise(slots, failure_db).set_index(_CURVE)
    rates = summary.groupby(["scheme", "operating_point"], sort=False)["bpp"].mean().round(9)
    groups = slots.groupby(_CURVE, sort=False, observed=True)
    conditions = list(dict.fromkeys(key[:2] for key in summary.index))
    rows = []
    for point_a, point_b in pair_points(dict(rates[a]), dict(rates[b]), points):
        if (a, point_a) == (b, point_b):
            hint = "name two schemes, or two operating points of one: --point qp=30 --point qp=36"
            raise InputError(f"`{a}` at {point_a} is compared with itself", hint=hint)
        for condition in conditions:
            keys = [(*condition, a, point_a), (*condition, b, point_b)]
            if not all(key in summary.index for key in keys):
                continue
            ends = [summary.loc[key] for key in keys]
            parts = [groups.get_group(key) for key in keys]
            rows.append(dict(zip(_CONDITION, condition, strict=True)) | _row(keys, ends, parts, failure_db))
    if not rows:
        raise InputError(f"`{a}` and `{b}` met no channel in common", hint="a run of both gives their difference")
    return pd.DataFrame(rows)


def pair_points(a: dict[str, float], b: dict[str, float], asked: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Pairs of operating points that are each other's nearest in rate, or those asked for.

    Args:
        a: Rate of each operating point of a scheme, bit/pixel.
        b: Likewise, of the other.
        asked: As ``points`` of ``compare_schemes``.

    Returns:
        (point of a, point of b).

    Raises:
        InputError: More than two operating points, or an unknown one.

    >>> pair_points({"qp=30": 0.43, "qp=33": 0.30, "qp=36": 0.20}, {"bpp=0.2": 0.2, "bpp=0.4": 0.4})
    [('qp=30', 'bpp=0.4'), ('qp=36', 'bpp=0.2')]
    """
    if len(asked) > 2:
        raise InputError(f"{len(asked)} operating points", hint="--point once for A, or twice: A's, then B's")
    for point, known in zip(asked, (a, b), strict=False):
        if point not in known:
            raise InputError(f"no operating point `{point}`", where="--point", hint=did_you_mean(point, known))
    if len(asked) == 2:
        return [(asked[0], asked[1])]
    if asked:
        return [(asked[0], _nearest(b, a[asked[0]]))]
    return [(one, other) for one in a if _nearest(a, b[other := _nearest(b, a[one])]) == one]


def _nearest(rates: dict[str, float], bpp: float) -> str:
    return min(rates, key=lambda point: (round(abs(rates[point] - bpp), 9), rates[point]))


def _row(keys: list[Any], ends: list[Any], parts: list[pd.DataFrame], failure_db: float) -> dict[str, Any]:
    one, other = ends
    row: dict[str, Any] = {}
    for letter, key, end in zip("ab", keys, ends, strict=True):
        row |= {f"scheme_{letter}": key[2], f"point_{letter}": key[3], f"bpp_{letter}": float(end["bpp"])}
    for letter, end in zip("ab", ends, strict=True):
        row[f"psnr_{letter}_db"] = float(end["psnr_db"])
    engines = {str(end["engine"]) for end in ends}
    unpaired, pairs = Estimate(math.nan, math.nan, math.nan), math.nan
    if "exact" in engines:
        how = "exact" if engines == {"exact"} else "one exact"
        apart = Estimate(
            float(one["psnr_db"] - other["psnr_db"]),
            float(one["psnr_low"] - other["psnr_high"]),
            float(one["psnr_high"] - other["psnr_low"]),
        )
    elif "stratified" in engines:
        how, apart = "independent", _independent(ends)
    else:
        how, pairs = "paired", len(parts[0].merge(parts[1], on=_SLOT))
        unpaired, apart = _independent(ends), paired_difference(parts[0], parts[1], failure_db)
    row |= {"difference_db": apart.value, "difference_low": apart.low, "difference_high": apart.high}
    row |= {"failure_a": float(one["failure_ratio"]), "failure_b": float(other["failure_ratio"])}
    return row | {"unpaired_low": unpaired.low, "unpaired_high": unpaired.high, "pairs": pairs, "how": how}


def paired_difference(a: pd.DataFrame, b: pd.DataFrame, failure_db: float) -> Estimate:
    """Mean of a - b over the slots that both have, in dB, with its 95 % interval.

    Args:
        a: Sampled slots of a log, one scheme's in one condition.
        b: The other scheme's.
        failure_db: What a failed slot counts as.

    Returns:
        In dB.

    Raises:
        InputError: They share no slot.
    """
    columns = [*_SLOT, "weight", "packets_sent"]
    left, right = (
        part[names].assign(
            **{
                letter: slot_quality(part, failure_db),
                f"{letter}_failed": (part["status"] == "failed").to_numpy(),
                f"{letter}_lost": part["packets_lost"].to_numpy(dtype=np.float64),
            }
        )
        for letter, part, names in (("a", a, columns), ("b", b, _SLOT))
    )
    both = left.merge(right, on=_SLOT)
    if both.empty:
        raise InputError("the two schemes have no slot in common", hint="compare schemes of one run")
    trial = np.array(both.groupby(["seed", "trial"], sort=False).ngroup(), dtype=np.int64)
    batch = batch_labels(trial, both["slot"].to_numpy(dtype=np.int64), both["image"].nunique())
    lost = both["a_lost"].to_numpy() / np.maximum(both["packets_sent"].to_numpy(), 1)
    struck = ((both["a_lost"] > 0) | (both["b_lost"] > 0)).to_numpy() if can_lose(a) and can_lose(b) else None
    qualities = [both[name].to_numpy(dtype=np.float64) for name in "ab"]
    failed = [both[f"{name}_failed"].to_numpy() for name in "ab"]
    weights = both["weight"].to_numpy(dtype=np.float64)
    possible = [can_fail(one) or (can_lose(one) and not one["packets_lost"].any()) for one in (a, b)]
    return difference_interval(qualities, failed, weights, batch, lost, failure_db, possible, struck)


def _independent(ends: list[Any]) -> Estimate:
    """The difference of two means as if they were independent: distances to the ends add as squares (MOVER)."""
    (one, one_low, one_high), (other, other_low, other_high) = (
        [float(end[name]) for name in ("psnr_db", "psnr_low", "psnr_high")] for end in ends
    )
    below = math.hypot(one - one_low, other_high - other)
    above = math.hypot(one_high - one, other - other_low)
    return Estimate(one - other, one - other - below, one - other + above)

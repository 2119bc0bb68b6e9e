"""Two schemes of a run against each other: the difference in dB, with its 95 % interval, channel by channel.

All schemes of a run meet the same channel realisations (losses depend on the seed, the channel and the trial, not on
the scheme), so sampled differences are taken slot by slot: what a hard slot costs both does not count as noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.errors import InputError, did_you_mean
from netsim.insight.plan_of_run import find_scheme
from netsim.metrics.intervals import Estimate, batch_labels, mean_interval
from netsim.metrics.summary import slot_quality, summarise

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_schemes", "pair_points", "paired_difference"]

_CONDITION = ["channel", "link"]
_CURVE = [*_CONDITION, "scheme", "operating_point"]
_SLOT = ["seed", "trial", "slot", "image"]


def compare_schemes(log: pd.DataFrame, a: str, b: str, failure_db: float, points: Sequence[str] = ()) -> pd.DataFrame:
    """The mean PSNR of scheme ``a`` less that of ``b``: one row per pair of operating points, channel and link.

    log: the table that a run writes. a, b: schemes as the log calls them, or a codec's name where that is clear.
    points: operating points of a, and of b; none: each is paired with the nearest in bpp, where that is mutual; one:
    a's, paired with the nearest of b. A slot without a picture counts as failure_db.

    Columns: channel, link, scheme_a, point_a, bpp_a, scheme_b, point_b, bpp_b, psnr_a_db, psnr_b_db, difference_db,
    difference_low, difference_high, failure_a, failure_b, unpaired_low, unpaired_high (the interval that independent
    samples would have given; NaN where nothing was paired), pairs (slots compared; NaN where not paired) and how:

    - ``paired``: both sampled, difference slot by slot, batch means over trials;
    - ``exact``: both exact, no width but the bounds of what was left unresolved;
    - ``one exact``: the sampled one's interval.

    Raises InputError for an unknown scheme or operating point, or if the two are one and the same.
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
    """Pairs of operating points that are each other's nearest in rate, or those asked for (see ``compare_schemes``).

    a, b: bpp of each operating point.

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
    told: dict[str, Any] = {}
    for letter, key, end in zip("ab", keys, ends, strict=True):
        told |= {f"scheme_{letter}": key[2], f"point_{letter}": key[3], f"bpp_{letter}": float(end["bpp"])}
    for letter, end in zip("ab", ends, strict=True):
        told[f"psnr_{letter}_db"] = float(end["psnr_db"])
    exact = [end["engine"] == "exact" for end in ends]
    apart = Estimate(
        float(one["psnr_db"] - other["psnr_db"]),
        float(one["psnr_low"] - other["psnr_high"]),
        float(one["psnr_high"] - other["psnr_low"]),
    )
    unpaired, pairs = Estimate(math.nan, math.nan, math.nan), math.nan
    if not any(exact):
        how, pairs = "paired", len(parts[0].merge(parts[1], on=_SLOT))
        unpaired, apart = _independent(ends), paired_difference(parts[0], parts[1], failure_db)
        apart = _widened(apart, ends, failure_db)
    else:
        how = "exact" if all(exact) else "one exact"
    told |= {"difference_db": apart.value, "difference_low": apart.low, "difference_high": apart.high}
    told |= {"failure_a": float(one["failure_ratio"]), "failure_b": float(other["failure_ratio"])}
    return told | {"unpaired_low": unpaired.low, "unpaired_high": unpaired.high, "pairs": pairs, "how": how}


def paired_difference(a: pd.DataFrame, b: pd.DataFrame, failure_db: float) -> Estimate:
    """Mean of a − b over the slots that both have, in dB, with the interval of its batch means.

    a, b: sampled slots of a log, one scheme's each, in one condition. Raises InputError if they share no slot.
    """
    columns = [*_SLOT, "weight"]
    left = a[columns].assign(a=slot_quality(a, failure_db))
    right = b[_SLOT].assign(b=slot_quality(b, failure_db))
    both = left.merge(right, on=_SLOT)
    if both.empty:
        raise InputError("the two schemes share no slot", hint="compare schemes of one run")
    trial = np.array(both.groupby(["seed", "trial"], sort=False).ngroup(), dtype=np.int64)
    batch = batch_labels(trial, both["slot"].to_numpy(dtype=np.int64), both["image"].nunique())
    difference = (both["a"] - both["b"]).to_numpy(dtype=np.float64)
    return mean_interval(difference, both["weight"].to_numpy(dtype=np.float64), batch)


def _independent(ends: list[Any]) -> Estimate:
    """The difference of two means as if they were independent: half widths add as squares."""
    value = float(ends[0]["psnr_db"] - ends[1]["psnr_db"])
    half = math.hypot(*((float(end["psnr_high"]) - float(end["psnr_low"])) / 2 for end in ends))
    return Estimate(value, value - half, value + half)


def _widened(difference: Estimate, ends: list[Any], failure_db: float) -> Estimate:
    """An interval made honest where no slot's difference departs from the mean: either may fail where none was seen.

    As ``netsim.metrics.intervals.widened``: a failure that the sample did not meet may be as frequent as the upper
    end of its ratio's interval, and would cost what the scheme has above failure_db.
    """
    if not difference.high - difference.low < 1e-9 * max(1.0, abs(difference.value)):
        return difference
    less, more = (float(end["failure_high"]) * (float(end["psnr_db"]) - failure_db) for end in ends)
    return Estimate(difference.value, difference.value - max(less, 0.0), difference.value + max(more, 0.0))

"""The summary of a log: one row per scheme, operating point, channel and link, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.sampled import SampledSlots
from netsim.analysis.slot_values import can_fail, metric_values, named, one_or_mixed, slot_quality, within
from netsim.errors import InputError
from netsim.metrics.further import LOSSLESS_DB, Scale, further_metrics, scale_of, was_measured
from netsim.statistics.bounded import bounded_mean
from netsim.statistics.intervals import Estimate
from netsim.statistics.stratified import StratifiedSample, stratified_quality

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GROUP", "NEEDED", "OPTIONAL", "can_fail", "check_columns", "slot_group", "slot_quality", "summarise"]

GROUP = ["scheme", "codec", "operating_point", "channel", "link", "engine"]
"""Columns that tell one row of a summary from another."""

NEEDED = [
    *GROUP,
    *("row", "trial", "slot", "packet", "image", "mode", "protection", "seed", "status", "psnr_db", "weight"),
    *("bytes", "bpp", "packets_sent", "packets_lost", "packets_late", "packets_dropped"),
    *("packets_recovered", "packets_usable"),
]
"""Columns that a summary is made of; further metrics may stand beside them."""

OPTIONAL = ["can_fail", "can_lose", "drawn", "usable_mask", "design_weight"]
"""Columns that it takes into account where they are there."""


def summarise(log: pd.DataFrame, failure_db: float = 13.0) -> pd.DataFrame:
    """One row per (scheme, codec, operating point, channel, link, engine), in the log's order.

    Everything is weighted by ``weight``. Columns, with X_low and X_high the ends of a 95 % interval:

    - slots, trials, images: how much was sampled (slots, trials: NaN for the exact engine, which samples nothing;
      the stratified engine's trials are its replicates)
    - bpp: all that was sent; bytes_per_slot, packets_per_slot, recovered_per_slot, usable_per_slot
    - psnr_db, psnr_low, psnr_high: mean over slots, failed ones counted as failure_db
    - psnr_variance_over_trials: sample variance (n-1) of the trials' mean PSNR, dB²; NaN for fewer than two
    - psnr_received_db: mean over the slots that showed an image; NaN if none did
    - failure_ratio, failure_low, failure_high: share of slots without an image
    - X, X_low, X_high, X_received of each further metric X of the log: mean over slots, failed ones counted as the
      metric says (``netsim.metrics.further``; MS-SSIM: 0), and mean over the slots that showed an image; only the
      latter where the metric does not say
    - loss_rate, late_rate, dropped_rate: measured shares of the packets sent
    - unresolved: share of the probability that the exact engine did not decode
    - failure_db, as given

    Sampled slots are correlated within a trial: see ``netsim.statistics.intervals`` for how the intervals are made.
    Stratified rows: see ``netsim.statistics.stratified``.
    Exact rows are weighted sums: an interval of width zero, or rigorous bounds if part of the probability is
    unresolved (``netsim.statistics.bounded``).

    Args:
        log: The table that a run writes; rows of single packets are left out.
        failure_db: What a slot without an image counts as in means of PSNR (a lossless one counts as ``LOSSLESS_DB``).

    Returns:
        One row per group, the columns above.

    Raises:
        InputError: The log is empty or lacks columns.
    """
    import pandas as pd

    check_columns(log.columns)
    slots = log[log["packet"].isna()]
    further = [
        name for name in further_metrics(slots.columns) if slots[name].dtype.kind == "f" and was_measured(slots, name)
    ]
    scales = {name: scale_of(name) for name in further}
    rows = []
    for key, part in slots.groupby(GROUP, sort=False, observed=True):
        group = slot_group(str(part["engine"].iloc[0]), failure_db, scales)
        group.add(part)
        rows.append(dict(zip(GROUP, key, strict=True)) | group.row())
    if not rows:
        raise InputError("the log has no slots", hint="`trials` and `slots` of the scenario are at least 1")
    return pd.DataFrame(rows).assign(failure_db=failure_db)


def check_columns(names: Iterable[str]) -> None:
    """Check that a log has the columns that a summary needs.

    Args:
        names: Columns of the log.

    Raises:
        InputError: A column of ``NEEDED`` is missing.
    """
    missing = sorted({*NEEDED} - {*names}, key=NEEDED.index)
    if missing:
        raise InputError(f"the log lacks columns: {', '.join(missing)}", hint="`netsim run` writes logs that have them")


class SlotGroup(Protocol):
    """Slots of one group, given in parts."""

    def add(self, part: pd.DataFrame) -> None:
        """Add slots of the group.

        Args:
            part: Slots, without rows of single packets.
        """

    def row(self) -> dict[str, Any]:
        """The group's columns of the summary.

        Returns:
            By name of the column.
        """


def slot_group(engine: str, failure_db: float, scales: Mapping[str, Scale]) -> SlotGroup:
    """An empty group of an engine's slots.

    Args:
        engine: The group's.
        failure_db: What a failed slot counts as in PSNR.
        scales: By further metric its range, and what a failed slot counts as.

    Returns:
        A group to add slots to.
    """
    whole = {"exact": _exact_quality, "stratified": _stratified_quality}.get(engine)
    return SampledSlots(failure_db, scales) if whole is None else _WholeGroup(engine, whole, failure_db, scales)


class _WholeGroup:
    """Weighted slots: as many as there are masks, so they are kept."""

    def __init__(self, engine: str, quality: Any, failure_db: float, scales: Mapping[str, Scale]) -> None:
        self.engine, self.quality, self.failure_db, self.scales = engine, quality, failure_db, scales
        self.parts: list[pd.DataFrame] = []

    def add(self, part: pd.DataFrame) -> None:
        self.parts.append(part)

    def row(self) -> dict[str, Any]:
        import pandas as pd

        part = self.parts[0] if len(self.parts) == 1 else pd.concat(self.parts, ignore_index=True)
        weights = part["weight"].to_numpy(dtype=np.float64)
        exact = self.engine == "exact"
        return {
            "mode": one_or_mixed(part["mode"].unique()),
            "protection": one_or_mixed(part["protection"].unique()),
            "slots": math.nan if exact else len(part),
            "trials": math.nan if exact else int(part["trial"].max()),
            "images": part["image"].nunique(),
            **self.quality(part, weights, self.failure_db, self.scales),
            **_traffic(part, weights),
        }


def _numbered(part: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    """For each row the number, from 0, of its combination of values."""
    return np.array(part.groupby(columns, sort=False, observed=True).ngroup(), dtype=np.int64)


def _exact_quality(
    part: pd.DataFrame, weights: NDArray[np.float64], failure_db: float, scales: Mapping[str, Scale]
) -> dict[str, float]:
    quality = slot_quality(part, failure_db)
    status = part["status"].to_numpy()
    failed, unresolved = status == "failed", status == "unresolved"
    shown = ~failed & ~unresolved
    image = _numbered(part, ["row", "image"])
    mean = bounded_mean(quality, weights, image, unresolved, failure_db, LOSSLESS_DB, within_known=True)
    found = named("psnr_db", mean, "psnr")
    found["psnr_variance_over_trials"] = math.nan
    found["psnr_received_db"] = _mean(quality[shown], weights[shown])
    share = bounded_mean(failed.astype(np.float64), weights, image, unresolved, worst=0.0, best=1.0)
    found |= named("failure_ratio", share, "failure")
    for name, scale in scales.items():
        values = metric_values(part, name, scale, failed)
        if scale.failed is not None:
            ends = (scale.lowest, scale.highest)
            better = scale.higher_is_better is True  # then the fullest known mask bounds the unknown ones
            found |= named(name, bounded_mean(values, weights, image, unresolved, *ends, within_known=better))
        found[f"{name}_received"] = _mean(values[shown], weights[shown])
    return found


def _stratified_quality(
    part: pd.DataFrame, weights: NDArray[np.float64], failure_db: float, scales: Mapping[str, Scale]
) -> dict[str, float]:
    failed = (part["status"] == "failed").to_numpy()
    samples, possible = _stratified_samples(part, weights), can_fail(part)

    def estimates(
        values: NDArray[np.float64], failed_value: float, shown_is_greater: bool | None = True
    ) -> tuple[Estimate, Estimate]:
        slots = [(sample, values[rows]) for rows, sample in samples]
        return stratified_quality(slots, failed_value, shown_is_greater, possible)

    quality = slot_quality(part, failure_db)
    mean, ratio = estimates(quality, failure_db)
    found = named("psnr_db", mean, "psnr")
    found["psnr_variance_over_trials"] = math.nan
    found["psnr_received_db"] = _mean(quality[~failed], weights[~failed])
    found |= named("failure_ratio", ratio, "failure")
    for name, scale in scales.items():
        values = metric_values(part, name, scale, failed)
        if scale.failed is not None:
            found |= named(name, within(estimates(values, scale.failed, scale.shown_is_greater)[0], scale))
        found[f"{name}_received"] = _mean(values[~failed], weights[~failed])
    return found


def _stratified_samples(
    part: pd.DataFrame, weights: NDArray[np.float64]
) -> list[tuple[NDArray[np.int64], StratifiedSample]]:
    """The stratified sample of each slot, with the numbers of its rows."""
    for name in ("drawn", "usable_mask", "design_weight"):
        if name not in part.columns:
            message = f"a log of the stratified engine without the column `{name}`"
            raise InputError(message, hint="an earlier version wrote it: run it again")
    slot = _numbered(part, ["row", "seed", "slot"])
    design, drawn = (part[name].to_numpy(dtype=np.float64, na_value=0) for name in ("design_weight", "drawn"))
    replicate, masks = part["trial"].to_numpy(dtype=np.int64), part["usable_mask"].to_numpy()
    order = np.argsort(slot, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(slot[order])) + 1):
        usable = np.array([[packet == "1" for packet in mask] for mask in masks[rows]], dtype=bool)
        found.append(
            (rows, StratifiedSample(weights[rows], design[rows], replicate[rows], usable, int(drawn[rows[0]])))
        )
    return found


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float((values * weights).sum() / weights.sum()) if weights.sum() > 0 else math.nan


def _traffic(part: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, float]:
    def total(name: str) -> float:
        return float((part[name].to_numpy(dtype=np.float64) * weights).sum())

    mass, sent = float(weights.sum()), total("packets_sent")
    unresolved = (part["status"] == "unresolved").to_numpy()
    return {
        "bpp": total("bpp") / mass,
        "bytes_per_slot": total("bytes") / mass,
        "packets_per_slot": sent / mass,
        "recovered_per_slot": total("packets_recovered") / mass,
        "usable_per_slot": total("packets_usable") / mass,
        "loss_rate": total("packets_lost") / sent if sent else math.nan,
        "late_rate": total("packets_late") / sent if sent else math.nan,
        "dropped_rate": total("packets_dropped") / sent if sent else math.nan,
        "unresolved": float(weights[unresolved].sum()) / mass,
    }

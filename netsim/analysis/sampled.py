"""The summary of sampled slots, added up chunk by chunk: memory grows with trials, not with slots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.slot_values import can_fail, can_lose, metric_values, named, one_or_mixed, slot_quality, within
from netsim.metrics.further import Scale
from netsim.statistics.intervals import BatchSums, Losses, batch_labels, quality_interval_of_sums

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SampledSlots"]

FloatArray = NDArray[np.float64]

_FEW = 5  # trials; fewer are cut into blocks of slots (``batch_labels``), for which single slots must be known
_TRAFFIC = (
    *("bpp", "bytes", "packets_sent", "packets_lost", "packets_late", "packets_dropped"),
    *("packets_recovered", "packets_usable"),
)


class SampledSlots:
    """Slots of one group of a log (equal scheme, operating point, channel, link), sampled by trials.

    Args:
        failure_db: What a failed slot counts as in means of PSNR.
        scales: How each further metric counts.
    """

    def __init__(self, failure_db: float, scales: Mapping[str, Scale]) -> None:
        self.failure_db, self.scales = failure_db, scales
        self._slots = 0
        self._images: set[str] = set()
        self._modes: set[Any] = set()
        self._protections: set[Any] = set()
        self._can_fail = self._can_lose = False
        self._traffic = dict.fromkeys(_TRAFFIC, 0.0)
        self._received = dict.fromkeys(("psnr_db", *scales), 0.0)
        self._received_mass = 0.0
        self._struck: dict[str, float] = {}  # sums over the slots that lost packets
        self._struck_mass = 0.0
        self._groups: dict[tuple[int, int], int] = {}
        self._keys: list[NDArray[np.int64]] = []  # [entries], the trial of each entry
        self._sums: list[FloatArray] = []  # [variables + 1, entries], mass and sums of each entry
        self._slot: list[NDArray[np.int64]] | None = []  # an entry is a slot while there are few trials, then a trial
        self._known: set[int] = set()  # trials, while there are few
        self._origins: dict[str, float] = {}
        self._squares: dict[str, float] = {}
        self._weight_squares = 0.0

    def add(self, part: pd.DataFrame) -> None:
        """Add slots of the group.

        Args:
            part: Slots, without rows of single packets.
        """
        weights = part["weight"].to_numpy(dtype=np.float64)
        failed = (part["status"] == "failed").to_numpy()
        self._slots += len(part)
        self._images.update(map(str, part["image"].unique()))
        self._modes.update(part["mode"].unique())
        self._protections.update(part["protection"].unique())
        self._can_fail |= can_fail(part)
        self._can_lose |= can_lose(part)
        for name in _TRAFFIC:
            self._traffic[name] += float((part[name].to_numpy(dtype=np.float64) * weights).sum())
        variables = self._variables(part, failed)
        for name in self._received:
            values = variables.get(name)
            if values is None:
                values = metric_values(part, name, self.scales[name], failed)
            self._received[name] += float((values[~failed] * weights[~failed]).sum())
        self._received_mass += float(weights[~failed].sum())
        struck = variables["struck"] > 0
        for name, values in variables.items():
            self._struck[name] = self._struck.get(name, 0.0) + float((values[struck] * weights[struck]).sum())
        self._struck_mass += float(weights[struck].sum())
        self._add_sums(part, weights, variables)

    def row(self) -> dict[str, Any]:
        """Columns of the summary: see ``netsim.analysis.summary.summarise``.

        Returns:
            By name of the column.
        """
        trials, batches = self._batched()
        found: dict[str, Any] = {
            "mode": one_or_mixed(self._modes),
            "protection": one_or_mixed(self._protections),
            "slots": self._slots,
            "trials": len(trials["mass"]),
            "images": len(self._images),
        }
        failed, lost = (self._batch_sums(name, batches) for name in ("failed", "lost"))
        quality = self._batch_sums("psnr_db", batches)
        losses = self._losses("psnr_db", batches)
        mean, ratio = quality_interval_of_sums(quality, failed, lost, self.failure_db, self._can_fail, losses)
        means = self._origins["psnr_db"] + trials["psnr_db"] / trials["mass"]
        found |= named("psnr_db", mean, "psnr")
        found["psnr_variance_over_trials"] = float(means.var(ddof=1)) if len(means) > 1 else math.nan
        found["psnr_received_db"] = self._mean_received("psnr_db")
        found |= named("failure_ratio", ratio, "failure")
        for name, scale in self.scales.items():
            if scale.failed is not None:
                values = self._batch_sums(name, batches)
                losses = self._losses(name, batches)
                mean, _ = quality_interval_of_sums(
                    values, failed, lost, scale.failed, self._can_fail, losses, scale.shown_is_greater
                )
                found |= named(name, within(mean, scale))
            found[f"{name}_received"] = self._mean_received(name)
        return found | self._traffic_columns(float(trials["mass"].sum()))

    def _variables(self, part: pd.DataFrame, failed: NDArray[np.bool_]) -> dict[str, FloatArray]:
        """What has an interval, by name: float64 [slots] each."""
        sent = np.maximum(part["packets_sent"].to_numpy(), 1)
        found = {
            "psnr_db": slot_quality(part, self.failure_db),
            "failed": failed.astype(np.float64),
            "lost": part["packets_lost"].to_numpy(dtype=np.float64) / sent,
            "struck": (part["packets_lost"].to_numpy() > 0).astype(np.float64),
        }
        for name, scale in self.scales.items():
            if scale.failed is not None:
                found[name] = metric_values(part, name, scale, failed)
        return found

    def _add_sums(self, part: pd.DataFrame, weights: FloatArray, variables: Mapping[str, FloatArray]) -> None:
        entries = [weights]
        for name, values in variables.items():
            first = float(values[0]) if name not in ("failed", "struck") and math.isfinite(values[0]) else 0.0
            origin = self._origins.setdefault(name, first)
            apart = weights * (values - origin)
            self._squares[name] = self._squares.get(name, 0.0) + float((apart * (values - origin)).sum())
            entries.append(apart)
        self._weight_squares += float((weights**2).sum())
        self._keys.append(self._trial_keys(part))
        self._sums.append(np.stack(entries))
        if self._slot is None:
            self._keys[-1], self._sums[-1] = _merged(self._keys[-1], self._sums[-1])
            return
        self._slot.append(part["slot"].to_numpy(dtype=np.int64))
        self._known.update(np.unique(self._keys[-1])[:_FEW].tolist())
        if len(self._known) >= _FEW:
            self._slot = None
            pairs = [_merged(keys, sums) for keys, sums in zip(self._keys, self._sums, strict=True)]
            self._keys, self._sums = [keys for keys, _ in pairs], [sums for _, sums in pairs]

    def _trial_keys(self, part: pd.DataFrame) -> NDArray[np.int64]:
        """A number for each trial of each plan row and seed, int64 [slots]."""
        row, seed = (part[name].to_numpy(dtype=np.int64) for name in ("row", "seed"))
        trial = part["trial"].to_numpy(dtype=np.int64)
        pairs, which = np.unique(np.stack([row, seed]), axis=1, return_inverse=True)
        numbers = [self._groups.setdefault((int(a), int(b)), len(self._groups)) for a, b in pairs.T]
        return np.asarray((np.array(numbers, dtype=np.int64)[which.reshape(-1)] << 32) + trial)

    def _batched(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Mass and sums by name: of each trial, and of each batch (``batch_labels``)."""
        keys, sums = np.concatenate(self._keys), np.concatenate(self._sums, axis=1)
        self._keys, self._sums = [keys], [sums]
        names = ("mass", *self._origins)
        trials = dict(zip(names, _merged(keys, sums)[1], strict=True))
        if self._slot is None:
            return trials, trials
        trial = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        batch = batch_labels(trial, np.concatenate(self._slot), len(self._images))
        return trials, {name: np.bincount(batch, one) for name, one in zip(names, sums, strict=True)}  # type: ignore[misc]

    def _batch_sums(self, name: str, batches: Mapping[str, FloatArray]) -> BatchSums:
        return BatchSums(batches["mass"], batches[name], self._squares[name], self._weight_squares, self._origins[name])

    def _losses(self, name: str, batches: Mapping[str, FloatArray]) -> Losses | None:
        """The slots that lost packets, and their mean of a variable; None if the channel is not known to lose any."""
        if not self._can_lose:
            return None
        quality = self._struck[name] / self._struck_mass if self._struck_mass > 0 else math.nan
        return Losses(self._batch_sums("struck", batches), quality)

    def _mean_received(self, name: str) -> float:
        return self._received[name] / self._received_mass if self._received_mass > 0 else math.nan

    def _traffic_columns(self, mass: float) -> dict[str, float]:
        total = self._traffic
        sent = total["packets_sent"]
        return {
            "bpp": total["bpp"] / mass,
            "bytes_per_slot": total["bytes"] / mass,
            "packets_per_slot": sent / mass,
            "recovered_per_slot": total["packets_recovered"] / mass,
            "usable_per_slot": total["packets_usable"] / mass,
            **{f"{name}_rate": total[f"packets_{key}"] / sent if sent else math.nan for name, key in _RATES},
            "unresolved": 0.0,
        }


_RATES = (("loss", "lost"), ("late", "late"), ("dropped", "dropped"))


def _merged(keys: NDArray[np.int64], sums: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Entries of equal keys added up: distinct keys in order, and their sums [variables + 1, keys]."""
    if (np.diff(keys) < 0).any():
        order = np.argsort(keys, kind="stable")
        keys, sums = keys[order], sums[:, order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1])
    return keys[starts], np.add.reduceat(sums, starts, axis=1)

"""Metrics beside PSNR: a plug-in of group ``netsim.metrics``, what it returns, and how its values count in means.

A metric is a function ``(reference uint8 [H, W, 3], images uint8 [m, H, W, 3]) -> float [m]``. Attributes of the
function, all optional, say how its values count::

    failed            what a failed image counts as; without it failed slots are left out of the metric's means
    lowest, highest   the range of its values; they bound what the exact engine did not decode
    higher_is_better  True or False

``smallest_side_pixels`` is read when a scenario is checked: smaller images are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError
from netsim.registry import load_plugin
from netsim.signatures import kind_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LOG_COLUMNS",
    "LOSSLESS_DB",
    "SUMMARY_COLUMNS",
    "Scale",
    "check_metric_attributes",
    "check_metric_name",
    "further_metrics",
    "measured",
    "reserved_names",
    "scale_of",
    "was_measured",
]

LOG_COLUMNS = (
    *("run_id", "row", "engine", "trial", "slot", "packet", "start_s", "time_s"),
    *("image", "codec", "settings", "operating_point", "mode", "protection", "scheme", "channel", "link", "seed"),
    *("packets_sent", "packets_delivered", "packets_lost", "packets_late", "packets_dropped"),
    *("packets_recovered", "packets_usable", "can_fail", "can_lose", "drawn", "usable_mask", "design_weight"),
    *("bytes", "bpp", "status", "psnr_db", "weight"),
)
"""Columns that every log has. All others are metrics."""

SUMMARY_COLUMNS = (
    *("slots", "trials", "images", "bytes_per_slot", "packets_per_slot", "recovered_per_slot", "usable_per_slot"),
    *("psnr_low", "psnr_high", "psnr_variance_over_trials", "psnr_received_db"),
    *("failure_ratio", "failure_low", "failure_high", "failure_db", "loss_rate", "late_rate", "dropped_rate"),
    "unresolved",
)
"""Columns that every summary has, but those of the log. All others are metrics with their intervals."""

_ENDINGS = ("_low", "_high", "_received")  # a summary has these columns of each metric

LOSSLESS_DB = 100.0
"""PSNR with which a lossless image counts in means."""


@dataclass(frozen=True)
class Scale:
    """How a metric's values count: see the module."""

    failed: float | None = None
    lowest: float = -math.inf
    highest: float = math.inf
    higher_is_better: bool | None = None

    @property
    def shown_is_greater(self) -> bool | None:
        """Whether values of images are above ``failed`` (True) or below it (False); None: nothing tells.

        >>> Scale(failed=0.0, lowest=0.0).shown_is_greater, Scale(failed=0.8, higher_is_better=False).shown_is_greater
        (True, False)
        """
        if self.failed is not None and (self.failed <= self.lowest) != (self.failed >= self.highest):
            return self.failed <= self.lowest
        return self.higher_is_better


_KNOWN = {"ms_ssim": Scale(failed=0.0, lowest=0.0, highest=1.0, higher_is_better=True)}  # without importing torch


def scale_of(metric: str) -> Scale:
    """The scale of a metric; that of an unknown one where the plug-in is not installed here.

    Args:
        metric: As in a scenario.

    Returns:
        The scale.
    """
    if metric in _KNOWN:
        return _KNOWN[metric]
    try:
        function = load_plugin("metric", metric)
    except InputError:
        return Scale()
    given = {field.name: getattr(function, field.name) for field in fields(Scale) if hasattr(function, field.name)}
    return Scale(**given)


def further_metrics(columns: Iterable[str]) -> list[str]:
    """The metrics among a log's columns, PSNR left out.

    Args:
        columns: Names of a log's columns.

    Returns:
        Names of metrics, in the columns' order.

    >>> further_metrics(["slot", "psnr_db", "sharpness", "weight"])
    ['sharpness']
    """
    return [name for name in columns if name not in LOG_COLUMNS]


def was_measured(log: pd.DataFrame, metric: str) -> bool:
    """Whether a log has values of a metric: older logs have a column of MS-SSIM also where nobody asked for it.

    Args:
        log: A run's log.
        metric: A column of it.

    Returns:
        True if it has a value, or if no slot showed an image.
    """
    return bool(log[metric].notna().any()) or not log["status"].isin(["full", "partial"]).any()


def reserved_names() -> tuple[str, ...]:
    """The built-in metric."""
    return ("psnr_db",)


def check_metric_name(metric: str) -> None:
    """Check that the columns of a metric are not already columns of the log or the summary.

    Args:
        metric: As in a scenario.

    Raises:
        InputError: It is the name of another column.
    """
    if metric == "psnr_db":
        return
    clash = next((ending for ending in _ENDINGS if metric.endswith(ending)), "")
    if metric in LOG_COLUMNS or metric in SUMMARY_COLUMNS:
        wrong = f"has the name of a column of every {'log' if metric in LOG_COLUMNS else 'summary'}"
    elif taken := next((f"{metric}{ending}" for ending in _ENDINGS if f"{metric}{ending}" in SUMMARY_COLUMNS), ""):
        wrong = f"has an interval in the column `{taken}`, which every summary has"
    elif clash:
        wrong = f"ends with `{clash}`, as columns of a summary do beside each metric's mean"
    elif not re.fullmatch(r"[\w-]+", metric):
        wrong = "has a name that can't be a column: letters, digits, underscores and hyphens"
    else:
        return
    hint = "register it by another name; PSNR is `psnr_db`" if metric == "psnr" else "register it by another name"
    raise InputError(f"metric `{metric}` {wrong}", hint=hint)


def check_metric_attributes(metric: str) -> None:
    """Check what a metric says of its values.

    Args:
        metric: As in a scenario.

    Raises:
        InputError: An attribute is not of its type, or there is no such metric.
    """
    function = load_plugin("metric", metric)
    for key, (kinds, hint) in _ATTRIBUTES.items():
        value = getattr(function, key, None)
        is_kind = isinstance(value, kinds) and isinstance(value, bool | np.bool_) == (key == "higher_is_better")
        if value is not None and (not is_kind or value != value):
            raise InputError(f"metric `{metric}`: {key} is {value!r}", hint=hint)


_NUMBERS = (int, float, np.integer, np.floating)
_ATTRIBUTES: dict[str, tuple[tuple[type, ...], str]] = {
    "failed": (_NUMBERS, "the number that a failed image counts as; without it failed slots are left out of the means"),
    "lowest": (_NUMBERS, "the smallest value that the metric can have"),
    "highest": (_NUMBERS, "the largest value that the metric can have"),
    "higher_is_better": ((bool, np.bool_), "True or False"),
    "smallest_side_pixels": ((int, np.integer), "a whole number of pixels"),
}


def measured(metric: str, reference: NDArray[np.uint8], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A metric's values, one for each image.

    Args:
        metric: As in a scenario.
        reference: The image, uint8 [H, W, 3].
        images: What is shown of it, uint8 [m, H, W, 3].

    Returns:
        float64 [m].

    Raises:
        InputError: The metric returns anything else.
    """
    returned: Any = load_plugin("metric", metric)(reference, images)
    try:
        values = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"metric `{metric}` returns {kind_of(returned)}", hint=_RETURNS) from None
    if values.shape != (len(images),):
        raise InputError(f"metric `{metric}` returns shape {values.shape} for {len(images)} images", hint=_RETURNS)
    if np.isnan(values).any():
        raise InputError(f"metric `{metric}` returns nan", hint=_RETURNS)
    return values


_RETURNS = "a metric returns one number for each image: float [m]"

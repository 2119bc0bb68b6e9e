"""Does a metric keep its contract? A battery that anybody runs on their own function (``netsim check-metric NAME``).

Each check is one sentence of ``netsim.metrics.further``, tried with seeded images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = ["CHECKS", "MetricCheck", "check_metric"]

_SEED = 20261
_SIZES = ((64, 96), (97, 71))
_IMAGES = 4
_TOLERANCE = 1e-6  # relative; sums in another order differ in their last digits

Metric = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class MetricCheck:
    """One check's outcome.

    Attributes:
        name: The check's.
        passed: Whether the metric does what the sentence says.
        detail: What was tried, or what went wrong.
    """

    name: str
    passed: bool
    detail: str


class _Broken(Exception):
    """A sentence of the contract that does not hold."""


def _cases(metric: Metric) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """References uint8 [H, W, 3] with images uint8 [m, H, W, 3]: the reference, noisy ones, a grey one."""
    least = int(getattr(metric, "smallest_side_pixels", 1))
    for number, sides in enumerate(_SIZES):
        height, width = (max(side, least) for side in sides)
        rng = np.random.default_rng([_SEED, number])
        rough = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)
        reference = rough[:height, :width].astype(np.uint8)
        noisy = [(reference + rng.normal(0, sigma, reference.shape)).clip(0, 255).astype(np.uint8) for sigma in (2, 20)]
        yield reference, np.stack([reference, *noisy, np.full_like(reference, 128)])


def one_number_per_image(metric: Metric) -> str:
    """m images give m numbers, none of them NaN; no image gives none.

    Args:
        metric: The metric to check.

    Returns:
        What was tried, for the report.
    """
    for reference, images in _cases(metric):
        values = np.asarray(metric(reference, images))
        if values.shape != (_IMAGES,) or values.dtype.kind not in "fiu":
            raise _Broken(f"{_IMAGES} images give {values.dtype} {list(values.shape)}, not {_IMAGES} numbers")
        if np.isnan(values.astype(float)).any():
            raise _Broken(f"image {int(np.isnan(values.astype(float)).argmax())} gives NaN")
    return f"{_IMAGES} images of {len(_SIZES)} sizes"


def alone_as_among_others(metric: Metric) -> str:
    """An image alone has the value that it has among others.

    Args:
        metric: The metric to check.

    Returns:
        What was tried, for the report.
    """
    for reference, images in _cases(metric):
        together = np.asarray(metric(reference, images), dtype=float)
        for place, image in enumerate(images):
            alone = np.asarray(metric(reference, image[None]), dtype=float)
            if alone.shape != (1,) or not np.isclose(alone[0], together[place], rtol=_TOLERANCE, equal_nan=True):
                raise _Broken(f"image {place} alone gives {alone.tolist()}, among others {together[place]!r}")
    return f"{_IMAGES} images"


def nothing_changes(metric: Metric) -> str:
    """A second call gives the same, and neither the reference nor the images change.

    Args:
        metric: The metric to check.

    Returns:
        What was tried, for the report.
    """
    for reference, images in _cases(metric):
        kept = reference.copy(), images.copy()
        first, second = (np.asarray(metric(reference, images)).copy() for _ in range(2))
        if not np.array_equal(first, second, equal_nan=True):
            raise _Broken("a second call gives other values")
        if not (np.array_equal(reference, kept[0]) and np.array_equal(images, kept[1])):
            raise _Broken("the call changes its images")
    return "two calls"


def within_its_range(metric: Metric) -> str:
    """Values lie between ``lowest`` and ``highest``, and so does ``failed``, where the metric has them.

    Args:
        metric: The metric to check.

    Returns:
        What was tried, for the report.
    """
    lowest, highest = (getattr(metric, key, None) for key in ("lowest", "highest"))
    low, high = -np.inf if lowest is None else float(lowest), np.inf if highest is None else float(highest)
    failed = getattr(metric, "failed", None)
    if low > high:
        raise _Broken(f"lowest is {lowest}, above highest, {highest}")
    if failed is not None and not low <= float(failed) <= high:
        raise _Broken(f"failed is {failed}, outside {lowest} to {highest}")
    for reference, images in _cases(metric):
        values = np.asarray(metric(reference, images), dtype=float)
        outside = (values < low) | (values > high)
        if outside.any():
            raise _Broken(f"image {int(outside.argmax())} gives {values[outside][0]:g}, outside {lowest} to {highest}")
    return "no range stated" if lowest is None and highest is None else f"{lowest} to {highest}"


def the_reference_is_best(metric: Metric) -> str:
    """Where ``higher_is_better`` says which way is better, no image has a better value than the reference itself.

    Args:
        metric: The metric to check.

    Returns:
        What was tried, for the report.
    """
    higher = getattr(metric, "higher_is_better", None)
    if higher is None:
        return "the metric does not say which way is better"
    for reference, images in _cases(metric):
        values = np.asarray(metric(reference, images), dtype=float) * (1 if higher else -1)
        if (values > values[0]).any():
            raise _Broken(f"image {int(values.argmax())} has a better value than the reference")
    return "higher is better" if higher else "lower is better"


CHECKS: dict[str, Callable[[Metric], str]] = {
    "one number per image": one_number_per_image,
    "alone as among others": alone_as_among_others,
    "nothing changes": nothing_changes,
    "within its range": within_its_range,
    "the reference is best": the_reference_is_best,
}
"""Name of each check, in order, with the function that makes it."""


def check_metric(metric: Metric) -> list[MetricCheck]:
    """Run every check on a metric.

    Args:
        metric: A function ``(reference uint8 [H, W, 3], images uint8 [m, H, W, 3]) -> float [m]``.

    Returns:
        One outcome per check, in the order of ``CHECKS``; an exception inside a check counts as a failure.

    Raises:
        InputError: ``metric`` can't be called.

    >>> from netsim.metrics.psnr import psnr_db
    >>> all(check.passed for check in check_metric(psnr_db))
    True
    """
    if not callable(metric):
        raise InputError(f"check_metric takes a function, not {metric!r}", hint="the function itself, not its name")
    results = []
    for name, check in CHECKS.items():
        try:
            results.append(MetricCheck(name, True, check(metric)))
        except _Broken as broken:
            results.append(MetricCheck(name, False, str(broken)))
        except Exception as error:  # a metric under test may raise anything
            results.append(MetricCheck(name, False, f"{type(error).__name__}: {error}"))
    return results

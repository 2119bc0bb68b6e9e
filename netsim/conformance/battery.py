"""Runs every check on every image at every operating point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from netsim.codec import Codec, OperatingPoint, check_codec_class, check_point_value
from netsim.conformance.case import Broken, Case, Image, fault
from netsim.conformance.checks import CHECKS
from netsim.errors import InputError

__all__ = ["CheckResult", "check_codec"]


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome. detail: what was tried, or what went wrong and where."""

    name: str
    passed: bool
    detail: str


def _default_points(codec: Codec) -> Iterator[OperatingPoint]:
    if "bpp" not in codec.operating_point_keys:
        keys = ", ".join(codec.operating_point_keys)
        hint = f"name at least one, by {keys}"
        raise InputError(f"codec {codec.name} has no operating point `bpp` to check it at", hint=hint)
    yield OperatingPoint("bpp", 0.5)


def check_codec(
    codec: Codec,
    images: Sequence[Image],
    operating_points: Sequence[OperatingPoint] | None = None,
    *,
    damage: bool = True,
) -> list[CheckResult]:
    """Run every check on every image at every operating point.

    Args:
        codec: The codec with its settings.
        images: uint8 [H, W, 3] each; small ones suffice.
        operating_points: None: .5 bpp, if the codec takes bpp.
        damage: Also try damaged payloads. Leave this out for a codec whose native decoder may end the process.

    Returns:
        One result per check, in the order of ``CHECKS``. An exception inside a check counts as a failure. Where
        ``encode`` returns no stream nothing else can be tried: the only result is that of the first check.

    Raises:
        InputError: ``codec`` is not an instance, its class is at fault, an operating point is outside its limits, or
            none is given and the codec takes no bpp.
    """
    if not isinstance(codec, Codec):
        message = f"check_codec takes a codec with its settings, not {codec!r}"
        raise InputError(message, hint='an instance: MyCodec(), or create_codec("my-codec", {})')
    check_codec_class(codec.name, type(codec))
    points = list(operating_points) if operating_points is not None else list(_default_points(codec))
    for point in points:
        check_point_value(type(codec), point.key, float(point.value))
    cases = [Case(codec, image, point, seed) for seed, (image, point) in enumerate(product(images, points))]
    names = [name for name in CHECKS if damage or name != "damaged payload"]
    if broken := next(filter(None, map(_no_stream, cases)), None):
        return [broken]
    return [_run(name, cases) for name in names]


def _no_stream(case: Case) -> CheckResult | None:
    """The failure of a case whose image makes no stream."""
    try:
        _ = case.stream
    except InputError as error:
        return CheckResult(next(iter(CHECKS)), False, f"{case}: {error.message}")
    except Exception as error:  # a codec under test may raise anything
        return CheckResult(next(iter(CHECKS)), False, f"{case}: encode raises {fault(error, case.codec)}")
    return None


def _run(name: str, cases: Sequence[Case]) -> CheckResult:
    details = []
    for case in cases:
        try:
            details.append(CHECKS[name](case))
        except Broken as broken:
            return CheckResult(name, False, str(broken))
        except InputError as error:
            return CheckResult(name, False, f"{case}: {error.message}")
        except Exception as error:  # a codec under test may raise anything
            return CheckResult(name, False, f"{case}: {fault(error, case.codec)}")
    return CheckResult(name, True, "; ".join(dict.fromkeys(details)))

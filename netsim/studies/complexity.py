"""Study ``complexity``: parameters and times of codecs against a reference, measured in one process."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, create_codec
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError, did_you_mean
from netsim.machine import processor_name
from netsim.scenario.plan import Plan
from netsim.statistics.intervals import median_interval
from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Output, Table
from netsim.studies.plan_schemes import PlanScheme, plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    pass

__all__ = ["Complexity", "ComplexityOptions", "Measured", "add_complexity", "hardware", "measure_complexity"]

_MIB_PER_PARAMETER = 4 / 2**20  # float32
_REPEATS = 3


class ComplexityOptions(StudyOptions):
    """reference: the scheme to which ratios are taken."""

    reference: str


class Complexity(Study):
    """Encodes and decodes each image with each scheme, all packets received."""

    name = "complexity"
    Options = ComplexityOptions

    def measure(self, context: StudyContext) -> tuple[Plan, list[Measured]]:
        return context.plan, measure_complexity(context.plan)

    def compare(self, table: Comparison, measured: tuple[Plan, list[Measured]]) -> None:
        add_complexity(table, measured[1], self.options.reference)

    def draw(self, recipe: Recipe, measured: tuple[Plan, list[Measured]]) -> Iterable[Output]:
        yield times_table(*measured)


@dataclass(frozen=True, eq=False)
class Measured:
    """A scheme's trained parameters (None: none) and times, float64 [images], in ms: the least of some repeats."""

    scheme: str
    parameters: int | None
    encode_ms: NDArray[np.float64]
    decode_ms: NDArray[np.float64]


def measure_complexity(plan: Plan, several_points: bool = False) -> list[Measured]:
    """Encode and decode each image of the plan with each of its schemes, all packets received, in this process.

    Schemes take turns, image by image and repeat by repeat, so that a change of the machine's load meets them
    alike; before it counts, each has coded the first image once (loading of weights, compilation). Streams are made
    anew, not taken from the store; each encoding and each decoding is done by a fresh instance of the codec, which
    remembers no image and has its weights loaded. Each time is the least of three.

    Args:
        plan: Its schemes and images; its channels are not used.
        several_points: Whether a scheme may have several operating points: its middle one is timed.

    Returns:
        One value per scheme, in the plan's order.

    Raises:
        InputError: A scheme has several operating points and may not.
    """
    points: dict[str, list[PlanScheme]] = {}
    for one in plan_schemes(plan):
        points.setdefault(one.label, []).append(one)
        if len(points[one.label]) > 1 and not several_points:
            raise InputError(f"{one.label} has several operating points", hint="times are compared at one")
    chosen: dict[str, tuple[Codec, Sequence[StreamKey]]] = {}
    for label, mine in points.items():
        coded_images = mine[len(mine) // 2].images
        first = coded_images[0]
        chosen[label] = (create_codec(first.codec, dict(first.settings) | dict(first.files)), coded_images)
    for codec, coded in chosen.values():
        _times(codec, coded[0])
    images, schemes = len(plan.image_names), list(chosen)
    times = np.full((len(schemes), images, 2), np.inf)
    for image in range(images):
        for _ in range(_REPEATS):
            for number, (codec, coded) in enumerate(chosen.values()):
                times[number, image] = np.minimum(times[number, image], _times(codec, coded[image]))
    return [Measured(label, chosen[label][0].parameters, *times[i].T) for i, label in enumerate(schemes)]


def _times(codec: Codec, coded: StreamKey) -> tuple[float, float]:
    """(encode, decode) in ms, each by an instance of its own: nothing of the image is known before."""
    image = coded.image.pixels()
    sender, receiver = codec.for_timing(), codec.for_timing()
    start = time.perf_counter()
    stream = sender.encode(image, coded.point, coded.packet_limit_bytes)
    encoded = time.perf_counter()
    masks = np.ones((1, len(stream)), dtype=bool)
    begin = time.perf_counter()
    receiver.decode(stream, masks)
    return 1000 * (encoded - start), 1000 * (time.perf_counter() - begin)


def times_table(plan: Plan, measured: Sequence[Measured]) -> Table:
    """The times of each scheme and image, with the machine that measured.

    Args:
        plan: The plan that was measured.
        measured: From :func:`measure_complexity`.

    Returns:
        Table ``times``: columns hardware, scheme, image, encode_ms, decode_ms.
    """
    import pandas as pd

    rows = [
        {"hardware": hardware(), "scheme": one.scheme, "image": image, "encode_ms": encode, "decode_ms": decode}
        for one in measured
        for image, encode, decode in zip(plan.image_names, one.encode_ms, one.decode_ms, strict=True)
    ]
    return Table("times", pd.DataFrame(rows))


def add_complexity(table: Comparison, measured: Sequence[Measured], reference_name: str) -> None:
    """Adds parameters (MiB in float32), times (median over images) and their ratios to the reference's.

    A ratio is the median of the images' own ratios; intervals: ``median_interval`` over the images. The published
    ratios are computed from the published numbers.

    Args:
        table: Gets a row for each number; its condition is the machine that measured: milliseconds of two machines
            can't be compared, ratios can.
        measured: From :func:`measure_complexity`.
        reference_name: Label of the scheme that the ratios are of.

    Raises:
        InputError: The reference is not among the schemes.
    """
    by_scheme = {one.scheme: one for one in measured}
    if reference_name not in by_scheme:
        raise InputError(f"no scheme `{reference_name}`", hint=did_you_mean(reference_name, by_scheme))
    reference, machine = by_scheme[reference_name], hardware()
    theirs = {name: table.points("", name).get("", {}) for name in by_scheme}
    for one in measured:
        found = {} if one.parameters is None else {"parameters": certain(one.parameters)}
        if one.parameters is not None:
            found["parameters_mib"] = certain(one.parameters * _MIB_PER_PARAMETER)
        found |= {"encode_ms": median_interval(one.encode_ms), "decode_ms": median_interval(one.decode_ms)}
        if one is not reference:
            found["encode_ratio"] = median_interval(one.encode_ms / reference.encode_ms)
            found["decode_ratio"] = median_interval(one.decode_ms / reference.decode_ms)
            if one.parameters and reference.parameters:
                found["parameters_ratio"] = certain(one.parameters / reference.parameters)
        ratios = _with_ratios(theirs[one.scheme], theirs[reference.scheme])
        for name, ours in found.items():
            published = ratios.get(name) if name not in theirs[one.scheme] else None
            table.add(machine, one.scheme, name, ours, paper_condition="", published=published)


def _with_ratios(mine: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    bases = {"encode_ratio": "encode_ms", "decode_ratio": "decode_ms", "parameters_ratio": "parameters_mib"}
    both = {name: base for name, base in bases.items() if base in mine and base in reference}
    return mine | {name: mine[base] / reference[base] for name, base in both.items()}


def hardware() -> str:
    """The processor, how many of its cores this process may use, the system, and whether other programs need them.

    Times measured on a busy machine are too long, so its load (mean of the last minute) is said.

    Returns:
        One line of text.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plural = "" if cores == 1 else "s"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = f", busy with other programs (load {load:.1f})" if load > cores + 0.5 else ""
    return f"{processor_name()}, {cores} core{plural}, {platform.system()}{busy}"

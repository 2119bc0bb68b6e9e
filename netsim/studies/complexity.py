"""Parameters and times of codecs against a reference, measured in one process and one run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, create_codec
from netsim.decoding.workshop import CodedPicture
from netsim.errors import InputError, did_you_mean
from netsim.machine import processor_name
from netsim.metrics.intervals import Estimate, median_interval
from netsim.studies.comparison import comparison
from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe
from netsim.studies.schemes import plan_schemes
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Complexity", "compare_complexity", "hardware", "measure_complexity"]

_MIB_PER_PARAMETER = 4 / 2**20  # float32
_REPEATS = 3


@dataclass(frozen=True, eq=False)
class Complexity:
    """A scheme's trained parameters (None: none) and times, float64 [pictures], in ms: the least of some repeats."""

    scheme: str
    parameters: int | None
    encode_ms: NDArray[np.float64]
    decode_ms: NDArray[np.float64]


def measure_complexity(plan: Plan) -> list[Complexity]:
    """Encode and decode each picture of the plan with each of its schemes, all packets received, in this process.

    Schemes take turns, picture by picture and repeat by repeat, so that a change of the machine's load meets them
    alike; before it counts, each has coded the first picture once (loading of weights, compilation). Streams are made
    anew, not taken from the store; each encoding and each decoding is done by a fresh instance of the codec, which
    remembers no image and has its weights loaded. Each time is the least of three.

    Raises InputError for a scheme with several operating points.
    """
    chosen: dict[str, tuple[Codec, Sequence[CodedPicture]]] = {}
    for one in plan_schemes(plan):
        if one.label in chosen:
            raise InputError(f"{one.label} has several operating points", hint="times are compared at one")
        first = one.pictures[0]
        chosen[one.label] = (create_codec(first.codec, dict(first.settings)), one.pictures)
    for codec, pictures in chosen.values():
        _times(codec, pictures[0])
    images, schemes = len(plan.image_names), list(chosen)
    times = np.full((len(schemes), images, 2), np.inf)
    for image in range(images):
        for _ in range(_REPEATS):
            for number, (codec, pictures) in enumerate(chosen.values()):
                times[number, image] = np.minimum(times[number, image], _times(codec, pictures[image]))
    return [Complexity(label, chosen[label][0].parameters, *times[i].T) for i, label in enumerate(schemes)]


def _times(codec: Codec, coded: CodedPicture) -> tuple[float, float]:
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


def compare_complexity(recipe: Recipe, measured: Sequence[Complexity]) -> pd.DataFrame:
    """comparison.csv: parameters (MiB in float32), times (median over pictures) and their ratios to the reference's.

    A ratio is the median of the pictures' own ratios; intervals: ``median_interval`` over the pictures. The published
    ratios are computed from the published numbers. condition: the machine that measured; milliseconds of two machines
    can't be compared, ratios can. Raises InputError if the reference is not among the schemes.
    """
    by_scheme = {one.scheme: one for one in measured}
    if recipe.reference not in by_scheme:
        raise InputError(f"no scheme `{recipe.reference}`", hint=did_you_mean(str(recipe.reference), by_scheme))
    reference, table = by_scheme[recipe.reference], published_table(recipe)
    theirs = {name: published_points(recipe, table, "", name).get("", {}) for name in by_scheme}
    rows, machine = [], hardware()
    for one in measured:
        found = {} if one.parameters is None else {"parameters": _certain(one.parameters)}
        if one.parameters is not None:
            found["parameters_mib"] = _certain(one.parameters * _MIB_PER_PARAMETER)
        found |= {"encode_ms": median_interval(one.encode_ms), "decode_ms": median_interval(one.decode_ms)}
        if one is not reference:
            found["encode_ratio"] = median_interval(one.encode_ms / reference.encode_ms)
            found["decode_ratio"] = median_interval(one.decode_ms / reference.decode_ms)
            if one.parameters and reference.parameters:
                found["parameters_ratio"] = _certain(one.parameters / reference.parameters)
        known = _with_ratios(theirs[one.scheme], theirs[reference.scheme])
        rows += [[recipe.name, machine, one.scheme, name, *ours, known.get(name)] for name, ours in found.items()]
    return comparison(rows)


def _certain(value: float) -> Estimate:
    return Estimate(float(value), float(value), float(value))


def _with_ratios(mine: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    bases = {"encode_ratio": "encode_ms", "decode_ratio": "decode_ms", "parameters_ratio": "parameters_mib"}
    both = {name: base for name, base in bases.items() if base in mine and base in reference}
    return mine | {name: mine[base] / reference[base] for name, base in both.items()}


def hardware() -> str:
    """The processor, how many of its cores this process may use, and the system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plural = "" if cores == 1 else "s"
    return f"{processor_name()}, {cores} core{plural}, {platform.system()}"

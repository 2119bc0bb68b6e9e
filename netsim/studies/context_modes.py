"""Study ``context_modes``: which slices each slice is predicted from (ResiComp, Fig. 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec
from netsim.decoding.streams import codec_of
from netsim.engines.exact import ALL_MASKS_PACKETS, all_masks
from netsim.errors import InputError
from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Drawing, Output
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext

__all__ = ["ContextMatrix", "ContextModes", "context_matrix", "usable_masks"]

BoolArray = NDArray[np.bool_]


@runtime_checkable
class _HasContexts(Protocol):
    """A codec whose packets are predicted from one another."""

    @property
    def contexts(self) -> BoolArray:
        """bool [L, L]: entry (i, j) is true where slice i has slice j among its contexts."""


@dataclass(frozen=True, eq=False)
class ContextMatrix:
    """A scheme's matrix, bool [L, L], and the number of different sets of usable slices that losses can leave."""

    scheme: str
    matrix: BoolArray
    usable_masks: int


def context_matrix(codec: Codec) -> BoolArray:
    """The codec's matrix.

    Args:
        codec: A codec with the attribute ``contexts``.

    Returns:
        bool [L, L]: entry (i, j) is True if slice j is a context of slice i.

    Raises:
        InputError: The codec has none.
    """
    if not isinstance(codec, _HasContexts):
        raise InputError(f"{codec.label} has no context matrix", hint="the context_modes study is for such codecs")
    return np.asarray(codec.contexts, dtype=bool)


def usable_masks(matrix: BoolArray) -> int:
    """How many different sets of usable slices there are: a slice is usable if it and all its contexts arrived.

    Args:
        matrix: bool [L, L], transitively closed.

    Returns:
        The number of different sets, the empty one included.

    Raises:
        InputError: There are too many slices to list all masks.

    >>> usable_masks(np.tri(10, k=-1, dtype=bool))
    11
    """
    if len(matrix) > ALL_MASKS_PACKETS:
        raise InputError(f"{len(matrix)} slices", hint=f"all masks are listed up to {ALL_MASKS_PACKETS} slices")
    received = all_masks(len(matrix))
    complete = ~((~received).astype(np.int64) @ matrix.T.astype(np.int64)).astype(bool)
    return len(np.unique(received & complete, axis=0))


class ContextModes(Study):
    """Reads the matrices of the scenario's schemes; encodes nothing."""

    name = "context_modes"

    def measure(self, context: StudyContext) -> list[ContextMatrix]:
        found: dict[str, ContextMatrix] = {}
        for scheme in plan_schemes(context.plan):
            coded = scheme.images[0]
            matrix = context_matrix(codec_of(coded))
            found[scheme.label] = ContextMatrix(scheme.label, matrix, usable_masks(matrix))
        return list(found.values())

    def compare(self, table: Comparison, measured: list[ContextMatrix]) -> None:
        for one in measured:
            condition = f"{len(one.matrix)} slices"
            table.add(condition, one.scheme, "context_links", certain(int(one.matrix.sum())))
            table.add(condition, one.scheme, "usable_masks", certain(one.usable_masks))

    def draw(self, recipe: Recipe, measured: list[ContextMatrix]) -> Iterable[Output]:
        from netsim.figures.context_modes import draw, numbers

        drawn = {one.scheme: one.matrix for one in measured}
        yield Drawing("context_modes", draw(drawn), numbers(drawn))

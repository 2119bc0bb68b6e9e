"""Study ``token_densities``: what a token's predicted distribution gains from more context (ResiComp, Fig. 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from netsim.codec import Stream
from netsim.errors import InputError
from netsim.statistics.intervals import mean_interval
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

__all__ = ["TokenDensities", "TokenDensitiesOptions"]


class TokenDensitiesOptions(StudyOptions):
    """contexts: numbers of slices that are known, ascending. image: name of the image that
    is drawn; the plan's first without one."""

    contexts: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)] = [0, 1, 3, 6]  # noqa: RUF012
    image: str | None = None


@runtime_checkable
class _PredictsTokens(Protocol):
    def token_densities(self, stream: Stream, contexts: int) -> Any:
        """Predicted distributions of the last slice's tokens, given the stream's first ``contexts`` slices.

        An object with ``bits`` (of each token, float64 [tokens]), ``symbols`` (int64 [k], those whose probability is
        given), ``probabilities`` (float64 [k]), ``actual`` (the symbol that was encoded), ``channel``; the last four
        are of the channel of the slice's first token that is least certain without context.
        """


@dataclass(frozen=True, eq=False)
class _Measured:
    scheme: str
    operating_point: str
    bits: dict[int, list[float]]  # by number of context slices: bits of a token of the last slice, mean of each image
    drawn: dict[int, Any]
    image: str


class TokenDensities(Study):
    """Predicts the last slice's tokens from ever more slices before it; the scenario's channels are not used."""

    name = "token_densities"
    Options = TokenDensitiesOptions

    def measure(self, context: StudyContext) -> list[_Measured]:
        plan, asked = context.plan, self.options
        number = context.image_place(asked.image)
        found = []
        with context.cache() as cache:
            for scheme in plan_schemes(plan):
                bits: dict[int, list[float]] = {count: [] for count in asked.contexts}
                drawn = {}
                for place, coded in enumerate(scheme.images):
                    codec, stream = cache.codec(coded), cache.encode(coded)
                    if not isinstance(codec, _PredictsTokens):
                        raise InputError(f"{codec.label} has no token densities")
                    for count in asked.contexts:
                        density = codec.token_densities(stream, count)
                        bits[count].append(float(np.mean(density.bits)))
                        if place == number:
                            drawn[count] = density
                named = scheme.label, scheme.operating_point
                found.append(_Measured(*named, bits, drawn, plan.image_names[number]))
        return found

    def compare(self, table: Comparison, measured: list[_Measured]) -> None:
        """Mean bits of a token of the last slice, with the t interval over the images.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for one in measured:
            for count, values in one.bits.items():
                mean = mean_interval(np.array(values), np.ones(len(values)), np.arange(len(values)))
                condition = f"{count} context slices"
                table.add(condition, one.scheme, "bits_per_token", mean, operating_point=one.operating_point)

    def draw(self, recipe: Recipe, measured: list[_Measured]) -> Iterable[Output]:
        from netsim.figures.token_densities import draw, numbers

        for number, one in enumerate(measured, 1):
            frame = numbers(one.drawn)
            name = "token_densities" if len(measured) == 1 else f"token_densities_{number}"
            yield Drawing(name, draw(frame, f"{one.scheme} {one.operating_point}, {one.image}"), frame)

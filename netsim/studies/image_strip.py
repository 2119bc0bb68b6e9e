"""Study ``image_strip``: what each scheme shows of one image under one loss pattern (Sha et al., Fig. 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netsim.analysis.strip import StripImage, strip_image, strip_numbers
from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Drawing, Output
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

__all__ = ["ImageStrip", "ImageStripOptions"]

_MOST_PACKETS = 4096


class ImageStripOptions(StudyOptions):
    """lost: packets that don't arrive, of those that can be lost, from 1, for all schemes. image: its name; the plan's
    first without one."""

    lost: Annotated[list[Annotated[int, Field(ge=1, le=_MOST_PACKETS)]], Field(min_length=1)]
    image: str | None = None


@dataclass(frozen=True, eq=False)
class _Measured:
    name: str
    original: NDArray[np.uint8]
    images: list[StripImage]
    losses: str


class ImageStrip(Study):
    """Decodes one image with each scheme; the scenario's channels are not used."""

    name = "image_strip"
    Options = ImageStripOptions

    def measure(self, context: StudyContext) -> _Measured:
        plan, asked = context.plan, self.options
        number = context.image_place(asked.image)
        pattern = np.ones(_MOST_PACKETS, dtype=bool)
        pattern[np.array(asked.lost) - 1] = False
        with context.cache() as cache:
            images = [
                strip_image(cache, one.images[number], one.protection, (one.label, one.operating_point), pattern)
                for one in plan_schemes(plan)
            ]
        plural = "" if len(asked.lost) == 1 else "s"
        losses = f"packet{plural} {', '.join(map(str, asked.lost))} lost"
        return _Measured(plan.image_names[number], plan.images.items[number].pixels(), images, losses)

    def compare(self, table: Comparison, measured: _Measured) -> None:
        """One image under given losses: nothing random, no interval.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for one in measured.images:
            condition = f"{measured.name}, {measured.losses}"
            table.add(condition, one.scheme, "psnr_db", certain(one.psnr_db), operating_point=one.operating_point)

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        from netsim.figures.strip import draw

        figure = draw(measured.original, measured.images, measured.losses)
        yield Drawing("image_strip", figure, strip_numbers(measured.name, measured.losses, measured.images))

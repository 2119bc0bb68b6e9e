"""Study ``first_slices``: where the first slices' tokens lie, and what they show (ResiComp, Fig. 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netsim.codec_calls import decoded_images, usable_packets
from netsim.metrics.psnr import psnr_db
from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Drawing, Output
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions
from netsim.studies.tokens import token_packets

__all__ = ["FirstSlices", "FirstSlicesOptions", "Preview"]


class FirstSlicesOptions(StudyOptions):
    """slices: how many at most. image: its name; the plan's first without one."""

    slices: Annotated[int, Field(ge=1, le=9)] = 3
    image: str | None = None


@dataclass(frozen=True, eq=False)
class Preview:
    """An image from its first slices.

    Attributes:
        scheme: As in a log.
        operating_point: Likewise.
        original: uint8 [H, W, 3].
        tokens: Packet of each token, int64 [rows, columns]; None if the codec does not say. Protected packets come
            first; ``first`` is the number of the first packet that can be lost.
        first: See tokens.
        images: From 0, 1, … slices, uint8 [H, W, 3]; None where there is none.
        psnr_db: Of each; NaN where there is none.
    """

    scheme: str
    operating_point: str
    original: NDArray[np.uint8]
    tokens: NDArray[np.int64] | None
    first: int
    images: tuple[NDArray[np.uint8] | None, ...]
    psnr_db: tuple[float, ...]


class FirstSlices(Study):
    """Decodes one image from its first slices; the scenario's channels are not used."""

    name = "first_slices"
    Options = FirstSlicesOptions

    def measure(self, context: StudyContext) -> list[Preview]:
        plan, asked = context.plan, self.options
        number = context.image_place(asked.image)
        found = []
        with context.cache() as cache:
            for scheme in plan_schemes(plan):
                coded = scheme.images[number]
                stream, codec = cache.encode(coded), cache.codec(coded)
                at_risk = np.flatnonzero(~stream.protected)
                masks = np.ones((min(asked.slices, len(at_risk)) + 1, len(stream)), dtype=bool)
                for count in range(len(masks)):
                    masks[count, at_risk[count:]] = False
                usable, original = usable_packets(codec, stream, masks), coded.image.pixels()
                images = [decoded_images(codec, stream, mask[None])[0] if mask.any() else None for mask in usable]
                psnr = [np.nan if one is None else float(psnr_db(original, one[None])[0]) for one in images]
                tokens = token_packets(codec, stream)
                about = (scheme.label, scheme.operating_point, original, tokens, int(at_risk[0]))
                found.append(Preview(*about, tuple(images), tuple(psnr)))
        return found

    def compare(self, table: Comparison, measured: list[Preview]) -> None:
        for one in measured:
            for count, quality in enumerate(one.psnr_db):
                condition = f"first {count} slices" if count != 1 else "first slice"
                table.add(condition, one.scheme, "psnr_db", certain(quality), operating_point=one.operating_point)

    def draw(self, recipe: Recipe, measured: list[Preview]) -> Iterable[Output]:
        from netsim.figures.first_slices import draw

        for number, one in enumerate(measured, 1):
            yield Drawing("first_slices" if len(measured) == 1 else f"first_slices_{number}", draw(one))

"""A picture while its packets come in and some of them don't: pictures at chosen packets, PSNR after each packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.decoding.workshop import CodedPicture, Workshop, mask_text, masks_from_text
from netsim.errors import InputError
from netsim.studies.comparison import comparison
from netsim.studies.recipe import Recipe
from netsim.studies.schemes import plan_schemes
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Course", "compare_progressive", "course_of", "courses_of", "progressive_numbers", "stages"]


@dataclass(frozen=True, eq=False)
class Course:
    """A scheme's stream on its way, packet by packet, with some of its packets lost.

    scheme: as in a log. lost: numbers of the droppable packets that don't arrive, counted from 1. psnr_db: float64
    [n + 1], after none … all of the n droppable packets were sent (the protected ones are there from the start), NaN
    where nothing can be shown; whole_db: the same without loss. stages: at which of them pictures are shown.
    pictures: uint8 [H, W, 3] per stage, None where there is none.
    """

    image: str
    scheme: str
    operating_point: str
    bpp: float
    lost: tuple[int, ...]
    psnr_db: NDArray[np.float64]
    whole_db: NDArray[np.float64]
    stages: tuple[int, ...]
    pictures: tuple[NDArray[np.uint8] | None, ...]


def stages(lost: Sequence[int], packets: int) -> tuple[int, ...]:
    """After which packets to look: before the first loss, before each further one, half-way to the end, at the end.

    lost: numbers from 1, ascending; packets: how many are sent. So each picture but the first has one loss more, and
    as many packets as came in before the next one. Half-way may be the end. Raises InputError if the last loss is not
    before the last packet.

    >>> stages([3, 6], 12)
    (2, 5, 9, 12)
    """
    if list(lost) != sorted(set(lost)):
        raise InputError(f"lost packets {list(lost)}", hint="ascending numbers, each once: lost: [3, 6]")
    if lost[-1] >= packets:
        hint = "a higher rate makes more packets, a larger picture too; or lose earlier ones"
        raise InputError(f"packet {lost[-1]} is to be lost, but only {packets} are sent", hint=hint)
    before = tuple(number - 1 for number in lost)
    half_way = max(lost[-1] + 1, (lost[-1] + packets) // 2)
    return tuple(dict.fromkeys((*before, half_way, packets)))


def courses_of(recipe: Recipe, plan: Plan, shop: Workshop) -> list[Course]:
    """Courses of the plan's schemes (each once, in the plan's order) for one picture.

    The picture is the recipe's ``image``, or the plan's first if it has none of that name. ``lost`` holds for all
    schemes but those that ``lost_of`` names; the stages are those of ``lost``, for all.
    Raises InputError if ``lost_of`` names a scheme that the plan lacks.
    """
    image = plan.image_names.index(recipe.image) if recipe.image in plan.image_names else 0
    schemes = plan_schemes(plan)
    labels = {scheme.label for scheme in schemes}
    for name in recipe.lost_of:
        if name not in labels:
            raise InputError(f"lost_of names `{name}`", hint="schemes of the scenario: " + ", ".join(sorted(labels)))
    return [
        course_of(shop, one.pictures[image], one.label, recipe.lost_of.get(one.label, recipe.lost), recipe.lost)
        for one in schemes
    ]


def course_of(shop: Workshop, coded: CodedPicture, label: str, lost: Sequence[int], shown: Sequence[int]) -> Course:
    """One scheme's course. lost: droppable packets that don't arrive; shown: the losses that set the stages."""
    stream, codec = shop.encode(coded), shop.codec(coded)
    droppable = np.flatnonzero(~stream.protected)
    looks = stages(shown, len(droppable))
    whole = np.ones((len(droppable) + 1, len(stream)), dtype=bool)
    for count in range(len(droppable) + 1):
        whole[count, droppable[count:]] = False
    holed = whole.copy()
    holed[:, droppable[np.array(lost) - 1]] = False
    texts = [mask_text(codec.usable(stream, masks)) for masks in (holed, whole)]
    wanted = list(dict.fromkeys(text for some in texts for text in some if "1" in text))
    known = shop.qualities(coded, wanted, ["psnr_db"])["psnr_db"]
    holed_db, whole_db = (np.array([known.get(text, np.nan) for text in some]) for some in texts)
    cases = list(dict.fromkeys(texts[0][count] for count in looks if "1" in texts[0][count]))
    pictures = dict(zip(cases, codec.decode(stream, masks_from_text(cases)), strict=True)) if cases else {}
    return Course(
        image=coded.image.name,
        scheme=label,
        operating_point=str(coded.point),
        bpp=stream.bpp,
        lost=tuple(lost),
        psnr_db=holed_db,
        whole_db=whole_db,
        stages=looks,
        pictures=tuple(pictures.get(texts[0][count]) for count in looks),
    )


def progressive_numbers(courses: Sequence[Course]) -> pd.DataFrame:
    """The figures' numbers: one row per scheme, course (``loss`` or ``no loss``) and packet sent so far."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for course in courses:
        named = {"image": course.image, "scheme": course.scheme, "operating_point": course.operating_point}
        for kind, values in (("loss", course.psnr_db), ("no loss", course.whole_db)):
            lost = course.lost if kind == "loss" else ()
            for packet, value in enumerate(values.tolist()):
                row = named | {"bpp": course.bpp, "course": kind, "packet": packet, "lost": packet in lost}
                missing = " ".join(str(number) for number in lost if number <= packet)
                rows.append(
                    row | {"missing": missing, "psnr_db": value, "shown": packet in course.stages and bool(lost)}
                )
    return pd.DataFrame(rows)


def compare_progressive(recipe: Recipe, courses: Sequence[Course]) -> pd.DataFrame:
    """comparison.csv: PSNR of the pictures shown. One picture under given losses: nothing random, no interval."""
    rows = []
    for course in courses:
        for count in course.stages:
            missing = ", ".join(str(number) for number in course.lost if number <= count) or "none"
            condition = f"{course.image}, after packet {count}, lost: {missing}"
            value = float(course.psnr_db[count])
            scheme = f"{course.scheme} {course.operating_point}"
            rows.append([recipe.name, condition, scheme, "psnr_db", value, value, value, None])
    return comparison(rows)

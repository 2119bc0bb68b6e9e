"""Study ``progressive``: an image while its packets arrive and some of them are lost (Sha et al., Fig. 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netsim.codec_calls import decoded_images, usable_packets
from netsim.decoding.cache import CodecCache
from netsim.decoding.masks import mask_text, masks_from_text
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError
from netsim.scenario.plan import Plan
from netsim.studies.comparison import Comparison, certain
from netsim.studies.outputs import Drawing, Output
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Progressive",
    "ProgressiveOptions",
    "ProgressiveTrace",
    "progressive_numbers",
    "progressive_trace",
    "progressive_traces",
    "stages",
]

_Packet = Annotated[int, Field(ge=1)]


class ProgressiveOptions(StudyOptions):
    """lost: packets that never arrive, of those that can be lost, from 1. lost_of: other ones for a scheme. image:
    its name; the plan's first without one."""

    lost: Annotated[list[_Packet], Field(min_length=1)]
    lost_of: dict[str, list[_Packet]] = Field(default_factory=dict)
    image: str | None = None


class Progressive(Study):
    """Decodes one image after each of its packets; the scenario's channels are not used."""

    name = "progressive"
    Options = ProgressiveOptions

    def measure(self, context: StudyContext) -> list[ProgressiveTrace]:
        place = context.image_place(self.options.image)
        with context.cache() as cache:
            return progressive_traces(self.options, context.plan, cache, place)

    def compare(self, table: Comparison, measured: list[ProgressiveTrace]) -> None:
        """PSNR of the images shown. One image under given losses: nothing random, no interval.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for trace in measured:
            for count in trace.stages:
                missing = ", ".join(str(number) for number in trace.lost if number <= count) or "none"
                condition = f"{trace.image}, after packet {count}, lost: {missing}"
                ours = certain(trace.psnr_db[count])
                table.add(condition, trace.scheme, "psnr_db", ours, operating_point=trace.operating_point)

    def draw(self, recipe: Recipe, measured: list[ProgressiveTrace]) -> Iterable[Output]:
        from netsim.figures.progressive import draw_curve, draw_images

        numbers = progressive_numbers(measured)
        images = {
            (trace.scheme, count): image
            for trace in measured
            for count, image in zip(trace.stages, trace.images, strict=True)
        }
        yield Drawing("progressive", draw_images(numbers, images))
        yield Drawing("progressive_curve", draw_curve(numbers), numbers)


@dataclass(frozen=True, eq=False)
class ProgressiveTrace:
    """A scheme's stream on its way, packet by packet, with some of its packets lost.

    scheme: as in a log. lost: numbers of the droppable packets that don't arrive, counted from 1. psnr_db: float64
    [n + 1], after none … all of the n droppable packets were sent (the protected ones are there from the start), NaN
    where nothing can be shown; whole_db: the same without loss. stages: at which of them images are shown.
    images: uint8 [H, W, 3] per stage, None where there is none.
    """

    image: str
    scheme: str
    operating_point: str
    bpp: float
    lost: tuple[int, ...]
    psnr_db: NDArray[np.float64]
    whole_db: NDArray[np.float64]
    stages: tuple[int, ...]
    images: tuple[NDArray[np.uint8] | None, ...]


def stages(lost: Sequence[int], packets: int) -> tuple[int, ...]:
    """After which packets an image is shown: before each loss, half-way to the end, and at the end.

    Half-way may be the end.

    Args:
        lost: Numbers from 1, ascending.
        packets: How many are sent.

    Returns:
        Numbers of packets, ascending; 0: before the first.

    Raises:
        InputError: The last loss is not before the last packet.

    >>> stages([3, 6], 12)
    (2, 5, 9, 12)
    """
    if list(lost) != sorted(set(lost)):
        raise InputError(f"lost packets {list(lost)}", hint="ascending numbers, each once: lost: [3, 6]")
    if lost[-1] >= packets:
        hint = "a higher rate or a larger image makes more packets; or lose earlier ones"
        raise InputError(f"packet {lost[-1]} is to be lost, but only {packets} are sent", hint=hint)
    before = tuple(number - 1 for number in lost)
    half_way = max(lost[-1] + 1, (lost[-1] + packets) // 2)
    return tuple(dict.fromkeys((*before, half_way, packets)))


def progressive_traces(
    asked: ProgressiveOptions, plan: Plan, cache: CodecCache, image: int = 0
) -> list[ProgressiveTrace]:
    """Traces of the plan's schemes (each once, in the plan's order) for one image.

    ``lost`` holds for all schemes but those that ``lost_of`` names; the stages are those of ``lost``, for all.

    Args:
        asked: The study's options.
        plan: The plan.
        cache: Encodes and decodes.
        image: Place of the image in the plan.

    Returns:
        A trace for each scheme.

    Raises:
        InputError: ``lost_of`` names a scheme that the plan lacks, or a stream has too few packets.
    """
    schemes = plan_schemes(plan)
    labels = {scheme.label for scheme in schemes}
    for name in asked.lost_of:
        if name not in labels:
            raise InputError(f"lost_of names `{name}`", hint="schemes of the scenario: " + ", ".join(sorted(labels)))
    return [
        progressive_trace(cache, one.images[image], one.label, asked.lost_of.get(one.label, asked.lost), asked.lost)
        for one in schemes
    ]


def progressive_trace(
    cache: CodecCache, coded: StreamKey, label: str, lost: Sequence[int], shown: Sequence[int]
) -> ProgressiveTrace:
    """One scheme's trace.

    Args:
        cache: Encodes and decodes.
        coded: Image, codec and operating point.
        label: Label of the scheme.
        lost: Numbers, from 1, of the packets that do not arrive.
        shown: The losses that set the stages.

    Returns:
        The trace: quality after each packet, with the losses and without, and the images of the stages.

    Raises:
        InputError: The stream has too few packets for the stages.
    """
    stream, codec = cache.encode(coded), cache.codec(coded)
    droppable = np.flatnonzero(~stream.protected)
    looks = stages(shown, len(droppable))
    whole = np.ones((len(droppable) + 1, len(stream)), dtype=bool)
    for count in range(len(droppable) + 1):
        whole[count, droppable[count:]] = False
    holed = whole.copy()
    holed[:, droppable[np.array(lost) - 1]] = False
    texts = [mask_text(usable_packets(codec, stream, masks)) for masks in (holed, whole)]
    wanted = list(dict.fromkeys(text for some in texts for text in some if "1" in text))
    known = cache.qualities(coded, wanted, ["psnr_db"])["psnr_db"]
    holed_db, whole_db = (np.array([known.get(text, np.nan) for text in some]) for some in texts)
    cases = list(dict.fromkeys(texts[0][count] for count in looks if "1" in texts[0][count]))
    images = dict(zip(cases, decoded_images(codec, stream, masks_from_text(cases)), strict=True)) if cases else {}
    return ProgressiveTrace(
        image=coded.image.name,
        scheme=label,
        operating_point=str(coded.point),
        bpp=stream.bpp,
        lost=tuple(lost),
        psnr_db=holed_db,
        whole_db=whole_db,
        stages=looks,
        images=tuple(images.get(texts[0][count]) for count in looks),
    )


def progressive_numbers(traces: Sequence[ProgressiveTrace]) -> pd.DataFrame:
    """The figures' numbers: one row per scheme, trace (``loss`` or ``no loss``) and packet sent so far.

    Args:
        traces: From :func:`progressive_traces`.

    Returns:
        Columns image, scheme, operating_point, bpp, trace, packet, lost, missing, psnr_db, shown.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for trace in traces:
        named = {"image": trace.image, "scheme": trace.scheme, "operating_point": trace.operating_point}
        for kind, values in (("loss", trace.psnr_db), ("no loss", trace.whole_db)):
            lost = trace.lost if kind == "loss" else ()
            for packet, value in enumerate(values.tolist()):
                row = named | {"bpp": trace.bpp, "trace": kind, "packet": packet, "lost": packet in lost}
                missing = " ".join(str(number) for number in lost if number <= packet)
                rows.append(
                    row | {"missing": missing, "psnr_db": value, "shown": packet in trace.stages and bool(lost)}
                )
    return pd.DataFrame(rows)

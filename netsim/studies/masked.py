"""Study ``masked``: quality over the share of an image's packets that are lost (ResiComp, Figs. 15 and 19).

The paper masks tokens. What a network can lose is packets: a stream of many small ones, each decodable alone, comes
as near to that as a real stream can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netsim.codec_calls import decoded_images, usable_packets
from netsim.decoding.cache import CodecCache
from netsim.decoding.masks import mask_text
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError
from netsim.metrics.further import LOSSLESS_DB
from netsim.metrics.psnr import psnr_db
from netsim.scenario.plan import Plan
from netsim.statistics.intervals import Estimate, mean_interval
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output, Table
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.rate_distortion import Pair
from netsim.studies.recipe import Recipe
from netsim.studies.study import Study, StudyContext, StudyOptions
from netsim.studies.tokens import latent_errors, token_packets

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Example",
    "Masked",
    "MaskedOptions",
    "examples",
    "masked_differences",
    "masked_masks",
    "masked_qualities",
    "masked_summary",
]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]


Share = Annotated[float, Field(gt=0, lt=1)]


class MaskedOptions(StudyOptions):
    """shares: of the packets, lost. shown: those of them at which images are shown. image: its name. difference:
    pairs of schemes in dB."""

    shares: Annotated[list[Share], Field(min_length=1)]
    shown: list[Share] = Field(default_factory=list)
    image: str | None = None
    difference: list[Pair] = Field(default_factory=list)

    @model_validator(mode="after")
    def _shown_are_measured(self) -> MaskedOptions:
        strange = sorted(set(self.shown) - set(self.shares))
        if strange:
            raise ValueError(f"shown: {strange[0]:g} is not among the shares")
        return self


@dataclass(frozen=True, eq=False)
class Example:
    """An image from what is left of its packets. lost: which tokens are gone, bool [rows, columns], None if the codec
    does not say. image: uint8 [H, W, 3], None if nothing is usable; its psnr_db is NaN then. latent: mean squared error
    of each token after concealment, float64 [rows, columns], None if the codec does not say."""

    scheme: str
    share: float
    psnr_db: float
    image: NDArray[np.uint8] | None
    lost: BoolArray | None
    latent: Floats | None = None


@dataclass(frozen=True, eq=False)
class _Measured:
    qualities: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame | None
    original: NDArray[np.uint8]
    examples: list[Example]


class Masked(Study):
    """Decodes each image from what is left of its packets; the scenario's channels are not used."""

    name = "masked"
    Options = MaskedOptions

    def measure(self, context: StudyContext) -> _Measured:
        asked, plan = self.options, context.plan
        place = context.image_place(asked.image)
        with context.cache() as cache:
            qualities = masked_qualities(asked.shares, plan, cache)
            original, seen = examples(asked, plan, cache, place)
        apart = masked_differences(qualities, asked.difference, plan.failure_db) if asked.difference else None
        return _Measured(qualities, masked_summary(qualities, plan.failure_db), apart, original, seen)

    def compare(self, table: Comparison, measured: _Measured) -> None:
        """Mean PSNR at every share. Conditions: ``0 %``, ``10 %``, …

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for line in measured.summary.to_dict("records"):
            ours = Estimate(line["psnr_db"], line["psnr_low"], line["psnr_high"])
            condition, point = f"{100 * line['share']:g} %", line["operating_point"]
            table.add(condition, line["scheme"], "psnr_db", ours, operating_point=point)

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        from netsim.figures.masked import draw_curve, draw_examples

        yield Table("draws", measured.qualities)
        yield Drawing("masked", draw_curve(measured.summary), measured.summary)
        if measured.differences is not None:
            yield Table("difference", measured.differences)
        if measured.examples:
            yield Drawing("masked_images", draw_examples(measured.original, measured.examples))


def masked_masks(protected: BoolArray, shares: Sequence[float], seed: Sequence[int]) -> BoolArray:
    """A mask for each share: so many of the packets that can be lost, in whole packets, are lost.

    One order of the packets is drawn; each share loses the first of it, so that what is lost at a smaller share is lost
    at a greater one too. At least one packet stays, and one is lost if the share is above 0.

    Args:
        protected: bool [n], packets that can't be lost.
        shares: Shares of the packets to lose, 0 to 1.
        seed: Seeds the order of the packets.

    Returns:
        bool [shares, n], True: received.

    >>> masked_masks(np.array([True, False, False, False]), [0.0, 0.4, 0.7], seed=[1]).sum(axis=1).tolist()
    [4, 3, 2]
    """
    droppable = np.flatnonzero(~protected)
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).permutation(droppable)
    masks = np.ones((len(shares), len(protected)), dtype=bool)
    for mask, share in zip(masks, shares, strict=True):
        wanted = round(share * len(droppable))
        mask[order[: min(max(wanted, share > 0), len(droppable) - 1)]] = False
    return masks


def masked_qualities(shares: Sequence[float], plan: Plan, cache: CodecCache) -> pd.DataFrame:
    """One row per scheme, image, share (0 among them) and draw: PSNR with that share of the packets lost.

    The plan's trials are the draws, its seed theirs; its channels are not used. Schemes with as many packets lose the
    same ones.

    Args:
        shares: Shares of the packets to lose, above 0.
        plan: Its schemes, images, trials and seed.
        cache: Encodes and decodes.

    Returns:
        Columns scheme, operating_point, image, draw, share, lost (the share of packets really lost), bpp, psnr_db
        (NaN: no image).

    Raises:
        InputError: A stream of fewer than two packets that can be lost.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for scheme in plan_schemes(plan):
        for number, coded in enumerate(scheme.images):
            named = {"scheme": scheme.label, "operating_point": scheme.operating_point, "image": coded.image.name}
            rows += [named | row for row in _draws([0.0, *shares], plan, cache, coded, number)]
    return pd.DataFrame(rows)


def _draws(
    shares: Sequence[float], plan: Plan, cache: CodecCache, coded: StreamKey, number: int
) -> list[dict[str, Any]]:
    stream, codec = cache.encode(coded), cache.codec(coded)
    droppable = ~stream.protected
    if droppable.sum() < 2:
        hint = "masked shares need packets: `slices: 100`"
        raise InputError(f"{coded.codec}: {int(droppable.sum())} packets that can be lost", hint=hint)
    masks = np.stack([masked_masks(stream.protected, shares, [plan.seed, number, draw]) for draw in range(plan.trials)])
    texts = mask_text(usable_packets(codec, stream, masks).reshape(-1, len(stream)))
    known = cache.qualities(coded, [t for t in dict.fromkeys(texts) if "1" in t], ["psnr_db"])["psnr_db"]
    lost = (~masks[..., droppable]).mean(axis=2).reshape(-1)
    places = [(draw, share) for draw in range(plan.trials) for share in shares]
    return [
        {"draw": draw, "share": share, "lost": gone, "bpp": stream.bpp, "psnr_db": known.get(text, np.nan)}
        for (draw, share), gone, text in zip(places, lost.tolist(), texts, strict=True)
    ]


def masked_summary(qualities: pd.DataFrame, failure_db: float) -> pd.DataFrame:
    """Mean PSNR per scheme, operating point and share, with its 95 % t interval over the draws.

    A draw's mean over all images is the unit: would other losses give the same, for these images?

    Args:
        qualities: From :func:`masked_qualities`.
        failure_db: What a draw without an image counts as, in dB.

    Returns:
        Columns scheme, operating_point, share, lost, bpp, psnr_db, psnr_low, psnr_high.
    """
    import pandas as pd

    rows = []
    counted = _counted(qualities, failure_db)
    for (scheme, point, share), part in counted.groupby(["scheme", "operating_point", "share"], sort=False):
        means = part[["lost", "bpp"]].mean().to_dict()
        estimate = _over(part, "psnr_db", "draw")
        row = {"scheme": scheme, "operating_point": point, "share": share} | means
        rows.append(row | {"psnr_db": estimate.value, "psnr_low": estimate.low, "psnr_high": estimate.high})
    return pd.DataFrame(rows)


def masked_differences(qualities: pd.DataFrame, pairs: Sequence[Sequence[str]], failure_db: float) -> pd.DataFrame:
    """First less second scheme of each pair in dB at every share, same images and same packets lost.

    Two intervals: difference_low … difference_high over draws (as above), images_low … images_high over images
    (an image's mean over its draws is the unit: would other images give the same?).

    Args:
        qualities: From :func:`masked_qualities`.
        pairs: Labels of two schemes each.
        failure_db: What a draw without an image counts as, in dB.

    Returns:
        Columns share, scheme_a, scheme_b, difference_db, difference_low, difference_high, images_low, images_high.

    Raises:
        InputError: A scheme is not there, or has several operating points.
    """
    import pandas as pd

    counted = _counted(qualities, failure_db)
    rows = []
    for one, other in pairs:
        both = _only(counted, one).merge(_only(counted, other), on=["image", "draw", "share"], suffixes=("_a", "_b"))
        both["difference"] = both["psnr_db_a"] - both["psnr_db_b"]
        for share, part in both.groupby("share", sort=False):
            draws, images = _over(part, "difference", "draw"), _over(part, "difference", "image")
            row: dict[str, Any] = {"share": share, "scheme_a": one, "scheme_b": other, "difference_db": draws.value}
            row |= {"difference_low": draws.low, "difference_high": draws.high}
            rows.append(row | {"images_low": images.low, "images_high": images.high})
    return pd.DataFrame(rows)


def _counted(qualities: pd.DataFrame, failure_db: float) -> pd.DataFrame:
    """With PSNR as it counts in a mean: an image without any error as ``LOSSLESS_DB``."""
    return qualities.assign(psnr_db=qualities["psnr_db"].clip(upper=LOSSLESS_DB).fillna(failure_db))


def _only(qualities: pd.DataFrame, scheme: str) -> pd.DataFrame:
    mine = qualities[qualities["scheme"] == scheme]
    if mine["operating_point"].nunique() != 1:
        known = ", ".join(dict.fromkeys(qualities["scheme"]))
        raise InputError(f"difference: `{scheme}` is not one scheme at one operating point", hint=f"schemes: {known}")
    return mine[["image", "draw", "share", "psnr_db"]]


def _over(part: pd.DataFrame, column: str, unit: str) -> Estimate:
    means = part.groupby(unit, sort=False)[column].mean().to_numpy(dtype=np.float64)
    return mean_interval(means, np.ones(len(means)), np.arange(len(means)))


def examples(
    asked: MaskedOptions, plan: Plan, cache: CodecCache, number: int = 0
) -> tuple[NDArray[np.uint8], list[Example]]:
    """(original, what is seen of it) at the shares ``shown``, each scheme's first operating point, first draw.

    Args:
        asked: The study's options.
        plan: The plan.
        cache: Encodes and decodes.
        number: Place of the image in the plan.

    Returns:
        uint8 [H, W, 3]; a scheme's examples, in the order of ``shown``, follow the scheme's before it.
    """
    found: dict[str, list[Example]] = {}
    for scheme in plan_schemes(plan):
        if scheme.label not in found and asked.shown:
            coded = scheme.images[number]
            masks = masked_masks(cache.encode(coded).protected, asked.shown, [plan.seed, number, 0])
            found[scheme.label] = _seen(scheme.label, asked.shown, cache, coded, masks)
    return plan.images.items[number].pixels(), [one for several in found.values() for one in several]


def _seen(label: str, shares: Sequence[float], cache: CodecCache, coded: StreamKey, masks: BoolArray) -> list[Example]:
    stream, codec = cache.encode(coded), cache.codec(coded)
    usable = usable_packets(codec, stream, masks)
    some = usable.any(axis=1)
    decoded = iter(decoded_images(codec, stream, usable[some])) if some.any() else iter(())
    grid, latent = token_packets(codec, stream), latent_errors(codec, stream, usable)
    seen = [next(decoded) if any_left else None for any_left in some]
    original = coded.image.pixels()
    psnr = [np.nan if one is None else float(psnr_db(original, one[None])[0]) for one in seen]
    return [
        Example(label, share, psnr[i], seen[i], _gone(grid, usable[i]), None if latent is None else latent[i])
        for i, share in enumerate(shares)
    ]


def _gone(grid: NDArray[np.int64] | None, mask: BoolArray) -> BoolArray | None:
    return None if grid is None else np.asarray(~mask[grid])

"""Quality over the share of a picture's packets that are lost, whichever they are (ResiComp, Figs. 15 and 19).

The paper masks tokens. What a network can lose is packets: a stream of many small ones, each decodable alone, comes
as near to that as a real stream can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.decoding.workshop import CodedPicture, Workshop, mask_text
from netsim.errors import InputError
from netsim.metrics.intervals import Estimate, mean_interval
from netsim.metrics.psnr import psnr_db
from netsim.studies.comparison import comparison
from netsim.studies.published import published_points, published_table
from netsim.studies.recipe import Recipe
from netsim.studies.schemes import plan_schemes
from netsim.studies.tokens import token_packets
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Shot",
    "compare_masked",
    "masked_differences",
    "masked_masks",
    "masked_qualities",
    "masked_summary",
    "shots",
]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture from what is left of its packets. lost: which tokens are gone, bool [rows, columns], None if the codec
    does not say. picture: uint8 [H, W, 3], None if nothing is usable; its psnr_db is NaN then."""

    scheme: str
    share: float
    psnr_db: float
    picture: NDArray[np.uint8] | None
    lost: BoolArray | None


def masked_masks(protected: BoolArray, shares: Sequence[float], seed: Sequence[int]) -> BoolArray:
    """A mask for each share, bool [shares, n]: so many of the packets that can be lost, in whole packets, are lost.

    protected: bool [n]. One order of the packets is drawn; each share loses the first of it, so that what is lost at
    a smaller share is lost at a greater one too. At least one packet stays, and one is lost if the share is above 0.

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


def masked_qualities(recipe: Recipe, plan: Plan, shop: Workshop) -> pd.DataFrame:
    """One row per scheme, picture, share (0 among them) and draw: PSNR with that share of the packets lost.

    The plan's trials are the draws, its seed theirs; its channels are not used. Schemes with as many packets lose the
    same ones. Columns: scheme, operating_point, image, draw, share, lost (the share of packets really lost), bpp,
    psnr_db (NaN: no picture). Raises InputError for a stream of fewer than two packets that can be lost.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for scheme in plan_schemes(plan):
        for number, picture in enumerate(scheme.pictures):
            named = {"scheme": scheme.label, "operating_point": scheme.operating_point, "image": picture.image.name}
            rows += [named | row for row in _draws(recipe, plan, shop, picture, number)]
    return pd.DataFrame(rows)


def _draws(recipe: Recipe, plan: Plan, shop: Workshop, picture: CodedPicture, number: int) -> list[dict[str, Any]]:
    stream, codec = shop.encode(picture), shop.codec(picture)
    droppable = ~stream.protected
    if droppable.sum() < 2:
        hint = "masked shares need packets: `slices: 100`"
        raise InputError(f"{picture.codec}: {int(droppable.sum())} packets that can be lost", hint=hint)
    shares = [0.0, *recipe.shares]
    masks = np.stack([masked_masks(stream.protected, shares, [plan.seed, number, draw]) for draw in range(plan.trials)])
    texts = mask_text(codec.usable(stream, masks).reshape(-1, len(stream)))
    known = shop.qualities(picture, [t for t in dict.fromkeys(texts) if "1" in t], ["psnr_db"])["psnr_db"]
    lost = (~masks[..., droppable]).mean(axis=2).reshape(-1)
    places = [(draw, share) for draw in range(plan.trials) for share in shares]
    return [
        {"draw": draw, "share": share, "lost": gone, "bpp": stream.bpp, "psnr_db": known.get(text, np.nan)}
        for (draw, share), gone, text in zip(places, lost.tolist(), texts, strict=True)
    ]


def masked_summary(qualities: pd.DataFrame, failure_db: float) -> pd.DataFrame:
    """Mean PSNR per scheme, operating point and share, with its 95 % t interval over the draws.

    A draw's mean over all pictures is the unit: would other losses give the same, for these pictures? A draw without a
    picture counts as failure_db. Columns: scheme, operating_point, share, lost, bpp, psnr_db, psnr_low, psnr_high.
    """
    import pandas as pd

    rows = []
    counted = qualities.assign(psnr_db=qualities["psnr_db"].fillna(failure_db))
    for (scheme, point, share), part in counted.groupby(["scheme", "operating_point", "share"], sort=False):
        means = part[["lost", "bpp"]].mean().to_dict()
        estimate = _over(part, "psnr_db", "draw")
        row = {"scheme": scheme, "operating_point": point, "share": share} | means
        rows.append(row | {"psnr_db": estimate.value, "psnr_low": estimate.low, "psnr_high": estimate.high})
    return pd.DataFrame(rows)


def masked_differences(qualities: pd.DataFrame, pairs: Sequence[Sequence[str]], failure_db: float) -> pd.DataFrame:
    """First less second scheme of each pair in dB at every share, same pictures and same packets lost.

    Two intervals: difference_low … difference_high over draws (as above), images_low … images_high over pictures
    (a picture's mean over its draws is the unit: would other pictures give the same?).
    Raises InputError for a scheme that is not there or has several operating points.
    """
    import pandas as pd

    counted = qualities.assign(psnr_db=qualities["psnr_db"].fillna(failure_db))
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


def _only(qualities: pd.DataFrame, scheme: str) -> pd.DataFrame:
    mine = qualities[qualities["scheme"] == scheme]
    if mine["operating_point"].nunique() != 1:
        known = ", ".join(dict.fromkeys(qualities["scheme"]))
        raise InputError(f"difference: `{scheme}` is not one scheme at one operating point", hint=f"schemes: {known}")
    return mine[["image", "draw", "share", "psnr_db"]]


def _over(part: pd.DataFrame, column: str, unit: str) -> Estimate:
    means = part.groupby(unit, sort=False)[column].mean().to_numpy(dtype=np.float64)
    return mean_interval(means, np.ones(len(means)), np.arange(len(means)))


def compare_masked(recipe: Recipe, summary: pd.DataFrame) -> pd.DataFrame:
    """comparison.csv: mean PSNR at every share beside the printed one. Conditions: ``0 %``, ``10 %``, …"""
    table = published_table(recipe)
    rows = []
    for line in summary.to_dict("records"):
        condition = f"{100 * line['share']:g} %"
        known = published_points(recipe, table, condition, line["scheme"]).get("", {})
        ours = [line["psnr_db"], line["psnr_low"], line["psnr_high"]]
        scheme = f"{line['scheme']} {line['operating_point']}"
        rows.append([recipe.name, condition, scheme, "psnr_db", *ours, known.get("psnr_db")])
    return comparison(rows)


def shots(recipe: Recipe, plan: Plan, shop: Workshop) -> tuple[NDArray[np.uint8], list[Shot]]:
    """(original, what is seen of it) at the shares ``shown``, each scheme's first operating point, first draw.

    The picture is the recipe's ``image``, or the plan's first if it has none of that name.
    """
    number = plan.image_names.index(recipe.image) if recipe.image in plan.image_names else 0
    found: dict[str, list[Shot]] = {}
    for scheme in plan_schemes(plan):
        if scheme.label not in found:
            picture = scheme.pictures[number]
            masks = _first_draw(recipe, plan, shop, picture, number)
            found[scheme.label] = _seen(scheme.label, recipe.shown, shop, picture, masks)
    original = plan.images.items[number].pixels()
    return original, [shot for several in found.values() for shot in several]


def _first_draw(recipe: Recipe, plan: Plan, shop: Workshop, picture: CodedPicture, number: int) -> BoolArray:
    return masked_masks(shop.encode(picture).protected, recipe.shown, [plan.seed, number, 0])


def _seen(label: str, shares: Sequence[float], shop: Workshop, picture: CodedPicture, masks: BoolArray) -> list[Shot]:
    stream, codec = shop.encode(picture), shop.codec(picture)
    usable = codec.usable(stream, masks)
    some = usable.any(axis=1)
    decoded = iter(codec.decode(stream, usable[some])) if some.any() else iter(())
    grid = token_packets(codec, stream)
    seen = [next(decoded) if any_left else None for any_left in some]
    original = picture.image.pixels()
    psnr = [np.nan if one is None else float(psnr_db(original, one[None])[0]) for one in seen]
    return [
        Shot(label, share, quality, one, _gone(grid, mask))
        for share, quality, one, mask in zip(shares, psnr, seen, usable, strict=True)
    ]


def _gone(grid: NDArray[np.int64] | None, mask: BoolArray) -> BoolArray | None:
    return None if grid is None else np.asarray(~mask[grid])

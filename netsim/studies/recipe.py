"""A recipe: one table or figure of a paper as a scenario, a figure, and the published numbers. No script of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netsim.errors import InputError, did_you_mean
from netsim.scenario.document import Document
from netsim.shipped import shipped_folder

__all__ = ["BdRates", "Recipe", "Tradeoff", "find_recipe", "not_the_papers", "recipe_names"]

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(gt=0, lt=1)]


_NEEDS = {
    "channels": "channels",
    "bd_rate": "bd_rate",
    "tradeoff": "tradeoff",
    "masked": "shares",
    "progressive": "lost",
    "complexity": "reference",
}


class BdRates(BaseModel):
    """Which BD-rates a recipe asks for: in one channel, each pair's second scheme against its first.

    A published curve goes by its name and `` (published)``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    channel: str
    pairs: Annotated[list[Pair], Field(min_length=1)]


class Tradeoff(BaseModel):
    """Efficiency: BD-rate against the anchor in one channel. Resilience: mean PSNR over some rates in the others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    channel: str
    anchor: str
    low_bpp: float = 0.3
    high_bpp: float = 0.4


class Recipe(BaseModel):
    """recipe.yaml; docs/reference/recipes.md has every key.

    compare: what is set beside the published numbers. ``failure_ratio``, ``psnr_db``: that column of the summary;
    ``bd_rate``: BD-rates, also against published curves; ``tradeoff``: efficiency and resilience of each scheme;
    ``traces``: mean and variance over the loss traces; ``masked``: PSNR over the share of lost packets;
    ``progressive``: pictures while packets come in and some of them (``lost``) don't; ``sizes``: tokens and bytes of
    each packet; ``complexity``: parameters and times; ``channels``: the channels themselves.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    title: str
    source: str
    compare: Literal[
        "channels",
        "failure_ratio",
        "psnr_db",
        "bd_rate",
        "tradeoff",
        "traces",
        "masked",
        "progressive",
        "sizes",
        "complexity",
    ]
    scenario: str | None = None
    figure: Literal["radar", "failure", "rd", "timeline"] | None = None
    bars: Literal["interval", "range"] = "interval"
    published: str | None = None
    curves: str | None = None
    paper_names: dict[str, str] = {}
    paper_images: str | None = None
    channels: list[str] = []
    variants: list[str] = []
    difference: list[Pair] = []
    bd_rate: BdRates | None = None
    tradeoff: Tradeoff | None = None
    shares: list[Share] = []
    shown: list[Share] = []
    image: str | None = None
    lost: list[Annotated[int, Field(ge=1)]] = []
    lost_of: dict[str, list[Annotated[int, Field(ge=1)]]] = {}
    reference: str | None = None
    quick: list[str] = []
    full: list[str] = []
    name: Annotated[str, Field(exclude=True)] = ""
    folder: Annotated[Path, Field(exclude=True)] = Path()

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        needs = _NEEDS.get(self.compare)
        if needs is not None and not getattr(self, needs):
            raise ValueError(f"compare: {self.compare} needs `{needs}`")
        if self.compare != "channels" and self.scenario is None:
            raise ValueError(f"compare: {self.compare} needs `scenario`")
        strange = sorted(set(self.shown) - set(self.shares))
        if strange:
            raise ValueError(f"shown: {strange[0]:g} is not among the shares")
        return self


def not_the_papers(recipe: Recipe, images: str) -> list[str]:
    """What must be said where a recipe runs on other pictures than the paper: a sentence, or nothing.

    images: name of the image set that it runs on.
    """
    if recipe.paper_images in (None, images):
        return []
    return [f"The pictures are not the paper's ({recipe.paper_images}): levels can't be compared, orders can."]


def _folders() -> dict[str, Path]:
    """Folder of each recipe. A recipe in experiments/ of the working folder replaces a shipped one of its name."""
    roots = (shipped_folder("experiments"), Path("experiments"))
    return {"/".join(path.parts[-3:-1]): path.parent for root in roots for path in root.glob("*/*/recipe.yaml")}


def recipe_names() -> list[str]:
    """All recipes as PAPER/ARTEFACT, sorted: those of the working folder and the shipped ones."""
    return sorted(_folders())


def find_recipe(name: str) -> Recipe:
    """The recipe called PAPER/ARTEFACT. Raises InputError for an unknown one or a faulty recipe.yaml."""
    folders = _folders()
    if name not in folders:
        raise InputError(f"no recipe `{name}`", hint=did_you_mean(name, folders))
    folder = folders[name]
    document = Document.read(folder / "recipe.yaml")
    try:
        return Recipe(**document.data, name=name, folder=folder)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], where=document.where(tuple(first["loc"]))) from None

"""A recipe: one table or figure of a paper as a scenario, a figure, and the published numbers. No script of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netsim.errors import InputError, did_you_mean
from netsim.scenario.document import Document

__all__ = ["Recipe", "find_recipe", "recipe_names"]


class Recipe(BaseModel):
    """recipe.yaml. compare: the summary's column to compare, or ``channels`` for the channels themselves."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    title: str
    source: str
    compare: Literal["channels", "failure_ratio", "psnr_db"]
    scenario: str | None = None
    figure: Literal["radar", "failure", "rd", "timeline"] | None = None
    published: str | None = None
    channels: list[str] = []
    variants: list[str] = []
    quick: list[str] = []
    full: list[str] = []
    name: Annotated[str, Field(exclude=True)] = ""
    folder: Annotated[Path, Field(exclude=True)] = Path()


def _root() -> Path:
    """experiments/ of the working folder, else of the checkout that netsim runs from."""
    here = Path("experiments")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "experiments"


def recipe_names() -> list[str]:
    """All recipes as PAPER/ARTEFACT."""
    return sorted("/".join(path.parts[-3:-1]) for path in _root().glob("*/*/recipe.yaml"))


def find_recipe(name: str) -> Recipe:
    """The recipe called PAPER/ARTEFACT. Raises InputError for an unknown one or a faulty recipe.yaml."""
    if name not in recipe_names():
        raise InputError(f"no recipe `{name}`", hint=did_you_mean(name, recipe_names()))
    folder = _root() / name
    document = Document.read(folder / "recipe.yaml")
    try:
        return Recipe(**document.data, name=name, folder=folder)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], where=document.where(tuple(first["loc"]))) from None

"""A recipe: one table or figure of a paper as a scenario, a study, and the published numbers. No script of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netsim.errors import InputError, did_you_mean, shortened
from netsim.scenario.document import Document, key_path_text
from netsim.shipped import shipped_folder
from netsim.studies.kinds import study_from_spec
from netsim.studies.study import Study
from netsim.text import natural_order

__all__ = ["Recipe", "check_files", "find_recipe", "not_the_papers", "recipe_names"]


class Recipe(BaseModel):
    """recipe.yaml; docs/reference/recipes.md has every key.

    published: CSV of the published numbers. claims: CSV of orders that the paper states in words.
    paper_names: our name of a channel or scheme → the paper's. paper_images: the paper's image sets; on any other a
    note is written. notes: sentences that stand beside the results: misprints, deviations. optional: entries of the
    scenario's ``codecs`` that need weights which do not ship; they run where the weights exist, and a note names the
    others. A path among their settings is relative to the recipe's folder.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    title: str
    source: str
    study: Study
    scenario: str | None = None
    published: str | None = None
    claims: str | None = None
    paper_names: dict[str, str] = {}
    paper_images: str | None = None
    notes: list[str] = []
    optional: list[dict[str, dict[str, Any]]] = []
    quick: list[str] = []
    full: list[str] = []
    name: Annotated[str, Field(exclude=True)] = ""
    folder: Annotated[Path, Field(exclude=True)] = Path()

    @model_validator(mode="after")
    def _has_a_scenario(self) -> Recipe:
        if self.study.needs_scenario and self.scenario is None:
            raise ValueError(f"study: {self.study.name} needs `scenario`")
        return self

    def paper_name(self, name: str) -> str:
        """What the paper calls a channel or scheme of ours.

        Args:
            name: As in a log.

        Returns:
            The same name where the recipe has no other.
        """
        return self.paper_names.get(name, name)


def not_the_papers(recipe: Recipe, images: str) -> list[str]:
    """What must be said where a recipe runs on other images than the paper: a sentence, or nothing.

    Args:
        recipe: The recipe.
        images: Name of the image set that it runs on.

    Returns:
        A list of one sentence, or of none.
    """
    if recipe.paper_images in (None, images):
        return []
    return [f"The images are not the paper's ({recipe.paper_images}): levels can't be compared, orders can."]


def _folders() -> dict[str, Path]:
    """Folder of each recipe. A recipe in experiments/ of the working folder replaces a shipped one of its name."""
    roots = (shipped_folder("experiments"), Path("experiments"))
    return {"/".join(path.parts[-3:-1]): path.parent for root in roots for path in root.glob("*/*/recipe.yaml")}


def recipe_names() -> list[str]:
    """All recipes as PAPER/ARTEFACT: those of the working folder and the shipped ones.

    Returns:
        The names, sorted; figure 4 is before figure 11.
    """
    return sorted(_folders(), key=natural_order)


def find_recipe(name: str) -> Recipe:
    """The recipe called PAPER/ARTEFACT.

    Args:
        name: PAPER/ARTEFACT.

    Returns:
        The recipe.

    Raises:
        InputError: An unknown recipe, or a faulty recipe.yaml.
    """
    folders = _folders()
    if name not in folders:
        same = [known for known in recipe_names() if known.casefold().rpartition("/")[2] == name.strip("/").casefold()]
        meant = " or ".join(f"`{known}`" for known in same)
        raise InputError(f"no recipe `{name}`", hint=f"did you mean {meant}?" if same else did_you_mean(name, folders))
    folder = folders[name]
    document = Document.read(folder / "recipe.yaml")
    keys = dict(document.data)
    known = [key for key, field in Recipe.model_fields.items() if not field.exclude]
    if unknown := next((key for key in keys if key not in known), None):
        hint = did_you_mean(str(unknown), known)
        raise InputError(f"unknown key `{unknown}`", where=document.where((unknown,), at_key=True), hint=hint)
    if lacking := next((key for key in ("title", "source", "study") if key not in keys), None):
        raise InputError(f"a recipe needs `{lacking}`", where=document.where(()), hint=_EXAMPLES[lacking])
    keys["study"] = study_from_spec(keys["study"], lambda path: document.where(("study", *path)))
    try:
        return Recipe(**keys, name=name, folder=folder)
    except ValidationError as error:
        first = error.errors()[0]
        path, words = tuple(first["loc"]), first["msg"].removeprefix("Value error, ")
        message = f"{key_path_text(path)} is {shortened(repr(first['input']), 80)}: {words}" if path else words
        hint = _EXAMPLES.get(str(path[0]) if path else "scenario", "")
        raise InputError(message, where=document.where(path), hint=hint) from None


def check_files(recipe: Recipe) -> None:
    """Check that the files that a recipe names exist.

    Args:
        recipe: The recipe.

    Raises:
        InputError: One is missing; with the place of its name in recipe.yaml.
    """
    for key in ("scenario", "published", "claims"):
        file = getattr(recipe, key)
        if file is not None and not (recipe.folder / file).is_file():
            written = recipe.folder / "recipe.yaml"
            where = Document.read(written).where((key,)) if written.is_file() else key
            hint = f"the name of a file in {recipe.folder}"
            raise InputError(f"no file `{recipe.folder / file}`", where=where, hint=hint)


_EXAMPLES = {
    "title": "title: What the table shows",
    "source": "source: Paper, table 1",
    "study": "study: rate_distortion, or study: {NAME: {OPTION: VALUE}}",
    "scenario": "scenario: scenario.yaml",
    "published": "published: published.csv",
    "claims": "claims: claims.csv",
    "paper_names": "paper_names: {vvc: VTM}, names here and in the paper",
    "notes": "notes: [a sentence]",
    "optional": "optional: [{resicomp: {weights: mine.safetensors}}]",
    "quick": "quick: [trials=10], as after --set",
    "full": "full: [trials=1000], as after --set",
}

"""Runs a recipe: its study measures, comparison.csv has the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError
from netsim.runs.folder import check_folder
from netsim.runs.progress import Reporter
from netsim.signatures import kind_of
from netsim.studies.comparison import Comparison
from netsim.studies.order import orders
from netsim.studies.outputs import checked_outputs, study_folder, write_outputs, write_table
from netsim.studies.recipe import Recipe, check_files, not_the_papers
from netsim.studies.study import Study, StudyContext

if TYPE_CHECKING:
    import pandas as pd

    from netsim.scenario.plan import CodecSpec, Plan

__all__ = ["Reproduced", "codec_remarks", "recipe_plan", "reproduce"]


@dataclass(frozen=True, eq=False)
class Reproduced:
    """What a recipe gave.

    Attributes:
        recipe: The recipe.
        images: Name of the image set; empty for a study without images.
        comparison: comparison.csv.
        orders: orders.csv.
        notes: What must be said beside the numbers.
        files: Written files, comparison.csv first.
    """

    recipe: Recipe
    images: str
    comparison: pd.DataFrame
    orders: pd.DataFrame
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def recipe_plan(recipe: Recipe, full: bool, overrides: Sequence[str] = ()) -> tuple[Plan | None, list[str]]:
    """The plan of a recipe's scenario with the optional codecs that can run here, and what is left out of it.

    Args:
        recipe: A recipe; one without a scenario has no plan.
        full: With the recipe's ``full`` overrides, else with its ``quick`` ones.
        overrides: Further ones.

    Returns:
        The plan, or None; sentences on what is left out.

    Raises:
        InputError: A faulty scenario or override.
    """
    if recipe.scenario is None:
        return None, []
    from netsim.scenario.document import Document
    from netsim.scenario.load import plan_document
    from netsim.studies.optional import optional_codecs, with_codecs

    path = recipe.folder / recipe.scenario
    document = Document.read(path).with_overrides([*(recipe.full if full else recipe.quick), *overrides])
    entries, left_out = optional_codecs(recipe)
    if entries:
        document = document.with_values({"codecs": with_codecs(document.data.get("codecs"), entries)})
    return plan_document(document, path.parent, path.stem), left_out


def codec_remarks(plan: Plan) -> list[str]:
    """What the codecs of a plan say about their results (``Codec.remark``), each sentence once.

    Args:
        plan: The plan.

    Returns:
        Sentences.
    """
    codecs: dict[str, CodecSpec] = {scheme.codec.label: scheme.codec for row in plan.rows for scheme in row.schemes}
    remarks = (codec.create().remark for codec in codecs.values())
    return [remark for remark in dict.fromkeys(remarks) if remark]


def reproduce(
    recipe: Recipe,
    full: bool,
    out: Path | None,
    workers: int,
    reporter: Reporter,
    *,
    overrides: Sequence[str] = (),
    exist: str = "number",
) -> Reproduced:
    """Run a recipe.

    Args:
        recipe: What to run.
        full: With the recipe's ``full`` overrides, else with its ``quick`` ones.
        out: The results' folder; None: runs/PAPER-ARTEFACT-quick (or -full).
        workers: Processes.
        reporter: Shows what happens.
        overrides: Further overrides of the scenario, as ``key.path=value``.
        exist: What to do where the folder holds results already (``netsim.run``).

    Returns:
        The comparison, the orders, the notes and the written files.

    Raises:
        InputError: A faulty scenario or published table, or a study that can't be made of the scenario.
    """
    check_files(recipe)
    folder = out or Path("runs") / f"{recipe.name.replace('/', '-')}-{'full' if full else 'quick'}"
    check_folder(folder, exist)
    plan, left_out = recipe_plan(recipe, full, overrides)
    images = "" if plan is None else plan.images.name
    remarks = [] if plan is None else codec_remarks(plan)
    notes = (*(not_the_papers(recipe, images) if images else ()), *recipe.notes, *left_out, *remarks)
    for note in notes:
        reporter.say("note", note)
    context = StudyContext(recipe, plan, folder, workers, reporter, exist)
    measured = recipe.study.measure(context)
    for note in context.notes:
        reporter.say("note", note)
    table = Comparison(recipe)
    recipe.study.compare(table, measured)
    comparison = table.frame()
    study = recipe.study
    order = orders(recipe, comparison, _levels(study, measured), lambda *names: study.difference(measured, *names))
    outputs = checked_outputs(study.name, study.draw(recipe, measured))
    folder = context.folder if context.ran else study_folder(plan, folder, exist)
    files = [write_table(folder, "comparison.csv", comparison)]
    if len(order):
        files.append(write_table(folder, "orders.csv", order))
    files += write_outputs(folder, outputs)
    reporter.say("wrote", f"{folder}/")
    return Reproduced(recipe, images, comparison, order, (*notes, *context.notes), tuple(files))


_LEVELS = ("condition", "scheme", "quantity", "ours", "ours_low", "ours_high")


def _levels(study: Study, measured: Any) -> pd.DataFrame | None:
    """What ``study.levels`` returns. Raises InputError where it is neither None nor a frame with its columns."""
    import pandas as pd

    found: Any = study.levels(measured)
    if found is None:
        return None
    hint = f"None, or a DataFrame with the columns {', '.join(_LEVELS)}"
    if not isinstance(found, pd.DataFrame):
        raise InputError(f"study `{study.name}`: levels returns {kind_of(found)}", hint=hint)
    if lacking := [column for column in _LEVELS if column not in found]:
        raise InputError(f"study `{study.name}`: levels returns no column `{lacking[0]}`", hint=hint)
    return found

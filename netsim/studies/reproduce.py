"""Runs a recipe: its study measures, comparison.csv has the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim.runs.progress import Reporter
from netsim.studies.comparison import Comparison
from netsim.studies.order import orders
from netsim.studies.outputs import study_folder, write_outputs, write_table
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.study import StudyContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reproduced", "reproduce"]


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


def reproduce(
    recipe: Recipe,
    full: bool,
    out: Path | None,
    workers: int,
    reporter: Reporter,
    *,
    overrides: Sequence[str] = (),
) -> Reproduced:
    """Run a recipe.

    Args:
        recipe: What to run.
        full: With the recipe's ``full`` overrides, else with its ``quick`` ones.
        out: The results' folder; None: runs/PAPER-ARTEFACT-quick (or -full).
        workers: Processes.
        reporter: Shows what happens.
        overrides: Further overrides of the scenario, as ``key.path=value``.

    Raises:
        InputError: A faulty scenario or published table, or a study that can't be made of the scenario.
    """
    folder = out or Path("runs") / f"{recipe.name.replace('/', '-')}-{'full' if full else 'quick'}"
    plan, images = None, ""
    if recipe.scenario is not None:
        from netsim.scenario.load import load_plan

        given = [*(recipe.full if full else recipe.quick), *overrides]
        plan = load_plan(recipe.folder / recipe.scenario, given)
        images = plan.images.name
    notes = (*(not_the_papers(recipe, images) if images else ()), *recipe.notes)
    for note in notes:
        reporter.say("note", note)
    context = StudyContext(recipe, plan, folder, workers, reporter)
    measured = recipe.study.measure(context)
    table = Comparison(recipe)
    recipe.study.compare(table, measured)
    comparison = table.frame()
    order = orders(recipe, comparison, recipe.study.levels(measured))
    outputs = list(recipe.study.draw(recipe, measured))
    folder = context.folder if context.ran else study_folder(plan, folder)
    files = [write_table(folder, "comparison.csv", comparison)]
    if len(order):
        files.append(write_table(folder, "orders.csv", order))
    files += write_outputs(folder, outputs)
    reporter.say("wrote", f"{folder}/")
    return Reproduced(recipe, images, comparison, order, notes, tuple(files))

"""Runs a recipe: the scenario, the figure, and comparison.csv with the paper's numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.recipes.compare import compare_channels, compare_summary
from netsim.recipes.recipe import Recipe
from netsim.runs.files import write_atomically
from netsim.runs.folder import fresh_folder
from netsim.runs.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["reproduce"]


def reproduce(recipe: Recipe, full: bool, out: Path | None, workers: int, reporter: Reporter) -> list[Path]:
    """Run a recipe; returns the files written, comparison.csv first.

    full: with the recipe's ``full`` overrides, else its ``quick`` ones. out: default runs/PAPER-ARTEFACT-quick.
    """
    folder = out or Path("runs") / f"{recipe.name.replace('/', '-')}-{'full' if full else 'quick'}"
    if recipe.compare == "channels":
        return _channels(recipe, folder)
    from netsim.figures.kinds import KINDS, make
    from netsim.figures.style import save
    from netsim.runs.pipeline import run_plan
    from netsim.runs.results import load_run
    from netsim.scenario.load import load_plan

    plan = load_plan(recipe.folder / str(recipe.scenario), recipe.full if full else recipe.quick)
    folder = run_plan(plan, folder, workers, reporter)
    found = load_run(folder)
    written = [_write(folder, compare_summary(recipe, found.summary))]
    if recipe.figure is not None:
        numbers, figure = make(recipe.figure, found.log, found.summary)
        written += save(figure, numbers, folder, KINDS[recipe.figure].file_name)
    return written


def _channels(recipe: Recipe, folder: Path) -> list[Path]:
    from netsim.figures.channels import draw_channels

    folder = fresh_folder(folder)
    comparison = compare_channels(recipe)
    return [_write(folder, comparison), *draw_channels(comparison, folder)]


def _write(folder: Path, comparison: pd.DataFrame) -> Path:
    path = folder / "comparison.csv"
    write_atomically(path, lambda file: file.write(comparison.to_csv(index=False).encode()))
    return path

"""Runs a recipe: the scenario, the figure, and comparison.csv with the paper's numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.recipes.compare import compare_channels, compare_summary
from netsim.recipes.recipe import Recipe
from netsim.runs.files import write_atomically
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
    from netsim.figures.illustrate import draw
    from netsim.runs.pipeline import run_plan
    from netsim.runs.results import load_run
    from netsim.scenario.load import load_plan

    plan = load_plan(recipe.folder / str(recipe.scenario), recipe.full if full else recipe.quick)
    folder = run_plan(plan, folder, workers, reporter)
    comparison = compare_summary(recipe, load_run(folder).summary)
    figures = draw(recipe.figure, folder) if recipe.figure else []
    return [_write(folder, comparison), *figures]


def _channels(recipe: Recipe, folder: Path) -> list[Path]:
    from netsim.figures.channels import draw_channels

    folder.mkdir(parents=True, exist_ok=True)
    comparison = compare_channels(recipe)
    return [_write(folder, comparison), *draw_channels(comparison, folder)]


def _write(folder: Path, comparison: pd.DataFrame) -> Path:
    path = folder / "comparison.csv"
    write_atomically(path, lambda file: file.write(comparison.to_csv(index=False).encode()))
    return path

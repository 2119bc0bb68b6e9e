"""Runs a recipe: the scenario, the figure, and comparison.csv with the paper's numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.figures.style import csv_bytes
from netsim.recipes.compare import compare_channels, compare_summary
from netsim.recipes.recipe import Recipe, not_the_papers
from netsim.runs.files import write_atomically
from netsim.runs.folder import RunFolder, fresh_folder
from netsim.runs.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd

    from netsim.runs.results import Run
    from netsim.scenario.plan import Plan

__all__ = ["reproduce"]


def reproduce(recipe: Recipe, full: bool, out: Path | None, workers: int, reporter: Reporter) -> list[Path]:
    """Run a recipe; returns the files written, comparison.csv first.

    full: with the recipe's ``full`` overrides, else its ``quick`` ones. out: default runs/PAPER-ARTEFACT-quick.
    """
    folder = out or Path("runs") / f"{recipe.name.replace('/', '-')}-{'full' if full else 'quick'}"
    if recipe.compare == "channels":
        return _channels(recipe, folder)
    from netsim.scenario.load import load_plan

    plan = load_plan(recipe.folder / str(recipe.scenario), recipe.full if full else recipe.quick)
    for note in not_the_papers(recipe, plan.images.name):
        reporter.say("note", note)
    if recipe.compare == "progressive":
        return _progressive(recipe, plan, folder, reporter)
    if recipe.compare == "complexity":
        return _complexity(recipe, plan, folder, reporter)
    return _run(recipe, plan, folder, workers, reporter)


def _run(recipe: Recipe, plan: Plan, folder: Path, workers: int, reporter: Reporter) -> list[Path]:
    """A run, its comparison, its figure, and what the recipe asks of pairs of schemes."""
    from netsim.figures.kinds import KINDS, make
    from netsim.figures.style import save
    from netsim.recipes.pairs import bd_rates, differences
    from netsim.runs.pipeline import run_plan
    from netsim.runs.results import load_run

    found = load_run(run_plan(plan, folder, workers, reporter))
    folder = found.path
    if recipe.compare == "traces":
        written = _traces(recipe, plan, found)
    else:
        written = [_write(folder, "comparison.csv", compare_summary(recipe, found.summary))]
    if recipe.figure is not None:
        options = {"bars": recipe.bars} if recipe.figure == "rd" else {}
        numbers, figure = make(recipe.figure, found.log, found.summary, **options)
        written += save(figure, numbers, folder, KINDS[recipe.figure].file_name)
    if recipe.difference:
        written.append(_write(folder, "difference.csv", differences(found.log, recipe.difference, plan.failure_db)))
    if recipe.bd_rate is not None:
        rates = bd_rates(found.log, recipe.bd_rate.channel, recipe.bd_rate.pairs, plan.failure_db)
        written.append(_write(folder, "bd_rate.csv", rates))
    return written


def _traces(recipe: Recipe, plan: Plan, run: Run) -> list[Path]:
    """comparison.csv and table.md."""
    from netsim.metrics.traces import trace_spread
    from netsim.recipes.traces import compare_traces, matched_cells, traces_markdown

    cells = matched_cells(recipe, trace_spread(run.log, plan.failure_db))
    text = traces_markdown(recipe, cells, len(plan.image_names), plan.images.name)
    path = run.path / "table.md"
    write_atomically(path, lambda file: file.write(text.encode()))
    return [_write(run.path, "comparison.csv", compare_traces(recipe, cells)), path]


def _progressive(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv, progressive.png, and the curve with its numbers."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.progressive import draw_curve, draw_pictures
    from netsim.figures.style import figure_bytes, save
    from netsim.recipes.progressive import compare_progressive, courses_of, progressive_numbers

    with Store() as store:
        courses = courses_of(recipe, plan, Workshop(store))
    folder = _folder(plan, folder)
    numbers = progressive_numbers(courses)
    pictures = {
        (course.scheme, count): picture
        for course in courses
        for count, picture in zip(course.stages, course.pictures, strict=True)
    }
    path, drawn = folder / "progressive.png", figure_bytes(draw_pictures(numbers, pictures), "png")
    write_atomically(path, lambda file: file.write(drawn))
    reporter.say("wrote", f"{folder}/")
    written = [_write(folder, "comparison.csv", compare_progressive(recipe, courses)), path]
    return written + save(draw_curve(numbers), numbers, folder, "progressive_curve")


def _complexity(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv and the times of each picture."""
    import pandas as pd

    from netsim.recipes.complexity import compare_complexity, hardware, measure_complexity

    measured = measure_complexity(plan)
    folder = _folder(plan, folder)
    times = pd.DataFrame(
        [
            {"hardware": hardware(), "scheme": one.scheme, "image": image, "encode_ms": encode, "decode_ms": decode}
            for one in measured
            for image, encode, decode in zip(plan.image_names, one.encode_ms, one.decode_ms, strict=True)
        ]
    )
    reporter.say("wrote", f"{folder}/")
    return [
        _write(folder, "comparison.csv", compare_complexity(recipe, measured)),
        _write(folder, "times.csv", times),
    ]


def _folder(plan: Plan, folder: Path) -> Path:
    """A new folder with the manifest of a plan that is not run as a sweep."""
    from netsim.runs.manifest import manifest

    path = fresh_folder(folder)
    RunFolder(path).write_manifest({**manifest(plan, [], 1), "status": "finished"})
    return path


def _channels(recipe: Recipe, folder: Path) -> list[Path]:
    from netsim.figures.channels import draw_channels

    folder = fresh_folder(folder)
    comparison = compare_channels(recipe)
    return [_write(folder, "comparison.csv", comparison), *draw_channels(comparison, folder)]


def _write(folder: Path, name: str, table: pd.DataFrame) -> Path:
    path = folder / name
    write_atomically(path, lambda file: file.write(csv_bytes(table)))
    return path

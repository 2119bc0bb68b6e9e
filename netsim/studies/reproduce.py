"""Runs a recipe: the scenario, the figure, and comparison.csv with the paper's numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.studies.comparison import compare_channels, compare_summary
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.studies import masked, sizes
from netsim.studies.outputs import study_folder, write_bytes, write_table
from netsim.runs.folder import fresh_folder
from netsim.runs.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

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
    studies = {"progressive": _progressive, "complexity": _complexity, "masked": masked, "sizes": sizes}
    if recipe.compare in studies:
        return studies[recipe.compare](recipe, plan, folder, reporter)
    return _run(recipe, plan, folder, workers, reporter)


def _run(recipe: Recipe, plan: Plan, folder: Path, workers: int, reporter: Reporter) -> list[Path]:
    """A run, its comparison, its figure, and what the recipe asks of pairs of schemes."""
    from netsim.figures.style import save
    from netsim.studies.curves import published_curves
    from netsim.studies.pairwise import bd_rates, differences
    from netsim.runs.pipeline import run_plan
    from netsim.runs.results import load_run

    curves, rates, same = published_curves(recipe), None, not not_the_papers(recipe, plan.images.name)
    found = load_run(run_plan(plan, folder, workers, reporter))
    folder = found.path
    if recipe.bd_rate is not None:
        rates = bd_rates(found.log, recipe.bd_rate.channel, recipe.bd_rate.pairs, plan.failure_db, curves, same)
    written = _compared(recipe, plan, found, rates)
    if recipe.figure is not None:
        name, numbers, figure = _figure(recipe, found, curves if same else curves[:0])
        written += save(figure, numbers, folder, name)
    if recipe.difference:
        of_pairs = differences(found.log, recipe.difference, plan.failure_db)
        written.append(write_table(folder, "difference.csv", of_pairs))
    if rates is not None:
        written.append(write_table(folder, "bd_rate.csv", rates))
    return written


def _compared(recipe: Recipe, plan: Plan, run: Run, rates: pd.DataFrame | None) -> list[Path]:
    """comparison.csv, and what belongs to that kind of comparison."""
    from netsim.studies.curves import compare_bd_rates

    if recipe.compare == "traces":
        return _traces(recipe, plan, run)
    if recipe.compare == "tradeoff":
        return _tradeoff(recipe, plan, run)
    if recipe.compare == "bd_rate" and rates is not None:
        return [write_table(run.path, "comparison.csv", compare_bd_rates(recipe, rates))]
    return [write_table(run.path, "comparison.csv", compare_summary(recipe, run.summary))]


def _figure(recipe: Recipe, run: Run, curves: pd.DataFrame) -> tuple[str, pd.DataFrame, Figure]:
    """(name of its files, its numbers, the figure); an rd figure has the published curves too."""
    from netsim.figures import rd
    from netsim.figures.kinds import KINDS, make

    kind = str(recipe.figure)
    if kind == "rd" and len(curves):
        numbers = rd.numbers(run.summary, published=curves)
        return KINDS[kind].file_name, numbers, rd.draw(numbers)
    options: Any = {"bars": recipe.bars} if kind == "rd" else {}
    return KINDS[kind].file_name, *make(kind, run.log, run.summary, **options)


def _tradeoff(recipe: Recipe, plan: Plan, run: Run) -> list[Path]:
    """comparison.csv, and the figure with its numbers."""
    from netsim.figures.style import save
    from netsim.figures.tradeoff import draw
    from netsim.studies.tradeoff import compare_tradeoff, tradeoff_numbers

    assert recipe.tradeoff is not None  # the recipe's own check
    numbers = tradeoff_numbers(run.log, run.summary, recipe.tradeoff, plan.failure_db)
    table = write_table(run.path, "comparison.csv", compare_tradeoff(recipe, numbers))
    return [table, *save(draw(numbers), numbers, run.path, "tradeoff")]


def _traces(recipe: Recipe, plan: Plan, run: Run) -> list[Path]:
    """comparison.csv and table.md."""
    from netsim.metrics.traces import trace_spread
    from netsim.studies.traces import compare_traces, matched_cells, traces_markdown

    cells = matched_cells(recipe, trace_spread(run.log, plan.failure_db))
    text = traces_markdown(recipe, cells, len(plan.image_names), plan.images.name)
    path = write_bytes(run.path, "table.md", text.encode())
    return [write_table(run.path, "comparison.csv", compare_traces(recipe, cells)), path]


def _progressive(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv, progressive.png, and the curve with its numbers."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.progressive import draw_curve, draw_pictures
    from netsim.figures.style import figure_bytes, save
    from netsim.studies.progressive import compare_progressive, courses_of, progressive_numbers

    with Store() as store:
        courses = courses_of(recipe, plan, Workshop(store))
    folder = study_folder(plan, folder)
    numbers = progressive_numbers(courses)
    pictures = {
        (course.scheme, count): picture
        for course in courses
        for count, picture in zip(course.stages, course.pictures, strict=True)
    }
    path = write_bytes(folder, "progressive.png", figure_bytes(draw_pictures(numbers, pictures), "png"))
    reporter.say("wrote", f"{folder}/")
    written = [write_table(folder, "comparison.csv", compare_progressive(recipe, courses)), path]
    return written + save(draw_curve(numbers), numbers, folder, "progressive_curve")


def _complexity(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv and the times of each picture."""
    import pandas as pd

    from netsim.studies.complexity import compare_complexity, hardware, measure_complexity

    measured = measure_complexity(plan)
    folder = study_folder(plan, folder)
    times = pd.DataFrame(
        [
            {"hardware": hardware(), "scheme": one.scheme, "image": image, "encode_ms": encode, "decode_ms": decode}
            for one in measured
            for image, encode, decode in zip(plan.image_names, one.encode_ms, one.decode_ms, strict=True)
        ]
    )
    reporter.say("wrote", f"{folder}/")
    return [
        write_table(folder, "comparison.csv", compare_complexity(recipe, measured)),
        write_table(folder, "times.csv", times),
    ]


def _channels(recipe: Recipe, folder: Path) -> list[Path]:
    from netsim.figures.channels import draw_channels

    folder = fresh_folder(folder)
    comparison = compare_channels(recipe)
    return [write_table(folder, "comparison.csv", comparison), *draw_channels(comparison, folder)]

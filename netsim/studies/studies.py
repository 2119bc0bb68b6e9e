"""Recipes that look at the streams of one process, and at no channel: masked shares, sizes of packets."""

from __future__ import annotations

from pathlib import Path

from netsim.studies.recipe import Recipe
from netsim.studies.outputs import study_folder, write_bytes, write_table
from netsim.runs.progress import Reporter
from netsim.scenario.plan import Plan

__all__ = ["masked", "sizes"]


def masked(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv, draws.csv, the curve with its numbers, differences of pairs, pictures of the shares shown."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.masked import draw_curve, draw_shots
    from netsim.figures.style import figure_bytes, save
    from netsim.studies.masked import compare_masked, masked_differences, masked_qualities, masked_summary, shots

    with Store() as store:
        shop = Workshop(store)
        qualities = masked_qualities(recipe, plan, shop)
        seen = shots(recipe, plan, shop) if recipe.shown else None
    folder = study_folder(plan, folder)
    summary = masked_summary(qualities, plan.failure_db)
    reporter.say("wrote", f"{folder}/")
    written = [
        write_table(folder, "comparison.csv", compare_masked(recipe, summary)),
        write_table(folder, "draws.csv", qualities),
        *save(draw_curve(summary), summary, folder, "masked"),
    ]
    if recipe.difference:
        of_pairs = masked_differences(qualities, recipe.difference, plan.failure_db)
        written.append(write_table(folder, "difference.csv", of_pairs))
    if seen is not None:
        written.append(write_bytes(folder, "masked_pictures.png", figure_bytes(draw_shots(*seen), "png")))
    return written


def sizes(recipe: Recipe, plan: Plan, folder: Path, reporter: Reporter) -> list[Path]:
    """comparison.csv, sizes.csv of every picture and packet, and the figure with its numbers."""
    from netsim.decoding.store import Store
    from netsim.decoding.workshop import Workshop
    from netsim.figures.sizes import draw, numbers
    from netsim.figures.style import save
    from netsim.studies.sizes import compare_sizes, packet_sizes

    with Store() as store:
        found = packet_sizes(plan, Workshop(store))
    comparison, means = compare_sizes(recipe, found), numbers(found)
    folder = study_folder(plan, folder)
    reporter.say("wrote", f"{folder}/")
    return [
        write_table(folder, "comparison.csv", comparison),
        write_table(folder, "pictures.csv", found),
        *save(draw(means), means, folder, "sizes"),
    ]

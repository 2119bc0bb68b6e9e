"""``netsim reproduce``: one table or figure of a paper, ours beside theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["reproduce_command"]


def reproduce_command(
    name: Annotated[str | None, typer.Argument(metavar="PAPER/ARTEFACT", help="Leave out to list them.")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="The paper's size, or minutes on two cores.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="A folder of images, in place of the recipe's.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes [one a core].")] = None,
) -> None:
    """Run a paper's table or figure and write comparison.csv: ours beside the published numbers."""
    from netsim.runs.executor import default_workers
    from netsim.runs.progress import ConsoleReporter
    from netsim.studies.recipe import find_recipe, recipe_names
    from netsim.studies.reproduce import reproduce

    if name is None:
        for known in recipe_names():
            typer.echo(f"{known:32} {find_recipe(known).title}")
        return
    overrides = [] if images is None else [f"images={json.dumps({'folder': str(images.resolve())})}"]
    found = reproduce(
        find_recipe(name), full, out, workers or default_workers(), ConsoleReporter(), overrides=overrides
    )
    for path in found.files:
        typer.echo(str(path))

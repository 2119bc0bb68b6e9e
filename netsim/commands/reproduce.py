"""``netsim reproduce``: a paper's tables and figures, ours beside theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["reproduce_command"]


def reproduce_command(
    name: Annotated[str | None, typer.Argument(metavar="PAPER/ARTEFACT", help="Leave out to list them.")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="The paper's size, or minutes on two cores.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All recipes, and one page: reproduction.md.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="With --all: the page with small figures, too.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="A folder of images, in place of the recipe's.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes [one a core].")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="If DIR holds a run, finished or not, delete it.")
    ] = False,
) -> None:
    """Run a paper's table or figure and write comparison.csv: ours beside the published numbers."""
    from netsim.errors import InputError
    from netsim.interrupt import Stopped
    from netsim.runs.executors import default_workers
    from netsim.runs.progress import ConsoleReporter, resume_hint
    from netsim.studies.recipe import find_recipe, recipe_names
    from netsim.studies.reproduce import reproduce
    from netsim.studies.reproduction import Failed, reproduce_all, write_page

    if images is not None and not images.is_dir():
        hint = "a folder with PNG, JPEG, WebP, TIFF or PPM files"
        raise InputError(f"no image folder `{images}`", where="--images", hint=hint)
    overrides = [] if images is None else [f"images={json.dumps({'folder': str(images.resolve())})}"]
    processes, reporter = workers or default_workers(), ConsoleReporter()
    if everything:
        if name is not None:
            raise InputError(f"--all and `{name}`", where="--all", hint="one of them")
        if overwrite:
            raise InputError("--all takes a new folder", where="--overwrite", hint="leave it out")
        try:
            written, outcomes = reproduce_all(recipe_names(), full, out, processes, reporter, overrides)
        except Stopped:
            reporter.say(
                "stopped", "the same command begins anew in another folder, with the streams and masks remembered"
            )
            raise
        typer.echo(str(written))
        if page is not None:
            write_page(page, outcomes, full)
        failed = [one.recipe.name for one in outcomes if isinstance(one, Failed)]
        if failed:
            raise InputError(f"recipes that did not run: {', '.join(failed)}", hint=f"`{written}` says why")
        return
    if name is None:
        for known in recipe_names():
            typer.echo(f"{known:32} {find_recipe(known).title}")
        return
    ways: Any = {"overrides": overrides, "exist": "overwrite" if overwrite else "number"}
    try:
        reproduced = reproduce(find_recipe(name), full, out, processes, reporter, **ways)
    except Stopped:
        reporter.say("stopped", resume_hint(ways["exist"]))
        raise
    except InputError as error:
        if overrides and error.where.startswith("--set images="):
            raise error.at(f"--images {images}") from error.__cause__
        raise
    for path in reproduced.files:
        typer.echo(str(path))

"""``netsim verify RUN``: whether a run's files are as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["verify"]


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    again: Annotated[
        bool, typer.Option("--rerun", help="Also run it again from its manifest, without the store, and compare logs.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="--rerun: processes.")] = 1,
) -> None:
    """Check a run's files against the hashes in its manifest; exit code 1 if one differs.

    Input files that have changed since are named, too: the same command would no longer give this run.
    """
    from netsim.runs.verify import verify_run

    found = verify_run(run)
    for name in found.whole:
        typer.echo(f"whole    {run / name}")
    for text in found.notes:
        typer.echo(f"note     {text}")
    for text in found.faults:
        typer.echo(f"DAMAGED  {text}")
    if found.faults:
        raise typer.Exit(1)
    if again:
        _rerun(run, workers)


def _rerun(run: Path, workers: int) -> None:
    from netsim.analysis.rerun import rerun
    from netsim.runs.progress import ConsoleReporter
    from netsim.runs.results import load_run

    class Passing(ConsoleReporter):
        """Does not name the files of the second run, which are gone when the command ends."""

        def say(self, phase: str, text: str) -> None:
            if phase != "wrote":
                super().say(phase, text)

    found = rerun(load_run(run), workers, Passing())
    for text in found.notes:
        typer.echo(f"note     {text}")
    for text in found.differences:
        typer.echo(f"DIFFERS  {text}")
    if found.differences:
        raise typer.Exit(1)
    equal = "byte by byte" if found.same_bytes else "in all values"
    typer.echo(f"same     {run / 'log.parquet'}: run again from its manifest, equal {equal}")

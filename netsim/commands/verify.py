"""``netsim verify RUN``: whether a run's files are as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["verify"]


def verify(run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]) -> None:
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

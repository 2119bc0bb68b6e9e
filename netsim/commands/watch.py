"""``netsim watch``: follow a run from a second terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["watch"]


def watch(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="The run's folder.")],
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each state as a line of JSON.")] = False,
) -> None:
    """Print how far a run is until it ends. Exit code 0 if it finished, 1 if it was stopped."""
    import json

    from netsim.runs.watch import follow

    said = 0
    shown: dict[str, Any] = {}
    status = "running"
    for state in follow(run, every):
        status = state["status"]
        if as_json:
            typer.echo(json.dumps(state))
            continue
        for phase, text in state["said"][said:]:
            typer.echo(f"{phase:<10}{text}")
        said = max(said, len(state["said"]))
        for phase, counts in state["phases"].items():
            if counts != shown.get(phase):
                typer.echo(f"{phase:<10}{_line(counts)}")
        shown = state["phases"]
    if status == "stopped":
        typer.echo("stopped   run the same command again to resume")
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"finished  {run}")


def _line(counts: Any) -> str:
    left = counts.get("left_s")
    rest = f", about {left:.0f} s left" if left else ""
    return f"{counts['done']:,} of {counts['total']:,} after {counts['elapsed_s']:.0f} s{rest}"

"""``netsim export RUN``: rate–distortion points for other tools, in CompressAI's JSON format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [RUN/rd_json].")] = None,
) -> None:
    """Write a run's rate–distortion points as CompressAI's JSON, one file per scheme, channel and link."""
    from netsim.runs.results import load_run

    for path in load_run(run).export_rd(out):
        typer.echo(f"wrote  {path}")

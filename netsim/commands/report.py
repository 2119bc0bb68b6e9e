"""``netsim report RUN``: one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The file [RUN/report.html].")] = None,
    low_bpp: Annotated[
        float | None, typer.Option("--low-bpp", help="Schemes are ranked over rates from … [what all cover].")
    ] = None,
    high_bpp: Annotated[float | None, typer.Option("--high-bpp", help="… to [what all cover].")] = None,
    trial: Annotated[
        int | None, typer.Option("--trial", help="Trial whose slots' images are shown [typical and bad slots of all].")
    ] = None,
    slots: Annotated[
        list[int] | None,
        typer.Option("--slot", metavar="N", help="A slot, of trial 0 or --trial; repeatable [the first with losses]."),
    ] = None,
) -> None:
    """Write a run's report: what ran, tables, figures, images of slots, the channels' facts, how to run it again."""
    from netsim.report.illustrated import write_report

    typer.echo(f"wrote  {write_report(run, out, low_bpp, high_bpp, trial, slots or ())}")

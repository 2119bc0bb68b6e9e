"""``netsim table RUN``: a run as the table of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["table"]

_SUFFIXES = (".tex", ".md", ".csv")


def table(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="psnr_db, failure_ratio, or a metric of the run.")
    ] = "psnr_db",
    near_bpp: Annotated[
        list[float] | None,
        typer.Option("--near-bpp", help="Rate of a part of the table; repeatable [each operating point, by rate]."),
    ] = None,
    schemes: Annotated[
        list[str] | None, typer.Option("--scheme", metavar="NAME", help="A row; repeatable, in this order [all].")
    ] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", metavar="NAME", help="A column; repeatable, in this order [all].")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="OLD=NEW", help="Prints a scheme or channel by another name; repeatable."),
    ] = None,
    digits: Annotated[int | None, typer.Option("--digits", help="Decimals [2; 4 of further metrics].")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX in place of Markdown.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there: .tex, .md or .csv, by the ending.")
    ] = None,
) -> None:
    """A table for a paper: schemes by channels, with 95 % intervals, the best in bold; Markdown, LaTeX or CSV."""
    from netsim.errors import InputError
    from netsim.figures.files import csv_bytes
    from netsim.report.table import off_rate_notes, table_of_run
    from netsim.runs.atomic import make_folder, write_atomically
    from netsim.runs.results import load_run

    if out is not None and out.suffix not in _SUFFIXES:
        raise InputError(f"a table in `{out}`", where="--out", hint="a file that ends with .tex, .md or .csv")
    renamed = {}
    for text in names or ():
        old, equals, new = text.rpartition("=")
        if not equals:
            raise InputError(f"`{text}` renames nothing", where="--name", hint='--name "jpeg2000 prefix=JPEG 2000"')
        renamed[old] = new
    made = table_of_run(
        load_run(run),
        metric=metric,
        near_bpp=near_bpp or (),
        schemes=schemes or (),
        channels=channels or (),
        names=renamed,
        digits=digits,
    )
    if out is None:
        typer.echo(made.latex() if latex else made.markdown(), nl=False)
        return
    contents = {".tex": made.latex, ".md": made.markdown}
    content = contents[out.suffix]().encode() if out.suffix in contents else csv_bytes(made.numbers)
    make_folder(out.parent)
    write_atomically(out, lambda file: file.write(content))
    for note in off_rate_notes(made.numbers):
        typer.echo(f"note   {note}", err=True)
    typer.echo(f"wrote  {out}")

"""``netsim new``: a small package to begin a plug-in with; ``netsim check-metric``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["check_metric_command", "new"]


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="codec, channel, metric, figure or study.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plug-in's name.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The package's folder [NAME].")] = None,
) -> None:
    """Write a package with a working plug-in, a test of its contract, and a scenario.

    An existing folder is never touched. The last line on standard output is the folder's path.
    """
    from netsim.scaffold import write_scaffold

    paths = write_scaffold(kind, name, out)
    folder = out or Path(name)
    for path in paths:
        typer.echo(f"wrote     {path}", err=True)
    typer.echo(f"next      pip install -e {folder}, then see {folder / 'README.md'}", err=True)
    typer.echo(folder)


def check_metric_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A metric.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try out whether a metric keeps its contract; exit code 1 if it does not."""
    import json

    from netsim.metrics.conformance import check_metric
    from netsim.metrics.further import check_metric_attributes
    from netsim.registry import load_plugin

    check_metric_attributes(name)
    results = check_metric(load_plugin("metric", name))
    failed = sum(not result.passed for result in results)
    if as_json:
        checks = [{"name": one.name, "passed": one.passed, "detail": one.detail} for one in results]
        typer.echo(json.dumps({"metric": name, "passed": not failed, "checks": checks}, indent=2))
    else:
        for one in results:
            typer.echo(f"{one.name:<24}{'passed' if one.passed else 'FAILED':<8}{one.detail}")
        typer.echo(f"{name}: {failed} of {len(results)} checks failed" if failed else f"{name} keeps its contract")
    if failed:
        raise typer.Exit(1)

"""``netsim train NAME …``: hands over to a trainer, found by entry point in the group ``netsim.trainers``.

A trainer is a function of the arguments that follow its name, ``(list[str]) -> int | None``: it returns an exit code,
answers ``--help`` itself, and raises ``InputError`` for bad input.
"""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.errors import InputError
from netsim.plugins import load_plugin, plugin_names

__all__ = ["train"]

GROUP = "netsim.trainers"


def train(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME ...", help="What to train, and then its own options."),
    ] = None,
) -> None:
    """Train a learned codec. Without a name: list what can be trained."""
    name, *own = arguments or [""]
    if name in ("", "--help"):
        typer.echo(f"{context.get_help()}\n" if name else "", nl=False)
        known = plugin_names(GROUP)
        typer.echo(f"trainers  {', '.join(known) or 'none: install netsim[learned]'}")
        for trainer in known:
            typer.echo(f"next      netsim train {trainer} --help")
        return
    if name.startswith("-"):
        raise InputError(f"what to train comes before `{name}`", hint=f"known: {', '.join(plugin_names(GROUP))}")
    trainer = load_plugin(GROUP, name)
    try:
        code = trainer(own)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)

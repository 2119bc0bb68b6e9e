"""``netsim train NAME …``: hands over to a trainer, a plug-in of kind ``trainer``.

A trainer is a function of the arguments that follow its name, ``(list[str]) -> int | None``: it returns an exit code,
answers ``--help`` itself, and raises ``InputError`` for bad input.
"""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.distribution import install_command
from netsim.errors import InputError
from netsim.registry import load_plugin, plugin_names

__all__ = ["train"]


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
        known = plugin_names("trainer")
        typer.echo(f"trainers  {', '.join(known) or 'none: ' + install_command('learned')}")
        for trainer in known:
            typer.echo(f"next      netsim train {trainer} --help")
        return
    if name.startswith("-"):
        raise InputError(f"what to train comes before `{name}`", hint=f"known: {', '.join(plugin_names('trainer'))}")
    trainer = load_plugin("trainer", name)
    try:
        code = trainer(own)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)

"""What the command lines of all trainers share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from netsim.errors import InputError

__all__ = ["check_folders", "standalone"]


def check_folders(images: Sequence[Path], validation: Path) -> None:
    """Raises InputError if validation images would be trained on."""
    held_out = validation.resolve()
    for folder in (folder.resolve() for folder in images):
        if held_out.is_relative_to(folder) or folder.is_relative_to(held_out):
            raise InputError(
                f"{validation} would be trained on, too", hint="give --validation a folder of other images"
            )


def standalone(app: typer.Typer, name: str, arguments: Sequence[str]) -> int:
    """Runs a trainer's command line inside ``netsim train``; returns its exit code.

    Wrong options are left to ``netsim``'s own command line, which reports them.
    """
    command = typer.main.get_command(app)
    try:
        return int(command.main(args=list(arguments), prog_name=name, standalone_mode=False) or 0)
    except SystemExit as error:
        return int(error.code or 0)

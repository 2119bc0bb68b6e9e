"""The command line of a module that runs as a script."""

from __future__ import annotations

import sys
from collections.abc import Callable

from netsim.errors import InputError

__all__ = ["run_command"]


def run_command(main: Callable[..., None]) -> None:
    """Run a function as a command; bad input ends it with exit code 2 and the error on standard error.

    Args:
        main: Its parameters are the arguments and options, as typer reads them.
    """
    import typer

    try:
        typer.run(main)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

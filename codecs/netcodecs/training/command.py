"""Runs a module's ``main`` from a shell: bad input is a sentence on standard error and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from netsim.errors import InputError

__all__ = ["run"]


def run(main: Callable[[], object]) -> None:
    """Calls ``main``."""
    try:
        main()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

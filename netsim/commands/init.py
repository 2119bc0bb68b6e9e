"""``netsim init``: a shipped scenario as the user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netsim.errors import InputError, did_you_mean

__all__ = ["copy_scenario", "init"]


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A shipped scenario.")] = "quickstart",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="File to write [NAME.yaml].")] = None,
) -> None:
    """Copy a shipped scenario, to be edited. An existing file is never replaced.

    The last line on standard output is the file's path.
    """
    path = copy_scenario(name, out)
    typer.echo(f"next      netsim run {path}", err=True)
    typer.echo(path)


def copy_scenario(name: str, out: Path | None = None) -> Path:
    """Write a copy of a shipped scenario.

    Args:
        name: The scenario's name, without ``.yaml``.
        out: File to write. Default: ``NAME.yaml`` in the working folder.

    Returns:
        The path of the written file.

    Raises:
        InputError: No scenario has this name, the file exists, or it can't be written.
    """
    from netsim.paths import output_path
    from netsim.shipped import scenario_names, shipped_folder

    if name not in scenario_names():
        raise InputError(f"no shipped scenario `{name}`", hint=did_you_mean(name, scenario_names()))
    path = output_path(str(out or f"{name}.yaml"))
    content = (shipped_folder("scenarios") / f"{name}.yaml").read_bytes()
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise InputError(f"`{path}` exists", hint="name another file with --out") from None
    except OSError as error:
        raise InputError(f"can't write `{path}`: {error.strerror}", hint="name another file with --out") from None
    return path

"""``netsim init``: a shipped scenario as the user's own file, or a recipe as the user's own folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from netsim.errors import InputError, did_you_mean

__all__ = ["copy_recipe", "copy_scenario", "init"]


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A shipped scenario, or a recipe.")] = "quickstart",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="What to write [NAME.yaml; a recipe: experiments/mine/ARTEFACT]."),
    ] = None,
) -> None:
    """Copy a shipped scenario, or a recipe (`netsim reproduce` lists them), to be edited.

    Nothing that exists is replaced. The last line on standard output is the copy's path.
    """
    path = copy_recipe(name, out) if "/" in name else copy_scenario(name, out)
    following = f"reproduce {'/'.join(path.parts[-2:])}" if path.is_dir() else f"run {path}"
    typer.echo(f"next      netsim {following}", err=True)
    typer.echo(path)


def copy_recipe(name: str, out: Path | None = None) -> Path:
    """Write a copy of a recipe's folder.

    Args:
        name: PAPER/ARTEFACT.
        out: Folder to write. Default: ``experiments/mine/ARTEFACT``, where ``netsim reproduce`` finds it.

    Returns:
        The path of the folder.

    Raises:
        InputError: No recipe has this name, the folder exists, or it can't be written.
    """
    from netsim.paths import output_path
    from netsim.studies.recipe import find_recipe

    source = find_recipe(name).folder
    path = output_path(str(out or Path("experiments", "mine", source.name)))
    try:
        shutil.copytree(source, path)
    except FileExistsError:
        raise InputError(f"`{path}` exists", hint="name another folder with --out") from None
    except (OSError, shutil.Error) as error:
        raise InputError(f"can't write `{path}`: {error}", hint="name another folder with --out") from None
    return path


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

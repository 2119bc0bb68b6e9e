"""Scenarios and recipes that ship with netsim: inside a wheel's package, or at the root of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["find_scenario", "scenario_names", "shipped_folder"]

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(kind: Literal["scenarios", "experiments"]) -> Path:
    """The folder with the shipped files of a kind.

    Args:
        kind: Name of the folder at the root of the repository.

    Returns:
        ``netsim/KIND`` in an installed wheel, ``KIND`` at the root of a checkout or an editable installation.
    """
    inside = _PACKAGE / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def scenario_names() -> list[str]:
    """Names of the shipped scenarios, sorted."""
    return sorted(path.stem for path in shipped_folder("scenarios").glob("*.yaml"))


def find_scenario(path: Path) -> Path:
    """The file that a user names: a path, or the name of a shipped scenario.

    Args:
        path: As the user wrote it. A file of that name in the working folder comes first.

    Returns:
        The path of the shipped scenario if ``path`` is only its name, otherwise ``path``, which may be missing.
    """
    if str(path) not in scenario_names() or path.is_file():
        return path
    return shipped_folder("scenarios") / f"{path}.yaml"

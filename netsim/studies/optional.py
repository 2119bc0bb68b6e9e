"""Codec entries of a recipe that run only where their weights and packages exist."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.codec import codec_class, create_codec
from netsim.errors import NotInstalledError
from netsim.studies.recipe import Recipe

__all__ = ["optional_codecs", "with_codecs"]

_NOT_SETTINGS = {"protection", "engine"}


def optional_codecs(recipe: Recipe) -> tuple[list[dict[str, Any]], list[str]]:
    """The recipe's optional codec entries that can run here, and a sentence for each of the others.

    An entry is left out where its weights, its checkpoint or a package that it needs are not there.

    Args:
        recipe: The recipe.

    Returns:
        The entries, with paths that hold in any folder; the sentences.

    Raises:
        InputError: Any other fault of an entry: an unknown codec or setting, a bad value.
    """
    entries: list[dict[str, Any]] = []
    notes: list[str] = []
    for entry in recipe.optional:
        for name, given in entry.items():
            placed = {key: _placed(recipe.folder, key, value) for key, value in given.items()}
            settings = placed
            try:
                points = codec_class(name).operating_point_keys
                settings = {key: value for key, value in placed.items() if key not in _NOT_SETTINGS | set(points)}
                create_codec(name, settings)
            except NotInstalledError as error:
                shown = " ".join([name, *(f"{key}={given[key]}" for key in settings)])
                notes.append(f"Left out: {shown} ({_without_folders(error.message)}).")
            else:
                entries.append({name: placed})
    return entries, notes


def _without_folders(message: str) -> str:
    """A message whose absolute paths are file names: pages are published, and folders are of one machine.

    >>> _without_folders("resicomp: no weights at /home/me/paper/alpha-0.safetensors")
    'resicomp: no weights at alpha-0.safetensors'
    """
    return re.sub(r"(?<!\S)/(\S*/)?", "", message)


def _placed(folder: Path, key: str, value: Any) -> Any:
    return str((folder / value).resolve()) if key == "weights" and isinstance(value, str) else value


def with_codecs(codecs: Any, entries: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A scenario's ``codecs`` with further entries.

    Args:
        codecs: One codec as a scenario writes it, or a list.
        entries: The further entries.

    Returns:
        A new list.
    """
    return [*(codecs if isinstance(codecs, list) else [codecs]), *entries]

"""Files that a codec's settings name start from the scenario's folder, as images and traces do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.codec import Codec, codec_class, path_settings
from netsim.errors import InputError

__all__ = ["with_files_beside"]


def with_files_beside(entry: Any, base_dir: Path) -> Any:
    """A codec's entry, its relative paths found in the scenario's folder where there is such a file.

    A path of which the scenario's folder has no file stays as it is written, and starts from the working folder. A
    path that is the same file from both stays, too.

    Args:
        entry: As the scenario has it.
        base_dir: The scenario's folder.

    Returns:
        The entry; one that is not well formed, or of an unknown codec, is returned as it is.
    """
    if not (isinstance(entry, Mapping) and len(entry) == 1):
        return entry
    name, parameters = next(iter(entry.items()))
    if not (isinstance(name, str) and isinstance(parameters, Mapping)):
        return entry
    try:
        kind = codec_class(name)
    except InputError:  # is reported with its place where the entry is read
        return entry
    return {name: _found(kind, parameters, base_dir)}


def _found(kind: type[Codec], parameters: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    named = path_settings(kind)
    found = {key: _beside(value, base_dir) if key in named else value for key, value in parameters.items()}
    choices = found.get("choices")
    if isinstance(choices, list):
        found["choices"] = [_found(kind, one, base_dir) if isinstance(one, Mapping) else one for one in choices]
    return found


def _beside(value: Any, base_dir: Path) -> Any:
    if isinstance(value, list):
        return [_beside(one, base_dir) for one in value]
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    here, there = Path(value), base_dir / value
    try:
        same = here.exists() and there.exists() and here.samefile(there)
        return value if same or not there.exists() else str(there)
    except (OSError, ValueError):  # no path that a file can have
        return value

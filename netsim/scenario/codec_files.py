"""Files that a codec's settings name start from the scenario's folder, as images and traces do."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from netsim.codec import Codec, codec_class, path_settings
from netsim.errors import InputError

__all__ = ["as_written", "codec_files", "with_files"]


def codec_files(entries: Iterable[Any], base_dir: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where the files are that codec entries name.

    Args:
        entries: Codec entries as the scenario has them; those that are not well formed are reported elsewhere.
        base_dir: The scenario's folder. A relative path that it does not have starts from the working folder.
        known: Where an earlier run found them; it counts where there still is a file.

    Returns:
        Absolute paths, by path as written. What is not there is left out, and so is a path from the home folder.
    """
    found = {}
    for text in (text for entry in entries for text in _paths_in_entry(entry)):
        place = _place(text, base_dir, (known or {}).get(text))
        if place is not None:
            found[text] = place
    return found


def with_files(kind: type[Codec], parameters: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """A codec's parameters with its paths absolute.

    Args:
        kind: The codec's class.
        parameters: As the scenario has them.
        files: From ``codec_files``.

    Returns:
        A copy; paths that ``files`` lacks stay as they are.
    """
    named = path_settings(kind)
    return {key: _replaced(value, files) if key in named else value for key, value in parameters.items()}


def as_written(codec: Codec, files: Mapping[str, str]) -> Codec:
    """A codec with its paths as the scenario writes them: for names and keys, which do not depend on a folder.

    Args:
        codec: The codec, made of what ``with_files`` gave.
        files: From ``codec_files``.

    Returns:
        A copy, not for coding; ``codec`` itself where no path differs.
    """
    texts = {Path(place): Path(text) for text, place in files.items()}
    settings = {key: getattr(codec.settings, key) for key in path_settings(type(codec))}
    written = {key: _replaced(value, texts) for key, value in settings.items()}
    if written == settings:
        return codec
    shown = copy.copy(codec)
    shown.settings = codec.settings.model_copy(update=written)
    return shown


def _paths_in_entry(entry: Any) -> Iterator[str]:
    if not (isinstance(entry, Mapping) and len(entry) == 1):
        return
    name, parameters = next(iter(entry.items()))
    if not (isinstance(name, str) and isinstance(parameters, Mapping)):
        return
    try:
        named = path_settings(codec_class(name))
    except InputError:  # is reported with its place where the entry is read
        return
    choices = parameters.get("choices")
    for part in (parameters, *(choices if isinstance(choices, list) else [])):
        if isinstance(part, Mapping):
            yield from (text for key in part if key in named for text in _texts(part[key]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str) and value and not value.startswith("~"):
        yield value


def _place(text: str, base_dir: Path, known: str | None) -> str | None:
    for place in (*([Path(known)] if known else []), base_dir / text, Path(text)):
        try:
            if place.exists():
                return os.path.abspath(place)  # links stay: a file's name may say what it is
        except (OSError, ValueError):  # no path that a file can have
            continue
    return None


def _replaced(value: Any, by: Mapping[Any, Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_replaced(one, by) for one in value)
    return by.get(value, value) if isinstance(value, str | Path) else value

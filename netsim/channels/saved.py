"""Channels that a user has saved: one YAML file each, found by name from any scenario.

A file ``channels/NAME.yaml`` in the scenario's folder goes before one in the user's configuration folder. It holds what
a scenario may say of a channel, and under ``source`` where its numbers come from.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.spec import channel_from_spec, is_channel_name, known_names, reserved_names
from netsim.errors import InputError, did_you_mean
from netsim.paths import read_regular, user_path
from netsim.registry import plugin_names
from netsim.yaml_text import read_value

__all__ = ["channel_file", "channel_text", "config_folder", "read_channel", "resolved_channel", "saved_channel_names"]

_FOLDER = "channels"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LARGEST_BYTES = 2**20


def config_folder() -> Path:
    """The folder of the user's settings: ``NETSIM_CONFIG``, or the system's place for them.

    Returns:
        A folder, which need not exist.
    """
    import platformdirs

    given = os.environ.get("NETSIM_CONFIG")
    return Path(given) if given else platformdirs.user_config_path("netsim")


def saved_channel_names(base_dir: Path = Path()) -> list[str]:
    """Names of the saved channels that a scenario finds.

    Args:
        base_dir: The scenario's folder.

    Returns:
        Sorted.
    """
    found = {path.stem for folder in _folders(base_dir) if folder.is_dir() for path in folder.glob("*.yaml")}
    return sorted(name for name in found if _NAME.fullmatch(name))


def channel_file(name: str, folder: Path | None = None) -> Path:
    """Where a channel of this name is saved.

    Args:
        name: A plain file name that no other channel has.
        folder: A scenario's folder; None: the user's configuration folder.

    Returns:
        The file's path; it may be missing.

    Raises:
        InputError: A saved channel can't have this name.
    """
    if not _NAME.fullmatch(name) or name.endswith((".", ".yaml")):
        hint = "letters, digits, `.`, `_` and `-`, at most 64, the first a letter or a digit"
        raise InputError(f"`{name}` can't be the name of a saved channel", hint=hint)
    if name in reserved_names() or name in plugin_names("channel"):
        raise InputError(f"there is a channel `{name}` already", hint="save it under another name")
    return (config_folder() if folder is None else folder) / _FOLDER / f"{name}.yaml"


def channel_text(channel: Mapping[str, Any]) -> str:
    """A channel as the text of its file.

    Args:
        channel: The channel as in a scenario, values plain.

    Returns:
        YAML; floats have all their digits.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = 120
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(dict(channel), stream)
    return stream.getvalue()


def resolved_channel(spec: Any, base_dir: Path = Path(), within: tuple[str, ...] = ()) -> Any:
    """A channel's specification that holds wherever it is read: saved channels written out, traces' paths absolute.

    Args:
        spec: As in a scenario.
        base_dir: The scenario's folder.
        within: Saved channels whose files hold this one.

    Returns:
        The specification. Names that are not saved channels stay as they are.

    Raises:
        InputError: A saved channel's file can't be read, or holds itself.
    """
    if isinstance(spec, str) and _NAME.fullmatch(spec):
        path = next((path for folder in _folders(base_dir) if (path := folder / f"{spec}.yaml").is_file()), None)
        return spec if path is None or _is_built_in(spec) else _read(path, spec, within)
    if not isinstance(spec, Mapping):
        return spec
    if isinstance(spec.get("trace"), str):
        return {**spec, "trace": str(user_path(spec["trace"], base_dir).resolve())}
    if isinstance(spec.get("switch"), list):
        return {**spec, "switch": [resolved_channel(one, base_dir, within) for one in spec["switch"]]}
    return spec


def read_channel(spec: Any, base_dir: Path = Path()) -> tuple[Any, Channel]:
    """A channel as a scenario writes it, saved ones included.

    Args:
        spec: As in a scenario.
        base_dir: The scenario's folder.

    Returns:
        The specification as ``resolved_channel`` gives it, and the channel.

    Raises:
        InputError: As ``channel_from_spec`` and ``resolved_channel``; for an unknown name it lists saved channels, too.
    """
    resolved = resolved_channel(spec, base_dir)
    try:
        return resolved, channel_from_spec(resolved, base_dir)
    except InputError as error:
        saved = saved_channel_names(base_dir)
        if not isinstance(resolved, str) or is_channel_name(resolved) or not saved:
            raise
        hint = f"{did_you_mean(resolved, [*known_names(), *saved])}\nsaved: {', '.join(saved)}"
        raise InputError(error.message, where=error.where, hint=hint, key=error.key) from None


def _is_built_in(name: str) -> bool:
    return name in reserved_names() or name in plugin_names("channel")


def _folders(base_dir: Path) -> list[Path]:
    return [base_dir / _FOLDER, config_folder() / _FOLDER]


def _read(path: Path, name: str, within: tuple[str, ...]) -> Any:
    if name in within:
        raise InputError(f"channel file {path} holds itself", hint=" → ".join([*within, name]))
    try:
        text = read_regular(path, _LARGEST_BYTES).decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"can't read channel file {path}: {getattr(error, 'strerror', None) or error}") from None
    found = read_value(text, lambda line, column: f"{path}:{line}:{column}")
    if not isinstance(found, Mapping):
        raise InputError(f"channel file {path} holds no channel", hint="a mapping, as in a scenario")
    return resolved_channel({"name": name, **found}, path.parent.parent, (*within, name))

"""A scenario with the place of every value, so that an error can say where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from netsim.errors import InputError, did_you_mean, shortened
from netsim.scenario.python_value import plain_value
from netsim.shipped import scenario_names
from netsim.yaml_text import BYTES_LIMIT, DEPTH_LIMIT, load_yaml, plain, read_value

__all__ = ["Document", "KeyPath", "key_path_text"]

KeyPath = tuple[str | int, ...]


def key_path_text(path: KeyPath) -> str:
    """A key path as one writes it.

    Args:
        path: Keys and indices from the top.

    Returns:
        ``channels[1].rows[0]``

    >>> key_path_text(("channels", 1, "rows", 0))
    'channels[1].rows[0]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Document:
    """A parsed scenario: ``data`` in plain Python types, ``where(path)`` for messages."""

    name: str
    data: dict[str, Any]
    tree: Any = None
    overridden: tuple[tuple[KeyPath, str], ...] = ()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse YAML text.

        Args:
            text: YAML.
            name: Of the file, for messages.

        Returns:
            The document.

        Raises:
            InputError: What ``load_yaml`` refuses, and a text that holds no mapping; with its place.
        """
        tree = load_yaml(text, lambda line, column: f"{name}:{line}:{column}")
        if not isinstance(tree, CommentedMap):
            found = "nothing" if tree is None else f"a {type(tree).__name__}"
            hint = "at least `images`, `codecs` and `channels`; `netsim init` writes an example"
            raise InputError(f"a scenario is a mapping of keys, found {found}", where=f"{name}:1:1", hint=hint)
        return cls(name, plain(tree), tree)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Document:
        """A scenario given as Python values; errors name the key path alone.

        Args:
            values: A scenario's keys with Python values.

        Returns:
            The document.

        Raises:
            InputError: For a value that a scenario can't hold.
        """
        try:
            return cls("", plain_value(values))
        except InputError as error:
            raise error.at(key_path_text(error.key)) from None

    def with_values(self, values: Mapping[str, Any]) -> Document:
        """A copy with top-level keys replaced by Python values.

        Args:
            values: Values by top-level key.

        Returns:
            The copy.

        Raises:
            InputError: A value that a scenario can't hold.
        """
        if not values:
            return self
        new = Document.of_values(values).data
        origins = (*self.overridden, *(((key,), "") for key in new))
        return Document(self.name, {**self.data, **new}, self.tree, origins)

    @classmethod
    def read(cls, path: Path) -> Document:
        """Parse a scenario file.

        Args:
            path: The file.

        Returns:
            The document.

        Raises:
            InputError: The file can't be read or is faulty.
        """
        try:
            with path.open(encoding="utf-8-sig") as file:
                text = file.read(BYTES_LIMIT + 1)  # a device has no end
        except FileNotFoundError:
            raise InputError(f"no scenario file `{path}`", hint=_shipped_hint(path)) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"can't read the scenario `{path}`: {reason}", hint="a YAML file in UTF-8") from None
        return cls.parse(text, str(path))

    def where(self, path: KeyPath, *, at_key: bool = False) -> str:
        """``file:line:column  key.path`` of a value (or of its key), or of its nearest known ancestor.

        Without a text to point into, the key path alone.

        Args:
            path: Keys and indices from the top.
            at_key: Point at the key, not at the value.

        Returns:
            The place.
        """
        for prefix, origin in reversed(self.overridden):
            made = prefix[: len(path)] == path and not self._is_written(path)  # the key is there for what is below it
            if path[: len(prefix)] == prefix or made:
                return f"{origin}  {key_path_text(path)}".strip()
        if self.tree is None:
            return f"{self.name}  {key_path_text(path)}".strip()
        line, column, node = 0, 0, self.tree
        for depth, part in enumerate(path):
            last = depth == len(path) - 1
            try:
                if isinstance(node, CommentedMap):
                    line, column = node.lc.key(part) if last and at_key else node.lc.value(part)
                elif isinstance(node, CommentedSeq) and isinstance(part, int):
                    line, column = node.lc.item(part)
                else:
                    break
                node = node[part]
            except (KeyError, IndexError, AttributeError, TypeError):
                break
        return f"{self.name}:{line + 1}:{column + 1}  {key_path_text(path)}".rstrip()

    def _is_written(self, path: KeyPath) -> bool:
        """Whether the text has a value at a path."""
        node = self.tree
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    @contextmanager
    def standing_at(self, path: KeyPath) -> Iterator[None]:
        """Errors raised inside get the place of ``path`` and of the key below it that they name.

        Args:
            path: Keys and indices from the top.

        Yields:
            Nothing; errors of the block get the place.
        """
        try:
            yield
        except InputError as error:
            if error.where:
                raise
            raise error.at(self.where((*path, *error.key))) from None

    def holds_several(self, key: str, value: Any, path: KeyPath) -> bool:
        """Whether a key has a list of values.

        Args:
            key: Name of the key, for the message.
            value: What the scenario holds.
            path: Its place.

        Returns:
            True for a list.

        Raises:
            InputError: The list is empty.
        """
        if isinstance(value, list) and not value:
            hint = f"one value or several; or no `{key}`"
            raise InputError(f"{key} is an empty list", where=self.where(path), hint=hint)
        return isinstance(value, list)

    def with_overrides(self, assignments: Sequence[str]) -> Document:
        """A copy with ``key.path=value`` assignments applied (``--set``); values are read as YAML.

        Args:
            assignments: ``key.path=value`` each.

        Returns:
            The copy.

        Raises:
            InputError: An assignment that can't be read, or a place that the scenario does not have.
        """
        data, origins = deepcopy(self.data), list(self.overridden)
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            origin = shortened(f"--set {assignment}", 120)
            if not equals or not key.strip():
                raise InputError(f"`{assignment}` is not an assignment", where="--set", hint="--set trials=10")
            if not value.strip():
                raise InputError(f"`{key.strip()}` has no value", where=origin, hint="--set trials=10")
            parts = tuple(key.strip().split("."))
            if len(parts) > DEPTH_LIMIT:
                raise InputError(f"a key of {len(parts)} parts", where=origin, hint=f"at most {DEPTH_LIMIT}")
            parsed = read_value(value, lambda line, column, origin=origin: origin)  # type: ignore[misc]
            origins.append((_assign(data, parts, parsed, origin), origin))
        return Document(self.name, data, self.tree, tuple(origins))


def _shipped_hint(path: Path) -> str:
    return f"a YAML file, or the name of a shipped scenario; {did_you_mean(path.stem, scenario_names())}"


def _assign(data: Any, parts: Sequence[str], value: Any, origin: str) -> KeyPath:
    """Puts a value at a path, in place; returns the path with numbers where it goes into lists."""
    path: list[str | int] = []
    for part in parts:
        inside, here = data, key_path_text(tuple(path))
        if isinstance(inside, list):
            index = int(part) if re.fullmatch(r"\d{1,9}", part, re.ASCII) else -1
            if not 0 <= index < len(inside):
                raise InputError(f"`{here}` has {len(inside)} entries, no `{part}`", where=origin)
            path.append(index)
        elif isinstance(inside, dict):
            path.append(part)
        else:
            raise InputError(f"`{here}` is {inside!r}, it has no `{part}`", where=origin)
        if len(path) == len(parts):
            inside[path[-1]] = value
        elif isinstance(inside, dict) and inside.get(path[-1]) is None:
            inside[path[-1]] = {}
        data = inside[path[-1]]
    return tuple(path)

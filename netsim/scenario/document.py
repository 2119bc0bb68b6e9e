"""A scenario's YAML text with the place of every value, so that an error can say where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from netsim.errors import InputError

__all__ = ["Document", "KeyPath", "key_path_text"]

KeyPath = tuple[str | int, ...]


def key_path_text(path: KeyPath) -> str:
    """A key path as one writes it.

    >>> key_path_text(("channels", 1, "rows", 0))
    'channels[1].rows[0]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool):
        return bool(node)
    for kind in (int, float, str):  # ruamel's scalars remember their notation; the plan must not
        if isinstance(node, kind):
            return kind(node)
    return node


@dataclass(frozen=True)
class Document:
    """A parsed scenario file: ``data`` in plain Python types, ``where(path)`` for messages."""

    name: str
    data: dict[str, Any]
    tree: Any = None
    overridden: tuple[tuple[KeyPath, str], ...] = ()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse YAML text. Raises InputError at the place of a syntax error or a duplicate key."""
        yaml = YAML(typ="rt", pure=True)
        try:
            tree = yaml.load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            problem = (error.problem or "not YAML").splitlines()[0]
            raise InputError(f"not readable as YAML: {problem}", where=place, hint=_syntax_hint(problem)) from None
        except (YAMLError, ValueError) as error:
            raise InputError(f"not readable as YAML: {str(error).splitlines()[0]}", where=name) from None
        if not isinstance(tree, CommentedMap):
            found = "nothing" if tree is None else f"a {type(tree).__name__}"
            hint = "at least `images`, `codecs` and `channels`; see scenarios/quickstart.yaml"
            raise InputError(f"a scenario is a mapping of keys, found {found}", where=f"{name}:1:1", hint=hint)
        return cls(name, _plain(tree), tree)

    @classmethod
    def read(cls, path: Path) -> Document:
        """Parse a scenario file. Raises InputError if it can't be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"no scenario file `{path}`", hint="ready scenarios lie in scenarios/") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"can't read `{path}`: {error}") from None
        return cls.parse(text, str(path))

    def where(self, path: KeyPath, *, at_key: bool = False) -> str:
        """``file:line:column  key.path`` of a value (or of its key), or of its nearest known ancestor."""
        for prefix, origin in self.overridden:
            if path[: len(prefix)] == prefix:
                return f"{origin}  {key_path_text(path)}"
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

    def with_overrides(self, assignments: Sequence[str]) -> Document:
        """A copy with ``key.path=value`` assignments applied (``--set``); values are read as YAML."""
        data, origins = _plain(self.tree) if self.tree is not None else dict(self.data), list(self.overridden)
        for prefix, _ in self.overridden:  # assignments made before these stay
            _assign(data, prefix, _lookup(self.data, prefix), "")
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            origin = f"--set {assignment}"
            if not equals or not key.strip():
                raise InputError(f"`{assignment}` is no assignment", where="--set", hint="--set trials=10")
            path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
            try:
                parsed = YAML(typ="safe", pure=True).load(value)
            except YAMLError:
                raise InputError(f"value `{value}` is not YAML", where=origin) from None
            _assign(data, path, parsed, origin)
            origins.append((path, origin))
        return Document(self.name, data, self.tree, tuple(origins))


def _lookup(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _assign(data: Any, path: KeyPath, value: Any, origin: str) -> None:
    for depth, part in enumerate(path):
        here = key_path_text(path[:depth])
        if isinstance(data, list) and not (isinstance(part, int) and part < len(data)):
            raise InputError(f"`{here}` has {len(data)} entries, no `{part}`", where=origin)
        if not isinstance(data, list | dict):
            raise InputError(f"`{here}` is {data!r}, it has no `{part}`", where=origin)
        inside: Any = data
        if depth == len(path) - 1:
            inside[part] = value
        elif isinstance(inside, dict) and inside.get(part) is None:
            inside[part] = {}
        data = inside[part]


def _syntax_hint(problem: str) -> str:
    if "duplicate key" in problem:
        return "each key may stand once; a list takes several values"
    return "check indentation, brackets and the space after each colon"

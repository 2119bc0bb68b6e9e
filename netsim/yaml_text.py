"""Reads YAML that people write: plain values with text keys, within limits of size and depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml import YAML, ScalarNode
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.scalarbool import ScalarBoolean

from netsim.errors import InputError

__all__ = ["BYTES_LIMIT", "DEPTH_LIMIT", "VALUES_LIMIT", "Place", "load_yaml", "plain", "read_value"]

BYTES_LIMIT = 1_000_000
VALUES_LIMIT = 20_000
"""Most keys and values of a scenario, aliases written out: the round-trip parser reads some 5,000 a second."""
DEPTH_LIMIT = 50

_DIGITS_LIMIT = 50  # a seed of 128 bits has 39

_TEXT, _MERGE, _DATE, _WHOLE = (f"tag:yaml.org,2002:{name}" for name in ("str", "merge", "timestamp", "int"))

Place = Callable[[int, int], str]


def load_yaml(text: str, place: Place) -> Any:
    """The round-trip tree of a YAML text.

    Args:
        text: The YAML text.
        place: Makes the place of an error from its line and column, both from 1.

    Returns:
        ruamel.yaml's tree; None for an empty text.

    Raises:
        InputError: A syntax error, a duplicate key, a key that is not text, a tag, a date, an alias inside the value
            that it names, a character that UTF-8 does not have, or more than the limits of this module.
    """
    if len(text) > BYTES_LIMIT:
        raise InputError(f"{len(text):,} characters of YAML", where=place(1, 1), hint=f"at most {BYTES_LIMIT:,}")
    try:
        _Check(place).all(YAML(typ="rt", pure=True).parse(text))
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or "not YAML").splitlines()[0]
        where = place(mark.line + 1, mark.column + 1) if mark else place(1, 1)
        raise InputError(f"not readable as YAML: {problem}", where=where, hint=_syntax_hint(problem)) from None
    except InputError:
        raise
    except (YAMLError, ValueError) as error:
        raise InputError(f"not readable as YAML: {str(error).splitlines()[0]}", where=place(1, 1)) from None


def read_value(text: str, place: Place) -> Any:
    """A YAML value in plain Python types.

    Args:
        text: The YAML text.
        place: Makes the place of an error from its line and column, both from 1.

    Returns:
        Texts, numbers, truth values, None, lists and dictionaries.

    Raises:
        InputError: What ``load_yaml`` refuses.
    """
    return plain(load_yaml(text, place))


def plain(node: Any) -> Any:
    """A round-trip tree in plain Python types.

    Args:
        node: A node of the tree.

    Returns:
        Dictionaries, lists and scalars of the built-in types; the notation of numbers and texts is lost.
    """
    if isinstance(node, CommentedMap):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [plain(value) for value in node]
    if isinstance(node, bool | ScalarBoolean):
        return bool(node)
    for kind in (int, float, str):  # ruamel's scalars remember their notation; the plan must not
        if isinstance(node, kind):
            return kind(node)
    return node


def _syntax_hint(problem: str) -> str:
    if "duplicate key" in problem:
        return "each key may stand once; a list takes several values"
    return "check indentation, brackets and the space after each colon"


class _Check:
    """Goes through the events of a text, which come one by one, before anything is built from them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.resolver = YAML(typ="rt", pure=True).resolver
        self.values = 0  # with aliases written out
        self.sizes: dict[str, int] = {}  # anchor → its values

    def all(self, events: Iterator[Event]) -> None:
        open_anchors: list[tuple[str | None, int]] = []  # of each open collection, with the count at its start
        at_key: list[bool | None] = []  # of each open collection: does a key come next? None: a list
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if event.version not in (None, (1, 2)):
                    self.refuse(event, f"YAML version {event.version}", "1.2 is read, without a `%YAML` line")
                continue
            if isinstance(event, (SequenceEndEvent, MappingEndEvent)):
                at_key.pop()
                anchor, before = open_anchors.pop()
                if anchor is not None:
                    self.sizes[anchor] = self.values - before
                _turn(at_key)
                continue
            if not isinstance(event, (ScalarEvent, AliasEvent, CollectionStartEvent)):
                continue
            key = bool(at_key and at_key[-1])
            self.count(event, {anchor for anchor, _ in open_anchors})
            if key and not self.is_text_key(event):
                self.refuse(event, f"a key that is {_kind(event)}", "a key is text; put a number or a date in quotes")
            if isinstance(event, CollectionStartEvent):
                self.check_tag(event)
                open_anchors.append((event.anchor, self.values - 1))
                at_key.append(True if isinstance(event, MappingStartEvent) else None)
                if len(at_key) > DEPTH_LIMIT:
                    self.refuse(event, f"nested {len(at_key)} deep", f"at most {DEPTH_LIMIT}")
                continue
            if isinstance(event, ScalarEvent):
                self.check_scalar(event)
                if event.anchor is not None:
                    self.sizes[event.anchor] = 1
            _turn(at_key)

    def count(self, event: Event, open_anchors: set[str | None]) -> None:
        """Counts an event's values, and refuses too many and what holds itself."""
        if isinstance(event, AliasEvent):
            if event.anchor in open_anchors:
                self.refuse(event, f"`*{event.anchor}` stands inside `&{event.anchor}`", "a value can't hold itself")
            self.values += self.sizes.get(event.anchor, 1)
        else:
            self.values += 1
        if self.values > VALUES_LIMIT:
            self.refuse(event, f"more than {VALUES_LIMIT:,} keys and values", "aliases count as often as they stand")

    def is_text_key(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and self.tag(event) in (_TEXT, _MERGE)

    def check_scalar(self, event: ScalarEvent) -> None:
        self.check_tag(event)
        tag = self.tag(event)
        if tag == _WHOLE and len(event.value) > _DIGITS_LIMIT:
            self.refuse(event, f"a number of {len(event.value)} digits", f"at most {_DIGITS_LIMIT}")
        if tag == _DATE:
            hint = f'no key takes a date; a text is put in quotes: "{event.value}"'
            self.refuse(event, f"`{event.value}` is a date", hint)
        try:
            event.value.encode()
        except UnicodeEncodeError:
            self.refuse(event, f"{event.value!r} holds half a surrogate pair", "a text of whole characters")

    def check_tag(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.tag is not None:
            self.refuse(event, f"a YAML tag, `{event.tag}`", "texts, numbers, lists and mappings need none")

    def tag(self, event: ScalarEvent) -> str:
        """What a scalar is by its form: text, a number, a date, …"""
        return str(self.resolver.resolve(ScalarNode, event.value, event.implicit))

    def refuse(self, event: Event, message: str, hint: str) -> None:
        mark = event.start_mark
        raise InputError(message, where=self.place(mark.line + 1, mark.column + 1), hint=hint)


def _turn(at_key: list[bool | None]) -> None:
    """In a mapping, keys and values take turns."""
    if at_key and at_key[-1] is not None:
        at_key[-1] = not at_key[-1]


def _kind(event: Event) -> str:
    if isinstance(event, AliasEvent):
        return f"an alias, `*{event.anchor}`"
    if isinstance(event, ScalarEvent):
        return f"not text, `{event.value}`" if event.value else "empty"
    return "a mapping" if isinstance(event, MappingStartEvent) else "a list"

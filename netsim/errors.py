"""The one error that a user can cause: what is wrong, where it stands, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["InputError", "NotInstalledError", "did_you_mean", "noting", "placed", "shortened"]

_MESSAGE_LIMIT = 600


class InputError(ValueError):
    """Bad input. The CLI prints it without a traceback and exits with code 2.

    Attributes:
        message: One sentence that quotes the offending value.
        where: Place of the value, as a reader would look it up (``mine.yaml:7:14  channels[1].rows[1]``). A caller
            that knows the file may fill it in later (see ``at``).
        hint: What would be right; may span lines.
        key: Path of the value inside the mapping being read, relative to the reader that raised it (``("rows", 1)``).
            The scenario loader turns it into file, line and column.

    >>> str(InputError("negative rate -3", where="mine.yaml:4:9", hint="a rate is above zero"))
    'mine.yaml:4:9  negative rate -3\\n  a rate is above zero'
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "", key: tuple[str | int, ...] = ()) -> None:
        message = shortened(message, _MESSAGE_LIMIT)  # it may quote a value of any size
        self.message, self.where, self.hint, self.key = message, where, hint, key
        super().__init__(message)

    def at(self, where: str) -> InputError:
        """The same error with its place.

        Args:
            where: Place of the value.

        Returns:
            A new error.
        """
        return type(self)(self.message, where=where, hint=self.hint, key=self.key)

    def __str__(self) -> str:
        head = f"{self.where}  {self.message}" if self.where else self.message
        return "\n".join([head, *(f"  {line}" for line in self.hint.splitlines())])


class NotInstalledError(InputError):
    """What a codec needs is not on this machine: weights, a checkpoint, a package.

    A recipe leaves an optional codec out for this reason, and for no other.
    """


@contextmanager
def noting(place: str) -> Iterator[None]:
    """Adds a line to a plug-in's own error, at the end of its traceback; an ``InputError`` needs none.

    Args:
        place: Which plug-in did what.

    Yields:
        Nothing; errors of the block get the line.

    >>> try:
    ...     with noting("decode of codec `mine`"):
    ...         1 / 0
    ... except ZeroDivisionError as error:
    ...     error.__notes__
    ['in decode of codec `mine`']
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        error.add_note(f"in {place}")
        raise


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Gives an ``InputError`` its place, where the error does not know a better one.

    Args:
        where: Place of what the block works on; empty: it is not known.

    Yields:
        Nothing; errors of the block get the place.

    >>> with placed("mine.yaml:4:5"):
    ...     raise InputError("negative rate -3")
    Traceback (most recent call last):
    netsim.errors.InputError: mine.yaml:4:5  negative rate -3
    """
    try:
        yield
    except InputError as error:
        if error.where or not where:
            raise
        raise error.at(where) from error.__cause__


def shortened(text: str, limit: int) -> str:
    """A text of at most ``limit`` characters, its middle left out where it is longer.

    Args:
        text: Any text.
        limit: Most characters, at least 1.

    Returns:
        The text, or its ends around ``…``.

    >>> shortened("0123456789", 5), shortened("01234", 5)
    ('01…89', '01234')
    """
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[: limit - 1 - half]}…{text[len(text) - half :]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, else all of them. Capitals, ``_`` and ``-`` make no difference.

    Args:
        word: What was written.
        known: What could have been meant.

    Returns:
        A hint.

    >>> did_you_mean("jpg2000", ["jpeg2000", "vvc"])
    'did you mean `jpeg2000`? known: jpeg2000, vvc'
    >>> did_you_mean("VVC", ["jpeg2000", "vvc"]), did_you_mean("fec", ["control", "protection"])
    ('did you mean `vvc`? known: jpeg2000, vvc', 'did you mean `protection`? known: control, protection')
    """
    names = sorted(known)
    plain = {_plain(name): name for name in names}
    asked = _plain(word[:100])
    meant = _SYNONYMS.get(asked)
    near = [meant] if meant in names else difflib.get_close_matches(asked, plain, n=1, cutoff=0.5)
    listing = "known: " + ", ".join(names)
    return f"did you mean `{plain[_plain(near[0])]}`? {listing}" if near else listing


def _plain(word: str) -> str:
    return word.casefold().replace("_", "-")


_SYNONYMS = dict.fromkeys(
    ("fec", "parity", "redundancy", "rs", "reed-solomon", "erasure-code", "arq", "retransmission", "repeat"),
    "protection",
) | {"loss": "channels", "losses": "channels", "loss-rate": "channels", "repetitions": "trials", "runs": "trials"}
"""What users call a key, and its name here."""

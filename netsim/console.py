"""Standard output and standard error of a command: closed, full or a terminal."""

from __future__ import annotations

import io
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from netsim.text import visible

__all__ = ["guard_streams", "open_closed_streams"]


def open_closed_streams() -> None:
    """Opens the null device where a caller has closed a standard stream (``>&-``).

    Otherwise the next file that the process opens becomes its standard output or error.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _discard(number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def guard_streams() -> None:
    """Wraps ``sys.stdout`` and ``sys.stderr`` for this process.

    - Standard error holds progress and messages: where they can't be written (a full device), they are dropped, and
      the command goes on.
    - Standard output holds results: if it can't be written, that is an OSError that names it, and no second one when
      the interpreter ends.
    - On a terminal, no text of standard output can do more than change colours.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding may lack characters, and a name may not be text
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = _Output(sys.stdout)
    sys.stderr = _Messages(sys.stderr)


def _discard(number: int) -> None:
    """Connects a file descriptor to the null device; child processes inherit it."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


class _Guarded(ABC):
    """A text stream on file descriptor ``number`` whose writes meet ``failed`` where they raise OSError."""

    number: int

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if text != "":  # click writes nothing to see what kind of stream it is: no attempt that can fail
            self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):  # a reader that has gone ends the command, as usual
                _discard(self.number)
                with suppress(OSError):
                    self._stream.flush()  # what is left in the buffer, which would fail once more at the end
            self.failed(error)

    @abstractmethod
    def failed(self, error: OSError) -> None:
        """What a write that can't be made means."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Output(_Guarded):
    number = 1

    def write(self, text: str) -> int:
        if not self._stream.isatty():
            return super().write(text)
        parts = _COLOURS.split(text)  # what our tables are printed in; names in a stranger's run may hold other codes
        super().write("".join(part if i % 2 else visible(part) for i, part in enumerate(parts)))
        return len(text)

    def failed(self, error: OSError) -> None:
        raise OSError(error.errno, error.strerror, "standard output") from None


class _Messages(_Guarded):
    number = 2

    def failed(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise error


_COLOURS = re.compile("(\x1b\\[[0-9;]*m)")

"""What a run says while it works: one line a phase, with a bar and the time left where somebody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["ConsoleReporter", "Reporter", "Silent"]


class Step(Protocol):
    """Called once for each task done."""

    def __call__(self) -> None: ...


class Reporter(Protocol):
    """Says what a run does."""

    def say(self, phase: str, text: str) -> None: ...

    def phase(self, phase: str, text: str, total: int) -> contextmanager[Step]: ...  # type: ignore[valid-type]


class Silent:
    """Says nothing (the Python API's default)."""

    def say(self, phase: str, text: str) -> None:
        pass

    @contextmanager
    def phase(self, phase: str, text: str, total: int) -> Iterator[Step]:
        yield lambda: None


class ConsoleReporter:
    """Writes to standard error: bars on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def say(self, phase: str, text: str) -> None:
        self.console.print(f"{phase:<10}{text}", soft_wrap=True, markup=False)

    @contextmanager
    def phase(self, phase: str, text: str, total: int) -> Iterator[Step]:
        if total == 0:
            yield lambda: None
            self.say(phase, f"{text}: nothing to do")
            return
        if not self.console.is_terminal:
            start = time.monotonic()
            self.say(phase, f"{text} …")
            yield lambda: None
            self.say(phase, f"{text}: {_clock(time.monotonic() - start)}")
            return
        columns = (
            TextColumn(f"{phase:<9} {{task.description}}"),
            BarColumn(18),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(text, total=total)
            yield lambda: bar.advance(task)


def _clock(seconds: float) -> str:
    """
    >>> _clock(61.2)
    '1:01'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

"""What a run says while it works: a line a phase, with bars and the time left where somebody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Board", "ConsoleReporter", "Reporter"]


class Board:
    """Counts tasks by phase; this one shows nothing."""

    def expect(self, phase: str, tasks: int) -> None:
        """So many tasks more are to be done in a phase."""

    def step(self, phase: str) -> None:
        """One is done."""


class Reporter:
    """Says what a run does; this one says nothing (the Python API's default)."""

    def say(self, phase: str, text: str) -> None:
        """One line about a phase."""

    @contextmanager
    def board(self) -> Iterator[Board]:
        """A board for the time that tasks run."""
        yield Board()


class ConsoleReporter(Reporter):
    """Writes to standard error: bars on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def say(self, phase: str, text: str) -> None:
        self.console.print(f"{phase:<10}{text}", soft_wrap=True, markup=False)

    @contextmanager
    def board(self) -> Iterator[Board]:
        if self.console.is_terminal:
            columns = (TextColumn("{task.description:<9}"), BarColumn(18), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=self.console) as progress:
                yield _Bars(progress)
        else:
            board = _Lines()
            yield board
            for phase, seconds in board.seconds.items():
                self.say(phase, f"done, {_clock(seconds)}")


class _Bars(Board):
    def __init__(self, progress: Progress) -> None:
        self.progress, self.tasks, self.totals = progress, {}, {}  # type: ignore[var-annotated]

    def expect(self, phase: str, tasks: int) -> None:
        self.totals[phase] = self.totals.get(phase, 0) + tasks
        if phase not in self.tasks:
            self.tasks[phase] = self.progress.add_task(phase, total=0)
        self.progress.update(self.tasks[phase], total=self.totals[phase])

    def step(self, phase: str) -> None:
        self.progress.advance(self.tasks[phase])


class _Lines(Board):
    def __init__(self) -> None:
        self.start = time.monotonic()
        self.seconds: dict[str, float] = {}

    def step(self, phase: str) -> None:
        self.seconds[phase] = time.monotonic() - self.start


def _clock(seconds: float) -> str:
    """
    >>> _clock(61.2)
    '1:01'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

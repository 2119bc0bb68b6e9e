"""What a run says while it works: a line a phase, how far it is, and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Task as RichTask
from rich.text import Text

from netsim.text import visible

__all__ = ["Board", "ConsoleReporter", "Reporter", "counted", "is_last", "left_s", "resume_hint"]


class Board:
    """Counts tasks by phase; this one shows nothing."""

    def expect(self, phase: str, tasks: int) -> None:
        """Add tasks to a phase.

        Args:
            phase: ``encode``, ``transport``, ``decode``, ...
            tasks: How many.
        """

    def step(self, phase: str) -> None:
        """Count one task of a phase as done.

        Args:
            phase: As given to ``expect``.
        """


def counted(board: Board, phase: str) -> Callable[[int, int], None]:
    """A function that counts a phase's tasks on a board.

    Args:
        board: The board.
        phase: Whose tasks are counted.

    Returns:
        Its arguments: how many tasks are added, how many are done.
    """

    def count(more: int, done: int) -> None:
        if more:
            board.expect(phase, more)
        for _ in range(done):
            board.step(phase)

    return count


class Reporter:
    """Says what a run does; this one says nothing (the Python API's default)."""

    def say(self, phase: str, text: str) -> None:
        """One line about a phase.

        Args:
            phase: One word: ``plan``, ``encode``, …
            text: The rest of the line.
        """

    @contextmanager
    def board(self) -> Iterator[Board]:
        """A board for the time that tasks run.

        Yields:
            The board.
        """
        yield Board()


class ConsoleReporter(Reporter):
    """Writes to standard error: bars on a terminal; elsewhere lines, one every ten seconds while tasks run."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._where: Any = {"console": self.console, "redirect_stdout": False}  # standard output is for results

    def say(self, phase: str, text: str) -> None:
        self.console.print(visible(f"{phase:<10}{text}"), soft_wrap=True, markup=False)

    @contextmanager
    def board(self) -> Iterator[Board]:
        if self.console.is_terminal:
            columns = (TextColumn("{task.description:<9}"), BarColumn(18), MofNCompleteColumn(), TimeElapsedColumn())
            left = _LeftColumn(lambda: progress.tasks)
            with Progress(*columns, TextColumn("left"), left, **self._where) as progress:
                yield _Bars(progress)
            return
        lines = _Lines(self.say)
        with lines:
            yield lines
        for phase, seconds in lines.ended.items():
            self.say(phase, f"done, {_clock(seconds)}")


def resume_hint(exist: str) -> str:
    """How a run that was stopped goes on.

    Args:
        exist: What it does where its folder holds a run already (``netsim.run``).

    Returns:
        A clause.
    """
    return "rerun the same command to resume" if exist != "overwrite" else "rerun it without --overwrite to resume"


def is_last(phase: str, counts: Mapping[str, tuple[float, float]]) -> bool:
    """Whether all later phases are done; only then is the time left shown, since a phase waits for later ones.

    Args:
        phase: One of them.
        counts: By phase, in their order, how many tasks are done and how many there are.

    >>> is_last("transport", {"transport": (9, 288), "decode": (222, 576)})
    False
    """
    *_, last = (name for name, (done, total) in counts.items() if done < total or name == phase)
    return last == phase


def left_s(elapsed_s: float, done: float, total: float) -> float | None:
    """Time left if the rest takes as long per task as what is done.

    Args:
        elapsed_s: Seconds since the first task began.
        done: How many tasks are done.
        total: How many there are.

    Returns:
        Seconds; None before any task is done.

    >>> left_s(30.0, 3, 9)
    60.0
    """
    return elapsed_s / done * (total - done) if done else None


class _LeftColumn(ProgressColumn):
    """From the mean over all tasks, so that it moves while a long task runs (rich's own stands still)."""

    max_refresh = 0.5

    def __init__(self, tasks: Callable[[], Sequence[RichTask]]) -> None:
        super().__init__()
        self._tasks = tasks

    def render(self, task: RichTask) -> Text:
        counts = {one.description: (one.completed, one.total or 0.0) for one in self._tasks()}
        if not is_last(task.description, counts):
            return Text("")
        left = left_s(task.elapsed or 0.0, task.completed, task.total or 0.0)
        return Text("-:--" if left is None else _clock(left), style="progress.remaining")


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
    """A line a phase every ``PERIOD_S``, from a thread: a task may take minutes. ended: seconds to the last step."""

    PERIOD_S = 10.0

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self.say = say
        self.ended: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._done: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> _Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def expect(self, phase: str, tasks: int) -> None:
        self._began.setdefault(phase, time.monotonic())
        self._done.setdefault(phase, 0)
        self._totals[phase] = self._totals.get(phase, 0) + tasks

    def step(self, phase: str) -> None:
        self._done[phase] += 1
        self.ended[phase] = time.monotonic() - self._began[phase]

    def _report(self) -> None:
        while not self._end.wait(self.PERIOD_S):
            for phase, total in list(self._totals.items()):
                done, elapsed_s = self._done[phase], time.monotonic() - self._began[phase]
                counts = {name: (self._done[name], whole) for name, whole in list(self._totals.items())}
                if done < total:
                    left = left_s(elapsed_s, done, total) if is_last(phase, counts) else None
                    rest = "" if left is None else f", about {_clock(left)} left"
                    self.say(phase, f"{done:,} of {total:,} after {_clock(elapsed_s)}{rest}")


def _clock(seconds: float) -> str:
    """
    >>> _clock(61.2)
    '1:01'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

"""Tasks to do, those for a GPU apart from the others: neither kind waits behind the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from netsim.runs.executors.base import Task

__all__ = ["SplitQueue"]

_HELD = 1024  # tasks of a kind that are taken from the first ones only to reach the other kind's behind them


class SplitQueue:
    """Of each kind, tasks that finished ones have added come first, then the first ones in their order.

    Args:
        tasks: The first tasks. A list is in memory anyway, and is split as a whole. Other iterables are taken from
            while fewer than 1,024 tasks of the other kind wait.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._first = iter(tasks)
        self._limit = len(tasks) if isinstance(tasks, Sequence) else _HELD
        self._added: dict[bool, deque[Task]] = {True: deque(), False: deque()}
        self._held: dict[bool, deque[Task]] = {True: deque(), False: deque()}

    def add(self, tasks: Iterable[Task]) -> None:
        """Add tasks.

        Args:
            tasks: They run in this order.
        """
        for task in tasks:
            self._added[task.gpu].append(task)

    def next(self, *, gpu: bool) -> Task | None:
        """Take the next task of a kind.

        Args:
            gpu: Whether it is for a GPU.

        Returns:
            A task, or None: others may be added later, or come when fewer of the other kind wait.
        """
        for known in (self._added[gpu], self._held[gpu]):
            if known:
                return known.popleft()
        while self.waiting(gpu=not gpu) < self._limit and (task := next(self._first, None)) is not None:
            if task.gpu == gpu:
                return task
            self._held[task.gpu].append(task)
        return None

    def waiting(self, *, gpu: bool) -> int:
        """How many tasks of a kind are known and not taken.

        Args:
            gpu: Whether they are for a GPU.
        """
        return len(self._added[gpu]) + len(self._held[gpu])

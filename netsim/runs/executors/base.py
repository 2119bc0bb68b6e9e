"""What an executor is: it runs pure tasks somewhere and hands their results to the driver.

A task is a module-level function of values: ``function(context, argument, values)``. It returns a value. It reads and
writes no file of the driver, so that it may run in this process, in another one or on another machine.

- ``context`` is the same for all tasks of an executor, and is sent to each worker once.
- ``argument`` is small and sent with the task.
- ``values`` holds what ``Task.needs`` names: images and streams, which many tasks share. The executor asks the driver
  for a value with ``fetch(name)`` and sends it to a worker only if the worker does not have it.

The driver alone writes: ``done(task, result)`` is called in its process, one call at a time.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["Executor", "Fetch", "Task", "TaskQueue", "default_workers"]

_WAITING = 256  # tasks that are kept for another worker while there are first ones to begin

Fetch = Callable[[str], Any]


class Task(NamedTuple):
    """One piece of work.

    Attributes:
        kind: The caller's own mark.
        function: A module-level function ``(context, argument, values) -> result``.
        argument: Its argument.
        needs: Names of the values that it gets.
        together: Tasks with the same text share work if one process does them: it remembers some of it. A wish that
            keeps no worker idle; empty: none.
        gpu: Whether it needs a GPU: a cluster gives it one.
    """

    kind: str
    function: Callable[[Any, Any, Mapping[str, Any]], Any]
    argument: Any
    needs: tuple[str, ...] = ()
    together: str = ""
    gpu: bool = False


def default_workers() -> int:
    """One worker a core that this process may use.

    Returns:
        At least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TaskQueue:
    """Tasks to do: those that finished tasks have added, then the next of the first ones.

    Args:
        tasks: The first tasks.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._first = iter(tasks)
        self._added: deque[Task] = deque()

    def add(self, tasks: Iterable[Task]) -> None:
        """Add tasks, which run before those of the first call that have not begun.

        Args:
            tasks: They run in this order.
        """
        self._added.extend(tasks)

    def next(self, fits: Callable[[Task], bool] = lambda task: True) -> Task | None:
        """Take the next task: the first added one that fits, else the next of the first ones, else any added one.

        Args:
            fits: Whether a task should not wait for another worker.

        Returns:
            A task, or None: others may be added later.
        """
        for place, task in enumerate(self._added):
            if fits(task):
                del self._added[place]
                return task
        if len(self._added) < _WAITING and (first := next(self._first, None)) is not None:
            return first
        return self._added.popleft() if self._added else None


class Executor(ABC):
    """Runs tasks. Use as a context manager: it ends its workers at exit, at once if an error is under way.

    Args:
        context: The first argument of every task.
        fetch: Gives the value of a name in ``Task.needs``; called in the driver's process.
    """

    def __init__(self, context: Any, fetch: Fetch) -> None:
        self.context = context
        self.fetch = fetch

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(at_once=kind is not None)

    @abstractmethod
    def close(self, at_once: bool) -> None:
        """End the workers.

        Args:
            at_once: Whether a task under way is given up.
        """

    @abstractmethod
    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        """Run tasks and those that ``done(task, result)`` adds, in any order. The first error ends the work.

        Args:
            tasks: The first tasks, taken one at a time when a worker is free: they need not be in memory at once.
            done: Called in the driver's process with each result; returns further tasks.

        Raises:
            InputError: A worker is lost; beside what tasks raise.
        """

"""Runs tasks in this process or in many; results come in any order, the caller's bookkeeping puts them right."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any, TypeVar

from netsim.errors import InputError

__all__ = ["Executor", "default_workers"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_context: Any = None


def default_workers() -> int:
    """One worker a core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _enter(context: Any) -> None:
    global _context
    _context = context


def _call(function: Callable[[Any, Task], Result], task: Task) -> Result:
    return function(_context, task)


class Executor:
    """Calls ``function(context, task)`` for each task, in ``workers`` processes (1: here).

    context is sent to each process once. Use as a context manager.
    """

    def __init__(self, context: Any, workers: int) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers", hint="--workers takes 1 or more")
        self.workers, self._local = workers, context
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            spawn = multiprocessing.get_context("spawn")  # forking is unsafe once a codec has started threads
            self._pool = ProcessPoolExecutor(workers, spawn, initializer=_enter, initargs=(context,))

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Any, Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) pairs as they are done. The first error stops the run."""
        if self._pool is None:
            for task in tasks:
                yield task, function(self._local, task)
            return
        waiting = {self._pool.submit(_call, function, task): task for task in tasks}
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()

"""Runs tasks in this process or in many. A finished task may give more tasks, so that steps overlap."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, NamedTuple

from netsim.errors import InputError

__all__ = ["Executor", "Task", "default_workers"]

_context: Any = None


class Task(NamedTuple):
    """``function(context, argument)``, a module-level function; kind is the caller's own mark."""

    kind: str
    function: Callable[[Any, Any], Any]
    argument: Any


def default_workers() -> int:
    """One worker a core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _enter(context: Any, threads: int) -> None:
    global _context
    _context = context
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when a codec loads its library


def _call(task: Task) -> Any:
    return task.function(_context, task.argument)


class Executor:
    """Works off tasks in ``workers`` processes (1: here). context is sent to each process once.

    Libraries in a process get its share of the cores as threads, unless OMP_NUM_THREADS says how many: as many threads
    as cores in every process would wait for each other. Use as a context manager.
    """

    def __init__(self, context: Any, workers: int) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers", hint="--workers takes 1 or more")
        self.context = context
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            spawn = multiprocessing.get_context("spawn")  # forking is unsafe once a codec has started threads
            threads = max(default_workers() // workers, 1)
            self._pool = ProcessPoolExecutor(workers, spawn, initializer=_enter, initargs=(context, threads))

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        """Work off tasks and those that ``done(task, result)`` adds; in any order. The first error ends the work."""
        if self._pool is None:
            queue = deque(tasks)
            while queue:
                task = queue.popleft()
                queue.extend(done(task, task.function(self.context, task.argument)))
            return
        pool = self._pool
        waiting: dict[Future[Any], Task] = {pool.submit(_call, task): task for task in tasks}
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                for task in done(waiting.pop(future), future.result()):
                    waiting[pool.submit(_call, task)] = task

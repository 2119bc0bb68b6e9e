"""Where the tasks of a run are done: in this process or in several. Another way is one more module of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.errors import InputError
from netsim.runs.executors.base import Executor, Task, default_workers
from netsim.runs.executors.processes import ProcessExecutor
from netsim.runs.executors.serial import SerialExecutor

__all__ = ["Executor", "Task", "default_workers", "executor_for"]


def executor_for(context: Any, fetch: Callable[[str], Any], workers: int) -> Executor:
    """An executor of so many workers.

    Args:
        context: What every task gets first.
        fetch: Gives the value that a task's ``needs`` name.
        workers: 1: this process does the tasks.

    Raises:
        InputError: Fewer than 1 worker.
    """
    if workers < 1:
        raise InputError(f"{workers} workers", hint="--workers takes 1 or more")
    return SerialExecutor(context, fetch) if workers == 1 else ProcessExecutor(context, fetch, workers)

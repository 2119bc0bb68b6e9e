"""Where the tasks of a run are done: this process, several, or a cluster. Another way is a module of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.errors import InputError
from netsim.runs.executors.base import Executor, Task, default_workers
from netsim.runs.executors.processes import ProcessExecutor
from netsim.runs.executors.serial import SerialExecutor

__all__ = ["Executor", "Task", "default_workers", "executor_for"]


def executor_for(context: Any, fetch: Callable[[str], Any], workers: int, cluster: str | None = None) -> Executor:
    """An executor of so many workers.

    Args:
        context: What every task gets first.
        fetch: Gives the value that a task's ``needs`` name.
        workers: 1: this process does the tasks, unless a cluster does.
        cluster: None: this machine's processes. ``ray``: Ray with so many workers on this machine. Else the address of
            a Ray cluster, whose workers are as many as it has CPUs.

    Returns:
        The executor; it is to be closed after use.

    Raises:
        InputError: Fewer than 1 worker; Ray is missing, or the cluster can't be reached.
    """
    if workers < 1:
        raise InputError(f"{workers} workers", hint="--workers takes 1 or more")
    if cluster is not None:
        from netsim.runs.executors.cluster import RayExecutor

        return RayExecutor(context, fetch, workers, cluster)
    return SerialExecutor(context, fetch) if workers == 1 else ProcessExecutor(context, fetch, workers)

"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netsim.runs.executors.base import Executor, Task, TaskQueue

__all__ = ["SerialExecutor"]


class SerialExecutor(Executor):
    """Runs tasks in this process, one after the other."""

    def close(self, at_once: bool) -> None:
        """There is no worker to end.

        Args:
            at_once: Whether a task under way is given up.
        """

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        queue = TaskQueue(tasks)
        while (task := queue.next()) is not None:
            values = {name: self.fetch(name) for name in task.needs}
            queue.add(done(task, task.function(self.context, task.argument, values)))

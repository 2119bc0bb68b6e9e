"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from netsim.runs.executors.base import Executor, Task

__all__ = ["SerialExecutor"]


class SerialExecutor(Executor):
    """Runs tasks in this process, in the order in which they come."""

    def close(self, at_once: bool) -> None:
        """There is no worker to end."""

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        queue = deque(tasks)
        while queue:
            task = queue.popleft()
            values = {name: self.fetch(name) for name in task.needs}
            queue.extend(done(task, task.function(self.context, task.argument, values)))

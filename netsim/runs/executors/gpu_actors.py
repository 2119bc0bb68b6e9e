"""A process for each GPU of a Ray cluster. It keeps the codecs' weights from task to task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.errors import InputError

__all__ = ["GpuActors"]

_TASKS_AT_ONCE = 2  # of a GPU: one runs, one waits with its values at hand


class GpuActors:
    """Actors, started when a first task needs a GPU; each has one to itself, and does one task at a time.

    Args:
        ray: The module, connected to a cluster.
        function: What an actor does with the arguments of :meth:`send`.
        retries: How often a task runs again whose actor died; the actor is replaced each time.
    """

    def __init__(self, ray: Any, function: Callable[..., Any], retries: int) -> None:
        self._ray, self._retries = ray, retries
        self._class = ray.remote(_Actor)
        self._function = function
        self._under_way: list[tuple[Any, set[Any]]] = []  # each actor with its tasks
        self._gpus = 0  # of the cluster, when last asked

    @property
    def busy(self) -> int:
        """Number of tasks under way."""
        return sum(len(tasks) for _, tasks in self._under_way)

    def free(self, gpus: int) -> bool:
        """Whether one more task can be sent.

        Args:
            gpus: Of the cluster.
        """
        self._gpus = gpus
        return self.busy < _TASKS_AT_ONCE * max(gpus, len(self._under_way))

    def check(self, gpus: int) -> None:
        """Raises InputError if there is no GPU for tasks that wait for one.

        Args:
            gpus: Of the cluster.
        """
        if not gpus and not self._under_way:
            hint = "`device: cpu` in the scenario, or a node with a GPU: `ray start --num-gpus 1`"
            raise InputError("a codec runs on a GPU (`device: cuda`), and the cluster has none", hint=hint)

    def send(self, *arguments: Any) -> Any:
        """Starts a task on the GPU with fewest. Call it while one is free. Returns a reference to its result."""
        options = {"num_gpus": 1, "num_cpus": 0, "max_restarts": -1, "max_task_retries": self._retries}
        while len(self._under_way) < self._gpus:
            self._under_way.append((self._class.options(**options).remote(self._function), set()))
        actor, tasks = min(self._under_way, key=lambda one: len(one[1]))
        reference = actor.do.remote(*arguments)
        tasks.add(reference)
        return reference

    def done(self, reference: Any) -> None:
        """Forget a finished task; one that ran on no GPU is ignored."""
        for _, tasks in self._under_way:
            tasks.discard(reference)

    def close(self) -> None:
        """Ends the actors, which gives their GPUs back."""
        for actor, _ in self._under_way:
            self._ray.kill(actor)
        self._under_way.clear()


class _Actor:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def do(self, *arguments: Any) -> Any:
        return self._function(*arguments)

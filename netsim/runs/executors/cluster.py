"""Runs tasks on a Ray cluster. Workers need netsim, and no disk that they share with the driver.

Images and streams are objects of Ray's store: each node fetches one once. Ray reuses its worker processes, so that a
codec keeps its weights from task to task. Tasks of codecs that run on a GPU go to actors that have one each. A task
whose worker or node dies runs again elsewhere.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from netsim.distribution import install_command, running_code
from netsim.errors import InputError
from netsim.registry import Registration, adopt, registrations
from netsim.runs.executors.answers import Answer, answer
from netsim.runs.executors.base import Executor, Fetch, Task
from netsim.runs.executors.gpu_actors import GpuActors
from netsim.runs.executors.split_queue import SplitQueue

__all__ = ["RayExecutor"]

_RETRIES = 3  # of a task whose worker dies
_TASKS_A_CPU = 2  # under way: one runs, one waits with its values at hand
_KEPT_VALUES = 64  # references held beside those of tasks under way; Ray writes to disk what memory does not hold
_REACH_S = 5.0
_AGAIN = "rerun the same command to resume"


class RayExecutor(Executor):
    """Runs tasks on a Ray cluster. Run-time registrations (``netsim.registry``) are sent to its workers.

    Args:
        context: The first argument of every task.
        fetch: Gives the value of a name in ``Task.needs``.
        workers: CPUs of a Ray that is started here.
        address: ``ray``: start Ray on this machine. ``auto``: the cluster that this node is part of, or that of
            RAY_ADDRESS. Else ``HOST:PORT``.

    Raises:
        InputError: Ray is not installed, or the cluster can't be reached.
    """

    def __init__(self, context: Any, fetch: Fetch, workers: int, address: str) -> None:
        super().__init__(context, fetch)
        self._ray = _import_ray()
        self._ours = not self._ray.is_initialized()  # a notebook may be connected already
        if self._ours:
            _connect(self._ray, workers, address)
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._remote = self._ray.remote(_do).options(max_retries=_RETRIES, retry_exceptions=False)
        self._gpus = GpuActors(self._ray, _do, _RETRIES)
        try:
            self._common = running_code(), self._ray.put((context, registrations()))
        except Exception as error:
            self.close(at_once=True)
            hint = "define plug-ins in a module that a worker can import, or run without --cluster"
            raise InputError(f"a worker can't take over the plan: {error}", hint=hint) from error

    def close(self, at_once: bool) -> None:
        """Leave the cluster, which ends this driver's tasks; a Ray that was started here ends.

        Args:
            at_once: Whether a task under way is given up.
        """
        self._values.clear()
        self._gpus.close()
        if self._ours:
            self._ray.shutdown()

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        queue = SplitQueue(tasks)
        busy: dict[Any, Task] = {}
        while True:
            self._begin(queue, busy)
            if not busy:
                return
            ready, _ = self._ray.wait(list(busy), num_returns=1)
            task = busy.pop(ready[0])
            self._gpus.done(ready[0])
            queue.add(done(task, self._result(task, ready[0])))

    def _begin(self, queue: SplitQueue, busy: dict[Any, Task]) -> None:
        """Send tasks while there is room. Nodes come and go."""
        resources = self._ray.cluster_resources()
        cpus, gpus = max(int(resources.get("CPU", 1)), 1), int(resources.get("GPU", 0))
        while self._gpus.free(gpus) and (task := queue.next(gpu=True)) is not None:
            busy[self._send(task)] = task
        while len(busy) - self._gpus.busy < _TASKS_A_CPU * cpus and (task := queue.next(gpu=False)) is not None:
            busy[self._send(task)] = task
        if queue.waiting(gpu=True):
            self._gpus.check(gpus)

    def _send(self, task: Task) -> Any:
        for name in task.needs:
            if name not in self._values:
                self._values[name] = self._ray.put(self.fetch(name))
            self._values.move_to_end(name)
        references = [self._values[name] for name in task.needs]
        while len(self._values) > max(_KEPT_VALUES, len(references)):
            self._values.popitem(last=False)
        send = self._gpus.send if task.gpu else self._remote.remote
        return send(self._common, task, *references)

    def _result(self, task: Task, reference: Any) -> Any:
        try:
            received: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            times = f"{_RETRIES + 1} times" if _worker_died(self._ray, error) else "at last"
            reason = str(error).strip().partition("\n")[0]
            message = f"the cluster lost a task of kind `{task.kind}`, {times}: {reason}"
            raise InputError(
                message, hint=f"most often a node's memory has run out, or nodes have left\n{_AGAIN}"
            ) from None
        return received.result()


def _worker_died(ray: Any, error: Exception) -> bool:
    names = ("WorkerCrashedError", "NodeDiedError", "ActorDiedError", "ActorUnavailableError")
    return isinstance(error, tuple(getattr(ray.exceptions, name) for name in names))


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a simulator reports to nobody
    os.environ.setdefault("RAY_task_oom_retries", str(_RETRIES))  # Ray's own limit is none
    try:
        import ray
    except ImportError:
        raise InputError("--cluster needs Ray", hint=install_command("cluster")) from None
    return ray


def _connect(ray: Any, workers: int, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    here = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    if address not in ("ray", "auto"):
        _check_reachable(address)
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**(here if address == "ray" else {"address": address}), **quiet)
    except Exception as error:  # a node that does not start in time raises no type of its own
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the Ray cluster `{address}` can't be used: {reason}", where="--cluster", hint=_HINT
        ) from None
    finally:
        if main and before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray sets its own


_HINT = (
    "a busy machine may need another try; `ray start --head` prints the address of a cluster; `ray` starts Ray on this "
    "machine"
)


def _check_reachable(address: str) -> None:
    """Ask within seconds what Ray would ask for a minute."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise InputError(f"`{address}` is not an address", where="--cluster", hint=f"ray, auto or HOST:PORT\n{_HINT}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except OSError as error:
        message = f"the Ray cluster `{address}` can't be reached: {error.strerror or error}"
        raise InputError(message, where="--cluster", hint=_HINT) from None


_known: dict[str, Any] = {}  # in a worker: the context of the driver that it works for


def _do(common: tuple[str, Any], task: Task, *values: Any) -> Answer:
    """Do a task, in a worker. common: the driver's code, and a reference to what all tasks share."""
    return answer(task, lambda: _context(*common), dict(zip(task.needs, values, strict=True)))


def _context(code: str, reference: Any) -> Any:
    """The context, unpacked once per process: a plan may be large."""
    name = reference.hex()
    if name not in _known:
        import ray

        if code != running_code():  # other code may not even unpack the context
            message = f"a worker has netsim {running_code()}, the driver {code}"
            raise InputError(message, hint="install the same netsim on all nodes")
        registered: tuple[Registration, ...]
        context, registered = ray.get(reference)
        adopt(registered)
        _known.clear()
        _known[name] = context
    return _known[name]

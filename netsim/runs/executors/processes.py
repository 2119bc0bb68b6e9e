"""Runs tasks in processes of this machine. A finished task may give more tasks, so that steps overlap."""

from __future__ import annotations

import multiprocessing
import multiprocessing.reduction
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property, partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from netsim.errors import InputError
from netsim.registry import Registration, adopt, registrations
from netsim.runs.executors.answers import Answer, answer
from netsim.runs.executors.base import Executor, Fetch, Task, TaskQueue, default_workers

__all__ = ["ProcessExecutor", "kill_workers"]

_END_S = 2.0  # how long an idle worker may take to end
_KEPT_BYTES = 256 << 20  # of images and streams in each worker


class ProcessExecutor(Executor):
    """Runs tasks in processes of this machine. Run-time registrations (``netsim.registry``) are sent to them.

    A worker ends with this process, however this one ends, and so do programs that the worker runs. Libraries in a
    worker get its share of the cores as threads, unless OMP_NUM_THREADS says how many: as many threads as cores in
    every process would wait for each other.
    """

    def __init__(self, context: Any, fetch: Fetch, workers: int) -> None:
        super().__init__(context, fetch)
        self.workers = workers
        self._started: list[_Worker] = []
        self._doing: dict[str, _Worker] = {}  # who began the tasks that belong together

    def close(self, at_once: bool) -> None:
        for worker in self._started:
            if at_once:
                worker.kill()
            else:
                worker.connection.close()  # it ends when it sees this
        deadline = time.monotonic() + _END_S
        for worker in self._started:
            worker.end(deadline)

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        queue = TaskQueue(tasks)
        idle = list(self._started)
        busy: dict[Connection, tuple[_Worker, Task]] = {}
        while True:
            while len(busy) < self.workers:
                free = idle[-1] if idle else None
                task = queue.next(partial(self._fits, free))
                if task is None:
                    break
                worker = idle.pop() if idle else self._start()
                if task.together:
                    self._doing.setdefault(task.together, worker)
                worker.send(task, self.fetch)
                busy[worker.connection] = worker, task
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, task = busy.pop(connection)
                queue.add(done(task, worker.result(task)))
                idle.append(worker)

    def _fits(self, worker: _Worker | None, task: Task) -> bool:
        """Whether no other worker began the tasks that belong together with this one; None: a new worker."""
        return self._doing.get(task.together, worker) is worker

    def _start(self) -> _Worker:
        threads = max(default_workers() // self.workers, 1)
        self._started.append(_Worker(self._packed_context, threads))
        return self._started[-1]

    @cached_property
    def _packed_context(self) -> bytes:
        """The context for all workers, packed once."""
        try:
            return _pack(self.context)
        except Exception as error:
            message = f"a worker process can't take over the plan: {error}"
            hint = "define plug-ins in a module that a worker can import, or run with --workers 1"
            raise InputError(message, hint=hint) from error


class _Sent:
    """Which values a worker has. It keeps what it was sent last, ``_KEPT_BYTES`` in all."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    def update(self, needs: Iterable[str], fetch: Fetch) -> tuple[list[tuple[str, bytes]], list[str]]:
        """(values to send, names to drop) so that the worker has ``needs``."""
        new, needed = [], set(needs)
        for name in needs:
            if name in self._sizes:
                self._sizes.move_to_end(name)
            else:
                new.append((name, _pack(fetch(name))))
                self._sizes[name] = len(new[-1][1])
                self._bytes += self._sizes[name]
        drop = []
        while self._bytes > _KEPT_BYTES and next(iter(self._sizes)) not in needed:
            name, size = self._sizes.popitem(last=False)
            self._bytes -= size
            drop.append(name)
        return new, drop


def _pack(value: Any) -> bytes:
    """A value as the pipe between processes of one program carries it; read by such a process alone."""
    return bytes(multiprocessing.reduction.ForkingPickler.dumps(value))


class _Worker:
    """A process that runs one task at a time, and the pipe to it."""

    def __init__(self, context: bytes, threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # forking is unsafe once a codec has started threads
        self.connection, theirs = spawn.Pipe()
        self._has = _Sent()
        self.process = spawn.Process(target=_serve, args=(theirs, context, threads, registrations()))
        resource_tracker.ensure_running()  # the first start would start it, and it unblocks SIGINT
        try:
            with _signals_deferred():  # a worker inherits this: Ctrl-C is for this process alone
                self.process.start()
                _alive[id(self)] = self
        finally:
            theirs.close()

    def send(self, task: Task, fetch: Fetch) -> None:
        new, drop = self._has.update(task.needs, fetch)
        try:
            self.connection.send((task, new, drop))
        except OSError:
            raise self._lost(task) from None

    def result(self, task: Task) -> Any:
        try:
            received: Answer = self.connection.recv()
        except (EOFError, OSError):
            raise self._lost(task) from None
        return received.result()

    def _lost(self, task: Task) -> InputError:
        self.process.join(_END_S)
        code = self.process.exitcode
        how = f"ended with exit code {code}" if code is None or code >= 0 else f"was killed by {_signal_name(-code)}"
        hint = "rerun the same command to resume"
        if code == -signal.SIGKILL:
            hint = f"most often memory has run out: fewer --workers need less\n{hint}"
        elif code is not None and code > 0:
            hint = f'a script that calls netsim.run with workers needs `if __name__ == "__main__":`\n{hint}'
        return InputError(f"a worker process {how} during a task of kind `{task.kind}`", hint=hint)

    def kill(self) -> None:
        """End the process now, and the programs that it runs."""
        pid = self.process.pid
        if pid is None or self.process.exitcode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:  # it has not made its group yet
                os.kill(pid, signal.SIGKILL)

    def end(self, deadline: float) -> None:
        self.process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        self.process.join(_END_S)
        self.connection.close()
        _alive.pop(id(self), None)


_alive: dict[int, _Worker] = {}


def kill_workers() -> None:
    """Kill all workers of this process."""
    for worker in list(_alive.values()):
        worker.kill()


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Signals that come meanwhile count afterwards, so that no start of a process is left half done.

    SIGINT is blocked besides, and a process that is started meanwhile inherits this.
    """
    came: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if here else ()
    handled = [number for number in numbers if callable(signal.getsignal(number))]
    handlers = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in handled}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for late in came[:1]:
            signal.raise_signal(late)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(connection: Connection, packed: bytes, threads: int, sent: tuple[Registration, ...]) -> None:
    """A worker's life: tasks in, results out."""
    with suppress(OSError):
        os.setpgid(0, 0)  # a group of its own, so that the programs it runs can be killed with it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when a codec loads its library
    adopt(sent)
    context = cache(lambda: multiprocessing.reduction.ForkingPickler.loads(packed))  # at the first task
    values: dict[str, Any] = {}
    while True:
        try:
            task, new, drop = connection.recv()
        except (EOFError, OSError):
            return
        for name in drop:
            del values[name]
        values |= {name: multiprocessing.reduction.ForkingPickler.loads(packed) for name, packed in new}
        connection.send(answer(task, context, {name: values[name] for name in task.needs}))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

"""Runs tasks in this process or in many. A finished task may give more tasks, so that steps overlap."""

from __future__ import annotations

import multiprocessing
import multiprocessing.reduction
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from netsim.errors import InputError
from netsim.registry import Registration, adopt, registrations

__all__ = ["Executor", "Task", "default_workers", "kill_workers"]

_END_S = 2.0  # how long an idle worker may take to end


class Task(NamedTuple):
    """``function(context, argument)``, a module-level function; kind is the caller's own mark."""

    kind: str
    function: Callable[[Any, Any], Any]
    argument: Any


def default_workers() -> int:
    """One worker a core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Executor:
    """Works off tasks in ``workers`` processes (1: here). context is sent to each process once, and so are
    run-time registrations (``netsim.registry``).

    A worker ends with this process, however this one ends, and so do programs that the worker runs. Libraries in a
    worker get its share of the cores as threads, unless OMP_NUM_THREADS says how many: as many threads as cores in
    every process would wait for each other. Use as a context manager: an error inside it kills the workers.
    """

    def __init__(self, context: Any, workers: int) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers", hint="--workers takes 1 or more")
        self.context = context
        self.workers = workers
        self._started: list[_Worker] = []

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self._started:
            if kind is None:
                worker.connection.close()  # it ends when it sees this
            else:
                worker.kill()
        deadline = time.monotonic() + _END_S
        for worker in self._started:
            worker.end(deadline)

    def work(self, tasks: Iterable[Task], done: Callable[[Task, Any], Iterable[Task]]) -> None:
        """Work off tasks and those that ``done(task, result)`` adds; in any order. The first error ends the work.

        Raises:
            InputError: If a worker is killed, beside what tasks raise.
        """
        queue = deque(tasks)
        if self.workers == 1:
            while queue:
                task = queue.popleft()
                queue.extend(done(task, task.function(self.context, task.argument)))
            return
        idle = list(self._started)
        busy: dict[Connection, tuple[_Worker, Task]] = {}
        while queue or busy:
            while queue and len(busy) < self.workers:
                worker, task = idle.pop() if idle else self._start(), queue.popleft()
                worker.send(task)
                busy[worker.connection] = worker, task
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, task = busy.pop(connection)
                queue.extend(done(task, worker.result(task)))
                idle.append(worker)

    def _start(self) -> _Worker:
        threads = max(default_workers() // self.workers, 1)
        self._started.append(_Worker(self.context, threads))
        return self._started[-1]


class _Worker:
    """A process that works off one task at a time, and the pipe to it."""

    def __init__(self, context: Any, threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # forking is unsafe once a codec has started threads
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, context, threads, registrations()))
        resource_tracker.ensure_running()  # the first start would start it, and it unblocks SIGINT
        try:
            with _signals_deferred():  # a worker inherits this: Ctrl-C is for this process alone
                self.process.start()
                _alive[id(self)] = self
        finally:
            theirs.close()

    def send(self, task: Task) -> None:
        try:
            self.connection.send(task)
        except OSError:
            raise self._lost(task) from None

    def result(self, task: Task) -> Any:
        try:
            value, error, text = self.connection.recv()
        except (EOFError, OSError):
            raise self._lost(task) from None
        if error is not None:
            raise error from _Elsewhere(text)
        return value

    def _lost(self, task: Task) -> InputError:
        self.process.join(_END_S)
        code = self.process.exitcode
        how = f"ended with exit code {code}" if code is None or code >= 0 else f"was killed by {_signal_name(-code)}"
        hint = "run the same command again: it goes on where it was"
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


class _Elsewhere(Exception):
    """Shows the traceback of an error in a worker."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


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


def _serve(connection: Connection, context: Any, threads: int, sent: tuple[Registration, ...]) -> None:
    """A worker's life: tasks in, results out."""
    with suppress(OSError):
        os.setpgid(0, 0)  # a group of its own, so that the programs it runs can be killed with it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when a codec loads its library
    adopt(sent)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_answer(task, context))


def _answer(task: Task, context: Any) -> tuple[Any, BaseException | None, str]:
    try:
        return task.function(context, task.argument), None, ""
    except Exception as error:
        text = traceback.format_exc()
        try:
            multiprocessing.reduction.ForkingPickler.dumps(error)
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return None, error, text


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

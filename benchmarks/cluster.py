"""What a task costs beside its own work, and what two workers gain: processes of this machine, and Ray on it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.result import Result, faster, within
from netsim.runs.executors import Executor, Task, executor_for

__all__ = ["cluster"]

TASKS = 10_000
LIMIT_MS = 5.0  # a task decodes 64 masks or sends thousands of slots, for a second or so
WORK_TASKS, WORK_S = 80, 0.1
WAYS = {"processes": None, "Ray": "ray"}


def cluster() -> list[Result]:
    """Milliseconds of wall-clock time per empty task, and tasks per second with two workers against one.

    The work of a task is a fixed number of steps of a loop, about ``WORK_S`` on an idle core. Starting workers does not
    count.
    """
    found = []
    for name, address in WAYS.items():
        with executor_for(None, _fetch, 2, address) as executor:
            _seconds(executor, [Task("warm", _nothing, number) for number in range(8)])
            milliseconds = 1e3 * _seconds(executor, [Task("t", _nothing, number) for number in range(TASKS)]) / TASKS
        found.append(within(f"{name} with 2 workers, a task without work, of {TASKS:,}", milliseconds, LIMIT_MS, "ms"))
    steps = _steps()
    for name, address in WAYS.items():
        one, two = (_rate(workers, address, steps) for workers in (1, 2))
        found.append(faster(f"{name}, 2 workers against 1, tasks of {WORK_S} s", two, one, 1.5, "tasks/s"))
    return found


def _rate(workers: int, address: str | None, steps: int) -> float:
    with executor_for(None, _fetch, workers, address) as executor:
        _seconds(executor, [Task("warm", _loop, 1) for _ in range(2 * workers)])
        return WORK_TASKS / _seconds(executor, [Task("t", _loop, steps) for _ in range(WORK_TASKS)])


def _seconds(executor: Executor, tasks: list[Task]) -> float:
    done = 0

    def count(task: Task, result: Any) -> Iterable[Task]:
        nonlocal done
        done += 1
        return ()

    began = time.perf_counter()
    executor.work(tasks, count)
    if done != len(tasks):
        raise AssertionError(f"{done} of {len(tasks)} tasks were done")
    return time.perf_counter() - began


def _steps() -> int:
    """How many steps of the loop take ``WORK_S`` of processor time."""
    began = time.process_time()
    _loop(None, 1_000_000, {})
    return round(1_000_000 * WORK_S / (time.process_time() - began))


def _fetch(name: str) -> None:
    return None


def _nothing(context: None, argument: int, values: Mapping[str, Any]) -> int:
    return argument


def _loop(context: None, argument: int, values: Mapping[str, Any]) -> int:
    total = 0
    for number in range(argument):
        total += number & 3
    return total

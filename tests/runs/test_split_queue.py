"""Tasks for GPUs and others: which comes next, and how many are taken ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from netsim.runs.executors import Task
from netsim.runs.executors.split_queue import SplitQueue


def _nothing(context: Any, argument: Any, values: Mapping[str, Any]) -> None: ...


def _task(name: str, *, gpu: bool) -> Task:
    return Task(name, _nothing, None, gpu=gpu)


def _taken(queue: SplitQueue, *, gpu: bool) -> list[str]:
    names = []
    while (task := queue.next(gpu=gpu)) is not None:
        assert task.gpu is gpu
        names.append(task.kind)
    return names


@pytest.mark.parametrize("gpu", [True, False])
def test_any_number_of_tasks_of_one_kind_leave_the_other_kind_reachable(gpu: bool) -> None:
    names = [f"ahead {n}" for n in range(5000)]
    queue = SplitQueue([*(_task(name, gpu=gpu) for name in names), _task("behind", gpu=not gpu)])
    assert _taken(queue, gpu=not gpu) == ["behind"]
    assert queue.waiting(gpu=gpu) == 5000
    assert _taken(queue, gpu=gpu) == names


def test_added_tasks_come_before_first_ones_of_their_kind() -> None:
    queue = SplitQueue(_task(f"first {n}", gpu=n % 2 == 0) for n in range(4))
    assert queue.next(gpu=False) == _task("first 1", gpu=False)  # first 0 is held
    queue.add([_task("added 0", gpu=True), _task("added 1", gpu=False)])
    assert _taken(queue, gpu=True) == ["added 0", "first 0", "first 2"]
    assert _taken(queue, gpu=False) == ["added 1", "first 3"]


def test_an_endless_stream_of_one_kind_is_not_taken_into_memory() -> None:
    taken = 0

    def endless() -> Iterator[Task]:
        nonlocal taken
        while True:
            taken += 1
            yield _task(str(taken), gpu=True)

    queue = SplitQueue(endless())
    assert queue.next(gpu=False) is None
    assert taken == queue.waiting(gpu=True) == 1024
    assert queue.next(gpu=True) == _task("1", gpu=True)
    assert queue.next(gpu=False) is None
    assert taken == 1025

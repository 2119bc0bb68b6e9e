"""What a worker process is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from netsim.errors import noting
from netsim.runs.executors import Task, default_workers, executor_for, processes
from netsim.runs.executors.base import TaskQueue
from netsim.runs.executors.processes import ProcessExecutor


def threads_here(context: str, argument: str, values: Mapping[str, str]) -> tuple[str, str | None]:
    return context + argument, os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("own", [None, "7"])
def test_workers_share_the_cores(own: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of threads that the user has set stays."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", own)
    results = []

    def done(task: Task, result: Any) -> Iterable[Task]:
        results.append(result)
        return ()

    with ProcessExecutor("a", str, 2) as executor:
        executor.work([Task("t", threads_here, "b"), Task("t", threads_here, "c")], done)
    assert sorted(results) == [(letters, own or str(max(default_workers() // 2, 1))) for letters in ("ab", "ac")]
    assert os.environ.get("OMP_NUM_THREADS") == own


def joined(context: str, argument: str, values: Mapping[str, str]) -> str:
    return " ".join([context, argument, *(f"{name}={value}" for name, value in sorted(values.items()))])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_gets_the_values_that_it_needs_and_no_others(workers: int) -> None:
    results: list[str] = []

    def done(task: Task, result: str) -> Iterable[Task]:
        results.append(result)
        return [Task("t", joined, "more", ("b",))] if result.startswith("all first") else ()

    with executor_for("all", str.upper, workers) as executor:
        executor.work([Task("t", joined, "first", ("a", "b")), Task("t", joined, "second")], done)
    assert sorted(results) == ["all first a=A b=B", "all more b=B", "all second"]


def test_a_worker_is_sent_a_value_once_while_it_has_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_KEPT_BYTES", 250)
    fetched: list[str] = []

    def fetch(name: str) -> bytes:
        fetched.append(name)
        return b"x" * 100

    sent = processes._Sent()
    sizes = {name: len(value) for names in ("a", "ab") for name, value in sent.update(names, fetch)[0]}
    assert set(sizes) == {"a", "b"}
    assert all(100 < size < 125 for size in sizes.values())
    assert sent.update("ab", fetch) == ([], [])
    assert [drop for _, drop in [sent.update("c", fetch)]] == [["a"]]
    assert fetched == ["a", "b", "c"]
    assert sent.update("abc", fetch)[1] == []  # more than there is room for, and all needed at once


class TwoWordsError(Exception):
    """Can be packed, but not unpacked."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def fails(context: str, argument: str, values: Mapping[str, str]) -> None:
    with noting("decode of codec `mine`"):
        raise TwoWordsError("no", "luck")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_says_where_it_arose(workers: int) -> None:
    with (
        pytest.raises((TwoWordsError, RuntimeError), match="no luck") as caught,
        executor_for("", str, workers) as executor,
    ):
        executor.work([Task("t", fails, "")], lambda task, result: ())
    assert caught.value.__notes__ == ["in decode of codec `mine`"]


def process_here(context: str, argument: str, values: Mapping[str, str]) -> int:
    return os.getpid()


def test_the_process_that_began_goes_on() -> None:
    """Each of two workers has begun an image: it does the image's other tasks too, whatever their order."""
    began, went_on = dict[str, int](), list[tuple[str, int]]()

    def done(task: Task, result: int) -> Iterable[Task]:
        if task.kind == "begin":
            began[task.together] = result
            return ()
        if task.kind == "go on":
            went_on.append((task.together, result))
            return ()
        return [Task("go on", process_here, "", (), image) for image in "ab"]

    with ProcessExecutor("", str, 2) as executor:
        executor.work([Task("begin", process_here, "", (), image) for image in "ab"], done)
        executor.work([Task("plan", process_here, "")], done)
    assert sorted(went_on) == sorted(began.items())
    assert len(set(began.values())) == 2


def test_added_tasks_wait_for_their_worker_while_there_are_first_ones() -> None:
    queue = TaskQueue([Task("first", process_here, n) for n in range(2)])
    queue.add([Task("added", process_here, n, (), together) for n, together in enumerate("abab")])

    def mine(task: Task) -> bool:
        return task.together == "b"

    taken = [queue.next(mine) for _ in range(7)]
    assert [(task.kind, task.argument) for task in taken if task] == [
        ("added", 1),
        ("added", 3),
        ("first", 0),
        ("first", 1),
        ("added", 0),
        ("added", 2),
    ]
    assert taken[-1] is None


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_are_taken_when_a_worker_is_free_and_added_ones_go_first(workers: int) -> None:
    taken, order = 0, list[str]()

    def tasks() -> Iterator[Task]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield Task("first", joined, str(number))

    def done(task: Task, result: str) -> Iterable[Task]:
        order.append(task.kind)
        assert taken - order.count("first") <= workers
        return [Task("added", joined, "more")] if task.kind == "first" else ()

    with executor_for("all", str.upper, workers) as executor:
        executor.work(tasks(), done)
    assert (order.count("first"), order.count("added")) == (20, 20)
    assert all(order[: i + 1].count("first") - order[: i + 1].count("added") <= workers for i in range(len(order)))

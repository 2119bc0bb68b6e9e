"""What a worker process is given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from netsim.runs.executor import Executor, Task, default_workers


def threads_here(context: str, argument: str) -> tuple[str, str | None]:
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

    with Executor("a", 2) as executor:
        executor.work([Task("t", threads_here, "b"), Task("t", threads_here, "c")], done)
    assert sorted(results) == [(letters, own or str(max(default_workers() // 2, 1))) for letters in ("ab", "ac")]
    assert os.environ.get("OMP_NUM_THREADS") == own

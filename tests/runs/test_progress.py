"""What a run says while it works, where nobody watches a terminal."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import netsim
from netsim.runs import progress


def test_a_line_says_how_far_each_phase_is_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still where it is put."""
    said: list[tuple[str, str]] = []
    twice = threading.Event()

    def say(phase: str, text: str) -> None:
        said.append((phase, text))
        if len(said) >= 2:
            twice.set()

    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress._Lines, "PERIOD_S", 0.01)
    lines = progress._Lines(say)
    lines.expect("transport", 9)
    for _ in range(3):
        lines.step("transport")
    now[0] = 30.0
    lines.expect("decode", 1_200)
    for _ in range(400):
        lines.step("decode")
    now[0] = 65.0
    with lines:
        assert twice.wait(30)
    assert said[:2] == [  # transport waits for decoding: its own count does not tell how long
        ("transport", "3 of 9 after 1:05"),
        ("decode", "400 of 1,200 after 0:35, about 1:10 left"),
    ]
    assert lines.ended == {"transport": 0.0, "decode": 0.0}


def test_a_phase_that_is_done_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    more = threading.Event()
    monkeypatch.setattr(progress._Lines, "PERIOD_S", 0.01)
    lines = progress._Lines(lambda phase, text: (said.append(phase), more.set())[0])
    lines.expect("encode", 1)
    lines.step("encode")
    lines.expect("decode", 1)
    with lines:
        assert more.wait(30)
    assert set(said) == {"decode"}


def test_time_left_of_a_bar_moves_while_a_task_runs() -> None:
    class _Task:
        description, elapsed, completed, total = "decode", 30.0, 3, 9

    class _Earlier:
        description, elapsed, completed, total = "transport", 30.0, 3, 9

    column = progress._LeftColumn(lambda: [_Earlier(), _Task()])  # type: ignore[list-item]
    assert column.render(_Earlier()).plain == ""  # type: ignore[arg-type]

    assert column.render(_Task()).plain == "1:00"  # type: ignore[arg-type]
    _Task.elapsed = 45.0
    assert column.render(_Task()).plain == "1:30"  # type: ignore[arg-type]
    _Task.completed = 0
    assert re.fullmatch("-:--", column.render(_Task()).plain)  # type: ignore[arg-type]


def test_reading_a_log_and_leaving_python_ends_well(scenario: Path) -> None:
    """No thread of a Parquet reader may abort the interpreter at its exit."""
    run = netsim.run(scenario, out="r", overrides=["codecs=[{jpeg: {quality: 30}}]", "trials=3"])
    code = f"import netsim; netsim.load({str(run.path)!r}).log"
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * 4

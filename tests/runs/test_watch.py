"""A run followed from outside: by its file of progress, and by lines of JSON."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netsim.cli import app
from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.runs.watch import JsonReporter, WatchedReporter, follow

SCENARIO = """\
images: {samples: [coffee]}
codecs: [{jpeg: {quality: 30, packets: 2}}]
channels: [EP4]
engine: array
trials: 3
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SCENARIO)


def test_lines_of_json_say_what_a_run_does() -> None:
    result = CliRunner().invoke(app, ["run", "mine.yaml", "--workers", "1", "--json-progress"])
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert all(event["time_s"] > 1e9 for event in events)
    assert events[0]["phase"] == "plan"
    counts = [event for event in events if event["phase"] == "transport" and "done" in event]
    assert counts[-1]["done"] == counts[-1]["total"] > 0
    assert counts[-1]["left_s"] == 0
    assert any("wrote" in event["phase"] for event in events)
    state = list(follow(Path(result.stdout.splitlines()[-1])))
    assert [one["status"] for one in state] == ["finished"]
    watched = CliRunner().invoke(app, ["watch", result.stdout.splitlines()[-1]])
    assert watched.exit_code == 0
    assert watched.stdout.startswith("finished")


def test_parts_that_need_no_decoding_add_no_lines() -> None:
    """Of a run whose masks are all remembered, which may have thousands of parts."""
    stream = io.StringIO()
    with JsonReporter(stream).board() as board:
        board.expect("transport", 1000)
        board.expect("decode", 0)
        for _ in range(1000):
            board.step("transport")
            board.expect("decode", 0)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["total"] for event in events if event["phase"] == "decode"] == [0]
    assert events[-1]["done"] == 1000


def test_a_run_is_followed_from_outside_until_its_process_ends() -> None:
    (parts := Path("run/parts")).mkdir(parents=True)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    watched = WatchedReporter(Reporter(), parts)
    watched.state["pid"] = process.pid
    watched.say("plan", "one row")
    with watched.board() as board:
        board.expect("decode", 4)
        board.step("decode")
        seen = []
        for state in follow(Path("run"), every_s=0.05):
            seen.append(state)
            if len(seen) == 1:
                for _ in range(3):
                    board.step("decode")
                threading.Thread(target=process.communicate, args=(b"\n",)).start()
    assert seen[0]["status"] == "running"
    assert seen[0]["said"] == [["plan", "one row"]]
    assert seen[0]["phases"]["decode"]["total"] == 4
    assert seen[-1]["status"] == "stopped"
    assert seen[-1]["phases"]["decode"]["done"] == 4
    process.wait()
    result = CliRunner().invoke(app, ["watch", "run"])
    assert result.exit_code == 1
    assert "4 of 4" in result.stdout
    assert "run the same command again" in result.stdout


def test_what_holds_no_run_is_refused() -> None:
    with pytest.raises(InputError, match="no folder `nowhere`"):
        next(follow(Path("nowhere")))
    Path("empty").mkdir()
    with pytest.raises(InputError, match="holds no run"):
        next(follow(Path("empty")))


def test_a_damaged_file_of_progress_does_no_harm() -> None:
    (parts := Path("run/parts")).mkdir(parents=True)
    (parts / "progress.json").write_text('{"pid": ')
    with pytest.raises(InputError, match="holds no run"):
        next(follow(Path("run")))
    (parts / "progress.json").write_text(json.dumps({"pid": os.getpid()}))
    assert next(follow(Path("run")))["status"] == "running"

"""A signal ends a run and its workers, at any time; a worker that is killed is one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import InputError
from netsim.interrupt import end_on_signals
from netsim.runs.executors import Task
from netsim.runs.executors.processes import ProcessExecutor

LONG = ["--set", "engine=event", "--set", "trials=20000", "--workers", "2"]
DEADLINE_S = 60  # for what takes a second; a machine may be busy


@pytest.fixture
def long_run(scenario: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "netsim", "run", str(scenario), "--out", "r", *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def _wait_for(process: subprocess.Popen[str], word: str) -> str:
    """Read standard error up to the line that begins with a word."""
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if line.startswith(word):
            return output
    raise AssertionError(f"it ended before `{word}`: {output}")


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def _workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Its worker processes, once there are two (and perhaps a helper of multiprocessing)."""
    deadline = time.monotonic() + DEADLINE_S
    while len(found := _children(process.pid)) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert len(found) >= 2
    return found


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _all_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while not all(map(_gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(_gone, pids))


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_while_workers_start_ends_all(number: signal.Signals, long_run: subprocess.Popen[str]) -> None:
    _wait_for(long_run, "encode")
    workers = _workers_of(long_run)
    long_run.send_signal(number)
    _, output = long_run.communicate(timeout=DEADLINE_S)
    assert long_run.returncode == 128 + number
    assert output.splitlines()[0].startswith("stopping")
    assert "Traceback" not in output
    assert _all_gone(workers)


@pytest.mark.parametrize("word", ["plan", "encode", pytest.param("engine", marks=pytest.mark.slow)])
def test_two_interrupts_end_all(word: str, long_run: subprocess.Popen[str]) -> None:
    _wait_for(long_run, word)
    long_run.send_signal(signal.SIGINT)
    time.sleep(0.1)
    long_run.send_signal(signal.SIGINT)
    _, output = long_run.communicate(timeout=DEADLINE_S)
    assert long_run.returncode == 130
    assert "Traceback" not in output


@pytest.mark.slow
def test_an_interrupted_reproduction_says_how_it_goes_on_and_does(scenario: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "experiments" / "mine" / "long"
    recipe.mkdir(parents=True)
    (recipe / "scenario.yaml").write_text(scenario.read_text().replace("images: images", f"images: {tmp_path}/images"))
    text = "title: Long\nsource: none\nstudy: rate_distortion\nscenario: scenario.yaml\n"
    (recipe / "recipe.yaml").write_text(f"{text}quick: [engine=event, trials=20000]\n")
    command = [sys.executable, "-m", "netsim", "reproduce", "mine/long", "--workers", "2", "--out", "r"]
    for word, more, way in (
        ("engine", [], "rerun the same command to resume"),
        ("resume", [], "rerun the same command to resume"),
        ("plan", ["--overwrite"], "rerun it without --overwrite to resume"),
    ):
        process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            _wait_for(process, word)
            deadline = time.monotonic() + DEADLINE_S
            while word == "engine" and not list(Path("r/parts").glob("*.npz")) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, output = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
        assert process.returncode == 130
        assert f"stopped   {way}" in output.splitlines()


def test_workers_end_with_a_killed_parent(long_run: subprocess.Popen[str]) -> None:
    _wait_for(long_run, "engine")
    workers = _workers_of(long_run)
    long_run.kill()
    long_run.wait()
    assert _all_gone(workers)


@pytest.mark.slow
def test_a_killed_worker_is_one_sentence_and_the_run_goes_on(long_run: subprocess.Popen[str], scenario: Path) -> None:
    _wait_for(long_run, "engine")
    deadline = time.monotonic() + DEADLINE_S
    while not list(Path("r/parts").glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    groups = [pid for pid in _workers_of(long_run) if os.getpgid(pid) == pid]
    os.kill(groups[0], signal.SIGKILL)
    _, output = long_run.communicate(timeout=DEADLINE_S)
    assert long_run.returncode == 2
    assert "was killed by SIGKILL" in output
    assert "Traceback" not in output
    assert _all_gone(groups)
    assert list(Path("r/parts").glob("*.npz"))


def test_an_ignored_hangup_stays_ignored(scenario: Path) -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from netsim.interrupt import end_on_signals\n"
        "with end_on_signals():\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_main_thread_that_swallows_the_signal_is_ended_all_the_same() -> None:
    code = (
        "import os, signal, time\nfrom netsim.interrupt import end_on_signals\n"
        "with end_on_signals():\n"
        "    os.kill(os.getpid(), signal.SIGTERM) if False else None\n"
        "    while True:\n"
        "        try:\n            print('ready', flush=True)\n            time.sleep(60)\n"
        "        except BaseException: pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143


def die(context: None, argument: int, values: object) -> None:
    os.kill(os.getpid(), argument)


def fail(context: None, argument: str, values: object) -> None:
    raise InputError(argument, where="file:1:2", hint="a hint", key=("a", 1))


def test_errors_of_workers_come_back_whole() -> None:
    def done(task: Task, result: Any) -> tuple[Task, ...]:
        return ()

    with pytest.raises(InputError) as caught, ProcessExecutor(None, str, 2) as executor:
        executor.work([Task("t", fail, "what")], done)
    assert (str(caught.value), caught.value.key) == ("file:1:2  what\n  a hint", ("a", 1))
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(InputError, match="killed by SIGSEGV"), ProcessExecutor(None, str, 2) as executor:
        executor.work([Task("t", die, signal.SIGSEGV)], done)


def test_handlers_are_restored_when_a_command_ends_by_an_error():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    for error in (InputError("bad"), SystemExit(2), KeyError("bug")):
        with pytest.raises(type(error)), end_on_signals():
            raise error
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


_MASKS = """
import signal
from netsim.runs.executors import Task
from netsim.runs.executors.processes import ProcessExecutor


def blocked(context, argument, values: object):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


if __name__ == "__main__":
    found = []
    with ProcessExecutor(None, str, 2) as executor:
        executor.work([Task("", blocked, number) for number in range(4)], lambda task, value: found.append(value) or ())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    print(found)
"""


def test_ctrl_c_reaches_no_worker(tmp_path: Path) -> None:
    """Of the whole process group only the parent takes it, even while the first worker starts."""
    script = tmp_path / "masks.py"
    script.write_text(_MASKS)
    output = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[True, True, True, True]"


def test_ctrl_c_while_the_command_line_is_imported_gives_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "netsim", "--help"],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert errors == "stopping...\n"

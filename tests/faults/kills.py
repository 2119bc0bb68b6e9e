"""Kills a run, a worker or the driver by SIGKILL at a random moment, and repeats the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

__all__ = ["TARGETS", "WAYS", "Kill", "Undisturbed", "descendants", "kill_once", "undisturbed"]

WAYS = {"workers": ("--workers", "2"), "ray": ("--cluster", "ray", "--workers", "2")}
TARGETS = ("run", "worker", "driver")
"""All processes of a run at once; one of its workers; the process that the user started, alone."""

FILES = ("log.parquet", "summary.csv", "distribution.csv")
SCENARIO = """
name: killed
images: images
codecs:
  - jpeg: {quality: [30, 60]}
  - jpeg2000: {bpp: 0.8, packets: 8, receiver: resilient}
channels: [EP1..EP6]
engine: exact
seed: 5
"""
_END_S = 600.0  # for what takes seconds; a machine may be busy
_TRIES = 5
_NOT_STARTED = "The current node timed out during startup"  # Ray's own limit is 30 s: a busy machine is not a fault


@dataclass(frozen=True)
class Undisturbed:
    """What a run gives that nobody disturbs, and how long it takes with two workers.

    Attributes:
        files: Contents by name.
        seconds: Wall-clock time of the last whole run by way: a machine may be busy at one time and idle at another.
    """

    files: dict[str, bytes]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        way: How it ran.
        target: What was killed.
        after_s: When.
        faults: What is wrong, in sentences; empty if nothing is.
        resumed: Whether the command had to be given again.
    """

    way: str
    target: str
    after_s: float
    faults: tuple[str, ...]
    resumed: bool


def undisturbed(folder: Path, ways: list[str]) -> Undisturbed:
    """Run once in one process, and once by each way to take its time.

    Raises:
        AssertionError: A run fails, or its bytes differ by way.
    """
    _write_scenario(folder)
    files = _whole(folder, "one", ("--workers", "1"))
    seconds = {}
    for way in ways:
        began = time.monotonic()
        assert _whole(folder, f"whole-{way}", WAYS[way]) == files, f"{way}: other bytes than one process"
        seconds[way] = time.monotonic() - began
    return Undisturbed(files, seconds)


def _whole(folder: Path, name: str, way: tuple[str, ...]) -> dict[str, bytes]:
    """The files of a run that nobody disturbs. Ray may take too long to start on a busy machine."""
    for _ in range(_TRIES):
        process = _start(_command(folder, name, way), _environment(folder, name))
        _, told = process.communicate(timeout=_END_S)
        if process.returncode == 0:
            return _files(folder / name)
    raise AssertionError(told)


def kill_once(folder: Path, name: str, way: str, target: str, expected: Undisturbed, rng: Random) -> Kill:
    """Start a run, kill, and repeat the command until it ends.

    Where a run ends before the moment of its kill, another one starts, with what that one took as the longest time.

    Args:
        folder: Where ``undisturbed`` ran.
        name: Of the run's folder and its store, which are new.
        way: One of ``WAYS``.
        target: One of ``TARGETS``.
        expected: From ``undisturbed``.
        rng: Chooses the moment, and the worker.
    """
    command, environment = _command(folder, name, WAYS[way]), _environment(folder, name)
    after_s = rng.uniform(0, expected.seconds[way])
    began, process = time.monotonic(), _start(command, environment)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        _kill(process.pid, target, rng)
    else:
        process.communicate()
        expected.seconds[way] = time.monotonic() - began
        return kill_once(folder, f"{name}-again", way, target, expected, rng)
    out, told = process.communicate(timeout=_END_S)
    faults = ["a traceback"] if "Traceback" in told else []
    resumed = process.returncode != 0
    tries = 0
    while process.returncode != 0 and tries < _TRIES:
        tries += 1
        process = _start(command, environment)
        out, told = process.communicate(timeout=_END_S)
        if process.returncode != 0 and _NOT_STARTED not in told:
            faults.append(f"the repeated command ended with exit code {process.returncode}: {told[-300:]}")
    if process.returncode != 0:
        faults.append("it did not end well")
    else:
        found = _files(Path(out.splitlines()[-1]))
        faults += [f"{file} has other bytes" for file in FILES if found[file] != expected.files[file]]
    return Kill(way, target, after_s, tuple(faults), resumed)


def _write_scenario(folder: Path) -> None:
    (folder / "images").mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (2, 12, 16, 3), dtype=np.uint8)
    for name, pixels in zip("ab", noise, strict=True):
        Image.fromarray(pixels).resize((64, 48), Image.Resampling.BICUBIC).save(folder / "images" / f"{name}.png")
    (folder / "killed.yaml").write_text(SCENARIO)


def _command(folder: Path, name: str, way: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "netsim", "run", str(folder / "killed.yaml"), "--out", str(folder / name), *way]


def _environment(folder: Path, name: str) -> dict[str, str]:
    return os.environ | {"NETSIM_STORE": str(folder / f"{name}.sqlite")}


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _files(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


def _kill(driver: int, target: str, rng: Random) -> None:
    children = descendants(driver)
    workers = [pid for pid in children if _is_worker(pid)]
    victims = [driver]
    if target == "worker" and workers:
        victims = [rng.choice(workers)]
    elif target == "run":
        victims = [driver, *children]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if target == "driver":  # what Ray started ends by itself, some seconds later
        deadline = time.monotonic() + _END_S
        while any(map(_alive, children)) and time.monotonic() < deadline:
            time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """All descendants of a process that live."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            parents[int(entry.parent.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _is_worker(pid: int) -> bool:
    """Of multiprocessing (not its helper, which tracks resources), or of Ray (not an agent of its node)."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command or command.startswith((b"ray::_do", b"ray::IDLE"))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

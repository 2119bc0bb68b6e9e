"""How far a run is, for somebody else: a file beside its parts for ``netsim watch``, and JSON lines for schedulers."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from netsim.errors import InputError
from netsim.paths import read_regular
from netsim.runs.atomic import write_atomically
from netsim.runs.folder import read_manifest
from netsim.runs.progress import Board, Reporter, is_last, left_s

__all__ = ["JsonReporter", "WatchedReporter", "follow"]

_FILE = "progress.json"
_LIMIT_BYTES = 2**20
_MOST = 1e18  # of counts and seconds
_PERIOD_S = 1.0  # between two writes, and between two JSON lines of a phase
_SENTENCES = 50


class _Counts(Board):
    """Counts a phase's tasks, tells another board, and calls back at most once a second and at the end of a phase."""

    def __init__(self, inner: Board, changed: Any) -> None:
        self.inner, self.changed = inner, changed
        self.phases: dict[str, dict[str, Any]] = {}
        self._began: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def expect(self, phase: str, tasks: int) -> None:
        self.inner.expect(phase, tasks)
        if tasks == 0 and phase in self.phases:  # a run whose masks are all remembered adds none for each part
            return
        self._began.setdefault(phase, time.monotonic())
        self.phases.setdefault(phase, {"done": 0, "total": 0})["total"] += tasks
        self._tell(phase)

    def step(self, phase: str) -> None:
        self.inner.step(phase)
        self.phases[phase]["done"] += 1
        self._tell(phase)

    def _tell(self, phase: str) -> None:
        now, counts = time.monotonic(), self.phases[phase]
        elapsed_s = now - self._began[phase]
        counts["elapsed_s"] = round(elapsed_s, 3)
        last = is_last(phase, {name: (one["done"], one["total"]) for name, one in self.phases.items()})
        told = last or counts["done"] == counts["total"]
        counts["left_s"] = left_s(elapsed_s, counts["done"], counts["total"]) if told else None
        if counts["done"] == counts["total"] or now - self._told.get(phase, -_PERIOD_S) >= _PERIOD_S:
            self._told[phase] = now
            self.changed(phase, counts)


class JsonReporter(Reporter):
    """Writes a JSON object a line: ``phase`` and ``text`` of what is said, ``phase``, ``done``, ``total`` of counts.

    Args:
        stream: Where to; None: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream

    def say(self, phase: str, text: str) -> None:
        self._write({"phase": phase, "text": text})

    @contextmanager
    def board(self) -> Iterator[Board]:
        yield _Counts(Board(), lambda phase, counts: self._write({"phase": phase, **counts}))

    def _write(self, event: dict[str, Any]) -> None:
        print(json.dumps({"time_s": round(time.time(), 3), **event}), file=self.stream or sys.stderr, flush=True)


class WatchedReporter(Reporter):
    """Tells another reporter, and keeps the state of the run in a file of its folder.

    Args:
        inner: The other reporter.
        parts: The run's folder of parts.
    """

    def __init__(self, inner: Reporter, parts: Path) -> None:
        self.inner, self.path = inner, parts / _FILE
        self.state: dict[str, Any] = {"pid": os.getpid(), "said": [], "phases": {}}

    def say(self, phase: str, text: str) -> None:
        self.inner.say(phase, text)
        self.state["said"] = [*self.state["said"], [phase, text]][-_SENTENCES:]
        self._write()

    @contextmanager
    def board(self) -> Iterator[Board]:
        with self.inner.board() as inner:
            yield _Counts(inner, self._count)

    def _count(self, phase: str, counts: dict[str, Any]) -> None:
        self.state["phases"][phase] = dict(counts)
        self._write()

    def _write(self) -> None:
        content = json.dumps(self.state).encode()
        with suppress(InputError):  # a finished run has no parts; a full disk stops the run itself
            write_atomically(self.path, lambda file: file.write(content))


def follow(folder: Path, every_s: float = 1.0) -> Iterator[dict[str, Any]]:
    """The state of a run, again and again until it ends.

    Args:
        folder: The run's folder.
        every_s: Seconds between two looks.

    Yields:
        ``status`` (``running``, ``finished`` or ``stopped``), ``said`` (phase and text of sentences) and ``phases``
        (``done``, ``total``, ``elapsed_s``, ``left_s`` of each). The last one is not ``running``.

    Raises:
        InputError: The folder holds no run.
    """
    if not folder.is_dir():
        raise InputError(f"no folder `{folder}`", hint="the folder that the run's command names")
    state: dict[str, Any] = {"said": [], "phases": {}}
    while True:
        manifest = read_manifest(folder)
        known = _read(folder / "parts" / _FILE)
        if known is None and not manifest:
            raise InputError(f"`{folder}` holds no run", hint="the folder that the run's command names")
        state = known or state
        status = "finished" if manifest.get("status") == "finished" else "running"
        if status == "running" and known is not None and not _alive(known.get("pid")):
            again = read_manifest(folder)  # it may have finished between the two looks
            status = "finished" if again.get("status") == "finished" else "stopped"
        yield {"status": status, "said": state.get("said", []), "phases": state.get("phases", {})}
        if status != "running":
            return
        time.sleep(every_s)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_regular(path, _LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    said, phases = found.get("said"), found.get("phases")
    return {
        "pid": found.get("pid"),
        "said": [one for one in said if _is_sentence(one)] if isinstance(said, list) else [],
        "phases": {k: v for k, v in phases.items() if _are_counts(v)} if isinstance(phases, dict) else {},
    }


def _is_sentence(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one)


def _are_counts(counts: Any) -> bool:
    if not isinstance(counts, dict):
        return False
    numbers = [counts.get(key) for key in ("done", "total", "elapsed_s")]
    numbers += [counts["left_s"]] if counts.get("left_s") is not None else []
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < _MOST for n in numbers)


def _alive(pid: Any) -> bool:
    """Whether a process of this machine runs; True where that can't be known."""
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

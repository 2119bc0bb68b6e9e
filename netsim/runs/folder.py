"""The run's folder: a new one each time, or the unfinished one of the same scenario; never a finished one."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from netsim.errors import InputError
from netsim.paths import output_path
from netsim.runs.files import write_atomically

__all__ = ["RunFolder", "fresh_folder", "read_manifest", "run_folder"]


class RunFolder:
    """Paths inside a run's folder, and its manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / "parts"
        self.log = path / "log.parquet"
        self.summary = path / "summary.csv"
        self.distribution = path / "distribution.csv"
        self.manifest = path / "manifest.json"

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        text = json.dumps(manifest, indent=2, default=str) + "\n"
        write_atomically(self.manifest, lambda file: file.write(text.encode()))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """The results stand: say so in the manifest, then drop the parts."""
        self.write_manifest({**manifest, "status": "finished"})
        for part in self.parts.iterdir():
            part.unlink()
        self.parts.rmdir()


def read_manifest(path: Path) -> dict[str, Any]:
    """A run's manifest; empty if there is none. Raises InputError if it can't be read."""
    try:
        found: dict[str, Any] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"can't read `{path / 'manifest.json'}`: {error}") from None


@contextmanager
def run_folder(out: Path | None, name: str, run_id: str) -> Iterator[RunFolder]:
    """A folder for a run, locked for this process.

    out None: ``runs/NAME-1``, ``-2``, …; out given: that folder, or ``OUT-2``, … where it holds a finished run.
    An unfinished run of the same scenario (equal run id), which nobody works on, is resumed instead.
    """
    stem = re.sub(r"[^\w.-]+", "_", name).strip("_") or "run"
    base = output_path(str(out)) if out is not None else Path("runs") / stem
    for path in _candidates(base, numbered_from=1 if out is None else 2, itself=out is not None):
        lock = _claim(path, run_id)
        if lock is not None:
            try:
                yield RunFolder(path)
            finally:
                lock.close()
            return


def fresh_folder(base: Path) -> Path:
    """``base``, made now, or ``base-2``, … where there is one already: no result is written over another."""
    for path in _candidates(base, numbered_from=2, itself=True):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers don't end")


def _candidates(base: Path, numbered_from: int, itself: bool) -> Iterator[Path]:
    if itself:
        yield base
    number = numbered_from
    while True:
        yield base.with_name(f"{base.name}-{number}")
        number += 1


def _claim(path: Path, run_id: str) -> TextIO | None:
    """The folder's lock if it is new, empty, or holds an unfinished run of ours; None if it is taken."""
    if path.exists() and not path.is_dir():
        raise InputError(f"`{path}` is a file", hint="--out names a folder")
    fresh = not path.exists() or not any(path.iterdir())
    manifest = {} if fresh else read_manifest(path)
    if not fresh and (manifest.get("status") != "running" or manifest.get("run_id") != run_id):
        return None
    try:
        (path / "parts").mkdir(parents=True, exist_ok=True)
        lock = (path / "parts" / "lock").open("w")
    except OSError as error:
        raise InputError(f"can't write to `{path}`: {error.strerror}", hint="--out names another folder") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    if fresh and (path / "manifest.json").exists() and read_manifest(path).get("run_id") != run_id:
        lock.close()  # somebody else was quicker between our look and our lock
        return None
    return lock

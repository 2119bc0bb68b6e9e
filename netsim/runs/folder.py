"""The run's folder: a new one each time, or the unfinished one of the same scenario; never a finished one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from netsim.digests import digest, file_sha256
from netsim.distribution import code_sha256, code_text, running_code
from netsim.errors import InputError, did_you_mean
from netsim.paths import output_path, read_regular
from netsim.runs.atomic import remove_scratch, write_atomically
from netsim.runs.parts import part_files

if TYPE_CHECKING:
    from netsim.scenario.plan import Plan

__all__ = ["EXIST", "RunFolder", "check_folder", "fresh_folder", "read_manifest", "run_folder"]

EXIST = ("number", "fail", "overwrite")
"""What happens where the folder that the user names holds a run already: another number, an error, or it goes."""

_CHECKSUM = "checksum"
_CHECKSUMMED = {"inputs", "files"}
"""Keys of manifests that have a checksum: one of them without it has lost it."""


class RunFolder:
    """Paths inside a run's folder, and its manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / "parts"
        self.store = self.parts / "store.sqlite"  # of a run that takes nothing from the user's store
        self.log = path / "log.parquet"
        self.summary = path / "summary.csv"
        self.distribution = path / "distribution.csv"
        self.manifest = path / "manifest.json"

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, with a checksum over all that it says.

        Args:
            manifest: Values that JSON has; others become texts.
        """
        plain = json.loads(json.dumps(manifest, default=str))
        text = json.dumps({**plain, _CHECKSUM: digest(plain)}, indent=2) + "\n"
        write_atomically(self.manifest, lambda file: file.write(text.encode()))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Say in the manifest that the results are complete, with their hashes, then delete the parts.

        Files of somebody else among the parts stay.

        Args:
            manifest: The run's facts.
        """
        files = {path.name: file_sha256(path) for path in (self.log, self.summary, self.distribution)}
        self.write_manifest({**manifest, "status": "finished", "files": files})
        _delete_parts(self.parts)


def read_manifest(path: Path) -> dict[str, Any]:
    """A run's manifest; empty if there is none.

    Args:
        path: The run's folder.

    Returns:
        What it says, without its checksum.

    Raises:
        InputError: If it can't be read, or is not as it was written. A manifest without a checksum (of an older
            version) is taken as it is.
    """
    file = path / "manifest.json"
    try:
        found = json.loads(read_regular(file, _MANIFEST_LIMIT_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"can't read `{file}`: {error}", hint=_LOST) from None
    if not isinstance(found, dict):
        raise InputError(f"`{file}` holds no mapping of keys", hint=_LOST)
    checksum = found.pop(_CHECKSUM, None)
    if checksum != digest(found) and (checksum is not None or _CHECKSUMMED & found.keys()):
        raise InputError(f"`{file}` is not as netsim wrote it: its checksum does not match", hint=_LOST)
    return found


_MANIFEST_LIMIT_BYTES = 2**26
_LOST = "run the scenario again"


@contextmanager
def run_folder(
    out: Path | None, plan: Plan, exist: str = "number", say: Callable[[str], None] = lambda text: None
) -> Iterator[RunFolder]:
    """A folder for a run, locked for this process.

    An unfinished run with the same scenario and inputs (equal run id) and of the same code, which nobody works on, is
    resumed, unless ``exist`` is ``overwrite``.

    Args:
        out: The folder; None: ``runs/NAME-1``, ``-2``, …
        plan: What will run there.
        exist: Where ``out`` holds a finished or another run, one of ``EXIST``: ``number`` takes ``OUT-2``, …; ``fail``
            raises. ``overwrite`` deletes any run that ``out`` holds, with everything in its folder.
        say: Gets a sentence about a folder that was passed over, and about where the run goes in place of ``out``.

    Yields:
        The folder; its lock is released when the block ends.

    Raises:
        InputError: If ``out`` can't be written to, or must not be (``exist``), or is an unfinished run of the same
            scenario with other inputs or code; ``overwrite`` without ``out``.
    """
    _check_exist(exist)
    if exist == "overwrite" and out is None:
        raise InputError("--overwrite deletes the run in the folder that --out names", hint="add --out")
    stem = re.sub(r"[^\w.-]+", "_", plan.name).strip("_.") or "run"  # `.` would lead out of runs/
    base = output_path(str(out)) if out is not None else Path("runs") / stem
    for path in _candidates(base, numbered_from=1 if out is None else 2, itself=out is not None):
        named = out is not None and path == base
        lock = _claim(path, plan, exist if named else "number", refuse=named, say=say)
        if lock is not None:
            try:
                if out is not None and not named:
                    say(f"{_what_holds(base, plan)}: this one goes to `{path}`")
                yield RunFolder(path)
            finally:
                lock.close()
            return


def _check_exist(exist: str) -> None:
    if exist not in EXIST:
        raise InputError(f"`{exist}` is not a way to treat a run that exists", hint=did_you_mean(exist, EXIST))


def check_folder(path: Path, exist: str) -> None:
    """Refuse at once a folder that would be refused once the results are there.

    Args:
        path: The wanted folder.
        exist: One of ``EXIST``.

    Raises:
        InputError: Under ``overwrite`` the folder holds something else than a run, under ``fail`` something else than
            an unfinished run.
    """
    _check_exist(exist)
    if exist == "number" or not _names(path):
        return
    if exist == "fail" and read_manifest(path).get("status") != "running":
        raise _exists(path)
    if exist == "overwrite":
        _check_is_run(path)


def fresh_folder(base: Path, exist: str = "number") -> Path:
    """Make a folder, or another one where there is one already, so that no result is written over another.

    Args:
        base: The wanted path.
        exist: Where it exists, one of ``EXIST``: ``number`` takes ``BASE-2``, …; ``fail`` raises; ``overwrite`` deletes
            the run in it.

    Returns:
        The empty folder.

    Raises:
        InputError: ``exist`` refuses the folder.
    """
    if exist == "overwrite" and base.is_dir():
        lock = _lock(base)
        if lock is None:
            raise _in_use(base)
        try:
            _delete_run(base)
        finally:
            lock.close()
            _remove_lock(base)
        return base
    if exist == "fail" and _names(base):
        raise _exists(base)
    for path in _candidates(base, numbered_from=2, itself=True):
        try:
            path.mkdir(parents=True, exist_ok=exist == "fail")
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


def _claim(path: Path, plan: Plan, exist: str, refuse: bool, say: Callable[[str], None]) -> TextIO | None:
    """The folder's lock if the run may use it; None if it is taken. refuse: whether a changed run is an error."""
    if path.exists() and not path.is_dir():
        raise InputError(f"`{path}` is a file", hint="--out names a folder")
    if exist == "number" and _state(path, plan) == "taken":
        return None  # without a trace of our look
    lock = _lock(path)
    if lock is None:
        if exist != "number":
            raise _in_use(path)
        return None
    if exist == "overwrite":
        try:
            _delete_run(path)
        except InputError:
            lock.close()
            _remove_lock(path)
            raise
        return lock
    state = _state(path, plan)  # the lock holds now: nobody changes it any more
    if state == "mine":
        remove_scratch(path)
        remove_scratch(path / "parts")
        return lock
    lock.close()
    _remove_lock(path)
    if state == "changed":
        message = f"`{path}` is an unfinished run with other {_changes(read_manifest(path), plan)}"
        if refuse:
            hint = "go on with what it began with, or delete it by --overwrite, or name another folder"
            raise InputError(message, hint=hint)
        say(message)
    elif exist == "fail":
        raise _exists(path)
    return None


def _in_use(path: Path) -> InputError:
    return InputError(f"another process works in `{path}`", hint="wait for it, or name another folder")


def _exists(path: Path) -> InputError:
    return InputError(f"`{path}` exists", hint="--overwrite replaces it; without --exist fail the next number is taken")


def _names(path: Path) -> set[str]:
    """What a folder holds beside parts and scratch files."""
    try:
        names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    except OSError as error:
        raise InputError(f"can't read `{path}`: {error.strerror}", hint="--out names another folder") from None
    return {name for name in names if name != "parts" and not name.endswith(".scratch")}


def _state(path: Path, plan: Plan) -> str:
    """``mine`` (nothing yet, or an unfinished run with this run's id and code), ``changed`` or ``taken``."""
    names = _names(path)
    if not names:  # killed before the first manifest: parts say themselves whose they are
        return "mine"
    try:
        manifest = read_manifest(path)
    except InputError:
        return "mine" if names == {"manifest.json"} else "taken"
    if manifest.get("status") != "running":
        return "taken"
    if manifest.get("run_id") == plan.run_id:
        return "changed" if _code_change(manifest) else "mine"
    same = manifest.get("scenario") == json.loads(json.dumps(plan.resolved, default=str))
    return "changed" if same else "taken"


def _what_holds(path: Path, plan: Plan) -> str:
    """Why a run can't go to a folder."""
    try:
        manifest = read_manifest(path)
    except InputError:
        manifest = {}
    finished = "" if manifest.get("status") == "running" else "finished "
    if manifest.get("run_id") == plan.run_id and finished:
        return f"`{path}` holds a finished run of the same scenario"
    if "run_id" in manifest and manifest["run_id"] != plan.run_id:
        return f"`{path}` holds another {finished or 'unfinished '}run"
    return f"`{path}` holds something else" if not manifest and _names(path) else f"another process works in `{path}`"


def _changes(manifest: Mapping[str, Any], plan: Plan) -> str:
    """What is not as an unfinished run of the same scenario began with."""
    code, before = _code_change(manifest), manifest.get("inputs")
    inputs = plan.inputs.changes(before if isinstance(before, Mapping) else {})
    if not code:
        return f"inputs: {'; '.join(inputs[:3]) or 'a setting has changed'}"
    return f"code{' and inputs' if inputs else ''}: {'; '.join([code, *inputs[:3]])}"


def _code_change(manifest: Mapping[str, Any]) -> str:
    """How netsim's own code differs from what began a run; empty if it does not. That of codecs is among the inputs."""
    code, versions = manifest.get("code"), manifest.get("versions")
    began = str(code.get("netsim")) if isinstance(code, Mapping) else "unknown"
    if began == code_sha256():
        return ""
    version = versions.get("netsim") if isinstance(versions, Mapping) else None
    return f"netsim {code_text(version, began)} began it, this is {running_code()}"


def _lock(path: Path) -> TextIO | None:
    try:
        (path / "parts").mkdir(parents=True, exist_ok=True)
        _refuse_links(path)
        handle = os.open(path / "parts" / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise InputError(f"can't write to `{path}`: {error.strerror}", hint="--out names another folder") from None
    lock = os.fdopen(handle, "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _refuse_links(path: Path) -> None:
    """A link could lead a run, which writes and deletes parts, to another folder."""
    for inside in (path / "parts", *(path / "parts" / name for name in ("lock", "store.sqlite"))):
        if inside.is_symlink():
            raise InputError(f"`{inside}` is a link", hint="remove it, or name another folder with --out")


def _remove_lock(path: Path) -> None:
    """Of a folder that is not ours after all: a finished run has no parts."""
    try:
        (path / "parts" / "lock").unlink(missing_ok=True)
        (path / "parts").rmdir()
    except OSError:
        pass  # it holds parts: its own


def _check_is_run(path: Path) -> None:
    try:
        known = "run_id" in read_manifest(path)
    except InputError as error:
        raise InputError(error.message, hint=f"--overwrite deletes no run that it can't read: {_BY_HAND}") from None
    if not known:
        raise InputError(f"`{path}` holds no run of netsim", hint=f"--overwrite deletes nothing else: {_BY_HAND}")


_BY_HAND = "delete the folder, or name another"


def _delete_run(path: Path) -> None:
    """Delete what a run's folder holds, the manifest last, so that a kill leaves what can be overwritten again."""
    if _names(path):
        _check_is_run(path)
        inside = [entry for entry in (path / "parts").iterdir() if entry.name != "lock"]
        others = [entry for entry in path.iterdir() if entry.name != "parts"]
        for entry in [*inside, *sorted(others, key=lambda entry: entry.name == "manifest.json")]:
            _delete(entry)
    else:  # of a run that was killed before its manifest was there
        remove_scratch(path)
        _delete_own_parts(path / "parts")


def _delete_parts(parts: Path) -> None:
    """Delete a run's parts, the lock last, and the folder unless somebody else's files are in it."""
    _delete_own_parts(parts)
    _remove_lock(parts.parent)


def _delete_own_parts(parts: Path) -> None:
    """Delete what netsim wrote there, but for the lock."""
    remove_scratch(parts)
    others = [parts / name for name in ("progress.json", *(f"store.sqlite{end}" for end in _SQLITE))]
    for path in [*part_files(parts), *others]:
        if path.is_symlink() or path.is_file():
            path.unlink()


_SQLITE = ("", "-journal", "-wal", "-shm")
"""Endings of the names of a store's files."""


def _delete(path: Path) -> None:
    """A file or folder; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

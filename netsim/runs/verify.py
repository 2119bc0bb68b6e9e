"""Whether a run's folder holds what the run wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from netsim.digests import Budget, path_sha256
from netsim.errors import InputError
from netsim.runs.log import read_log
from netsim.runs.results import file_fault, link_fault, load_run
from netsim.text import counted_noun

__all__ = ["Verdict", "verify_run"]


@dataclass(frozen=True)
class Verdict:
    """whole: names of files that are as they were written. faults, notes: sentences."""

    whole: list[str]
    faults: list[str]
    notes: list[str]


def verify_run(folder: Path) -> Verdict:
    """Check the hash of each of a finished run's files, the log's pages, and that the log is of this run.

    A link to outside the folder is a fault, and is not followed.

    Args:
        folder: The run's folder.

    Returns:
        What is whole and what is not; ``notes`` name inputs that have changed since.

    Raises:
        InputError: If there is no finished run, or its manifest is not as it was written or lies elsewhere.
    """
    if fault := link_fault(folder, "manifest.json"):
        raise InputError(fault, hint="put the file itself into the folder")
    run = load_run(folder)
    files = run.manifest.get("files")
    if not isinstance(files, Mapping):
        raise InputError(f"the manifest of `{folder}` holds no hashes", hint="an older version wrote it: run it again")
    faults = {name: _fault(folder, name, run.manifest) for name in files}
    if not faults.get("log.parquet"):
        faults["log.parquet"] = _log_fault(folder, str(run.manifest.get("run_id")))
    whole = [name for name, fault in faults.items() if not fault]
    return Verdict(whole, [fault for fault in faults.values() if fault], _changed_inputs(run.manifest))


def _fault(folder: Path, name: str, manifest: Mapping[str, object]) -> str:
    if Path(name).name != name or "\0" in name:  # a manifest of somebody else names a file anywhere
        return f"{name!r} is no name of a file in the run's folder"
    return link_fault(folder, name) or file_fault(folder, name, manifest)


def _log_fault(folder: Path, run_id: str) -> str:
    if fault := link_fault(folder, "log.parquet"):  # of a manifest that does not list it
        return fault
    path = folder / "log.parquet"
    try:
        ids = pc.unique(read_log(path)["run_id"]).to_pylist()
    except InputError as error:
        return error.message
    return "" if ids == [run_id] else f"`{path}` is the log of run {', '.join(map(str, ids))}, not of {run_id}"


def _changed_inputs(manifest: Mapping[str, object]) -> list[str]:
    inputs = manifest.get("inputs")
    files = inputs.get("files") if isinstance(inputs, Mapping) else None
    given = list(files.items()) if isinstance(files, Mapping) else []
    notes: list[str] = []
    budget = Budget()
    for number, (path, sha256) in enumerate(given):
        try:
            if path_sha256(Path(path), budget) != sha256:
                notes.append(f"input `{path}` has changed since the run")
        except OSError as error:
            if budget.spent:
                after = len(given) - number - 1
                others = f", nor is what comes after it ({counted_noun(after, 'input')})" if after else ""
                return [*notes, f"input `{path}` is not compared{others}: {error.strerror}"]
            notes.append(f"input `{path}` can't be read: {error.strerror}")
        except ValueError as error:  # a null character
            notes.append(f"input {path!r} can't be read: {error}")
    return notes

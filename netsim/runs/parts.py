"""Parts of a run's transport: the unit of work and of resuming, and their files."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from netsim.decoding.collapse import Arrays
from netsim.distribution import code_sha256
from netsim.errors import InputError
from netsim.paths import read_regular
from netsim.runs.atomic import write_atomically
from netsim.scenario.plan import Plan, PlanRow

__all__ = ["PartKey", "part_files", "parts_of", "read_part", "remove_part", "write_part"]

_SLOTS_IN_PART = 1 << 15


@dataclass(frozen=True, order=True, slots=True)
class PartKey:
    """Trials first … last − 1 of a plan row under an engine: the unit of work and of resuming."""

    row: int
    first: int
    last: int
    engine: str

    def path(self, folder: Path) -> Path:
        """The part's file.

        Args:
            folder: The folder of parts.

        Returns:
            Where the part's file is.
        """
        return folder / f"row-{self.row:06d}-{self.first:09d}-{self.last:09d}-{self.engine}.npz"


_NAME = re.compile(r"row-\d{6,}-\d{9,}-\d{9,}-[a-z]+\.npz")


def part_files(folder: Path) -> list[Path]:
    """What has the name of a part: files of other names are somebody else's.

    Args:
        folder: The folder of parts.

    Returns:
        Their paths, in order.
    """
    return sorted(path for path in folder.glob("row-*.npz") if _NAME.fullmatch(path.name))


def parts_of(plan: Plan, row: PlanRow, first: int, last: int) -> list[PartKey]:
    """Trials of a row, cut into parts; the cut depends on the scenario alone, never on workers.

    Args:
        plan: The plan.
        row: One of its rows.
        first: First trial.
        last: One past the last trial.

    Returns:
        Keys of the parts, in the order of trials.
    """
    step = max(1, _SLOTS_IN_PART // plan.slots) if row.engine != "stratified" else last  # strata can't be cut
    return [PartKey(row.index, at, min(at + step, last), row.engine) for at in range(first, last, step)]


def read_part(path: Path, run_id: str | None = None) -> Arrays:
    """Read a part.

    Args:
        path: Its file.
        run_id: The run that it must belong to; None: any.

    Returns:
        Per log row its numbers, and ``case`` pointing into case_image, case_choice, case_mask.

    Raises:
        FileNotFoundError: There is none.
        InputError: If it is not a file, or not as ``write_part`` of this code wrote it for this run and under this
            name.
    """
    try:
        content = read_regular(path, _LIMIT_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"can't read `{path}`: {error.strerror}", hint=_AGAIN) from None
    content, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if checksum == _checksum(path, content):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        made_by = str(arrays.pop("made_by"))
        if run_id is None or made_by == _made_by(run_id):
            return arrays
    raise InputError(f"`{path}` is damaged, or of another run or version", hint=_AGAIN)


def _checksum(path: Path, content: bytes) -> bytes:
    """The name counts: two parts may not change places."""
    return hashlib.sha256(path.name.encode() + b"\0" + content).digest()


_AGAIN = "run the same command again: it makes it anew"
_CHECKSUM_BYTES = 32
_LIMIT_BYTES = 2**32


def _made_by(run_id: str) -> str:
    """The run, and the code that transported it: an update may change outcomes, and names of arrays."""
    return f"{run_id} {_code_sha256()}"


_code_sha256 = cache(code_sha256)  # as it was when this process began to write


def write_part(path: Path, run_id: str, arrays: Arrays) -> None:
    """Write a part's arrays, whole or not at all, with a checksum.

    Args:
        path: Its file.
        run_id: The run that it belongs to.
        arrays: What the transport of the part returned.
    """
    content = io.BytesIO()
    np.savez(content, made_by=np.array(_made_by(run_id)), **arrays)
    write_atomically(path, lambda file: file.write(content.getvalue() + _checksum(path, content.getvalue())))


def remove_part(path: Path) -> None:
    """Remove a part, or what stands in its place; of a link the link alone.

    Args:
        path: Its file.

    Raises:
        InputError: A folder stands there: somebody has put it there, with what it holds.
    """
    if path.is_dir() and not path.is_symlink():
        raise InputError(f"`{path}` is a folder, where a part of the run belongs", hint="move it away")
    path.unlink()

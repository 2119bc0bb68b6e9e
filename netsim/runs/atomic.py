"""Files appear whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from netsim.errors import InputError

__all__ = ["atomic_file", "make_folder", "remove_scratch", "write_atomically"]

_SCRATCH = ".scratch"
_SCRATCH_NAME = re.compile(rf"\..+\.[a-z0-9_]{{8}}\{_SCRATCH}")  # of tempfile.mkstemp


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Args:
        path: The folder.

    Raises:
        InputError: It can't be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder `{path}`: {error.strerror}", hint="write to another folder") from None


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call ``write`` on a scratch file beside ``path``, then put it in place in one step.

    Args:
        path: The file.
        write: Writes the content into an open binary file.

    Raises:
        InputError: The file can't be written.
    """
    with atomic_file(path) as file:
        write(file)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A scratch file beside ``path`` that takes its place when the block ends without an error.

    Args:
        path: The file that is written or replaced.

    Yields:
        The scratch file, open for bytes.

    Raises:
        InputError: The file can't be written.
    """
    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SCRATCH)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        hint = "write to another folder, or free some space"
        raise InputError(f"can't write `{path}`: {error.strerror or error}", hint=hint) from error


def remove_scratch(folder: Path) -> None:
    """Remove what a killed writer left in a folder that nobody writes to now.

    Args:
        folder: The folder.
    """
    for path in folder.glob(f".*{_SCRATCH}"):
        if _SCRATCH_NAME.fullmatch(path.name) and (path.is_symlink() or not path.is_dir()):
            path.unlink(missing_ok=True)

"""SHA-256 of files and of plain data."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["Budget", "digest", "file_sha256", "files_sha256", "named_path", "path_sha256"]


@dataclass
class Budget:
    """How much may still be read for hashes: a file of somebody else may name `/`.

    Attributes:
        names: Files and folders.
        size_bytes: Contents of files.
    """

    names: int = 100_000
    size_bytes: int = 32 * 2**30

    def take(self, names: int, size_bytes: int = 0) -> None:
        """Count what is about to be read.

        Args:
            names: Files and folders.
            size_bytes: Their contents.

        Raises:
            OSError: It is more than is left.
        """
        self.names, self.size_bytes = self.names - names, self.size_bytes - size_bytes
        if self.spent:
            raise OSError(errno.EFBIG, f"more than {Budget.names:,} files and folders or {Budget.size_bytes >> 30} GiB")

    @property
    def spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self.names < 0 or self.size_bytes < 0


def digest(*parts: Any) -> str:
    """SHA-256 of plain data: of its canonical JSON.

    Args:
        *parts: Values that JSON has; others count as their text.

    Returns:
        64 hexadecimal digits.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; kept while its size and time of change stay.

    Args:
        path: The file.

    Returns:
        64 digits.

    Raises:
        OSError: The file can't be read, is longer than its size says, or is a pipe or a device, which need never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return _file_sha256(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _file_sha256(path: str, inode: int, size: int, changed_ns: int) -> str:
    found, left = hashlib.sha256(), size
    with Path(path).open("rb") as file:
        while left and (block := file.read(min(left, 2**20))):
            found.update(block)
            left -= len(block)
        if file.read(1):  # it grows, or is one of the kernel's files (/proc/self/pagemap), which need never end
            raise OSError(errno.EFBIG, "longer than its size", path)
    return found.hexdigest()


def files_sha256(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over the names below ``root`` and the contents of some files, in hexadecimal.

    Args:
        root: A folder above all the files.
        paths: The files.

    Returns:
        64 digits.

    Raises:
        OSError: A file can't be read.
    """
    return digest(sorted((str(path.relative_to(root)), file_sha256(path)) for path in paths))


def path_sha256(path: Path, budget: Budget | None = None) -> str:
    """SHA-256 of a file, or over all files below a folder except hidden ones.

    Args:
        path: A file or folder.
        budget: What may be read, here and where else it is given; None: as much as for one input.

    Returns:
        64 digits.

    Raises:
        OSError: A file can't be read, or there is more than the budget allows.
    """
    left = budget or Budget()
    left.take(1)
    inside = list(_visible_files(path, left)) if path.is_dir() else [path]
    left.take(0, sum(file.stat().st_size for file in inside))
    return files_sha256(path, inside) if path.is_dir() else file_sha256(path)


def _visible_files(folder: Path, budget: Budget) -> Iterator[Path]:
    """Files below a folder, no hidden ones; links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        budget.take(len(folders) + len(files))
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (file for name in files if not name.startswith(".") and (file := Path(parent, name)).is_file())


def named_path(text: str | Path, folder: bool = False) -> Path | None:
    """The file (or, if ``folder`` is set, the folder) that a value names, if there is one.

    Args:
        text: The value.
        folder: A folder counts, too.

    Returns:
        The path, or None.
    """
    try:
        path = Path(text).expanduser()
        return path if path.is_file() or (folder and path.is_dir()) else None
    except (OSError, ValueError, RuntimeError):  # too long, no path at all, or no home
        return None

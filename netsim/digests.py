"""SHA-256 of files and of plain data."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["digest", "file_sha256", "files_sha256", "named_path", "path_sha256"]


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
        OSError: The file can't be read, or is a pipe or a device, which need never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return _file_sha256(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _file_sha256(path: str, inode: int, size: int, changed_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def path_sha256(path: Path) -> str:
    """SHA-256 of a file, or over all files below a folder except hidden ones.

    Args:
        path: A file or folder.

    Returns:
        64 digits.

    Raises:
        OSError: A file can't be read.
    """
    if not path.is_dir():
        return file_sha256(path)
    inside = [
        p for p in path.rglob("*") if p.is_file() and not any(n.startswith(".") for n in p.relative_to(path).parts)
    ]
    return files_sha256(path, inside)


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

"""Paths and names of files as users have them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from netsim.errors import InputError
from netsim.text import visible

__all__ = ["check_text", "leads_out", "output_path", "own_path", "read_regular", "user_path"]


def user_path(text: str, base: Path = Path()) -> Path:
    """The path that ``text`` names: ``~`` is the home folder, a relative path starts at ``base``.

    The file may be missing.

    Args:
        text: As the user writes it.
        base: Where a relative path starts.

    Returns:
        The path.

    Raises:
        InputError: A path that no file can have or that may not be looked at.

    >>> user_path("lost.txt", Path("traces")).as_posix()
    'traces/lost.txt'
    """
    if "\0" in text:
        raise InputError(f"{text!r} is not a path: it holds a NUL character", hint="the name of a file or folder")
    try:
        path = base / Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError:  # from expanduser
        raise InputError(f"no home folder for {text!r}", hint="write the path without `~`") from None
    except UnicodeEncodeError:
        raise InputError(f"{text!r} is not a path in this system's encoding", hint="rename the file") from None
    except OSError as error:
        raise InputError(f"can't open {_short(text)}: {error.strerror}") from None
    return path


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """The content of a regular file. Reading a pipe or a device, which a stranger's folder may hold, need never end.

    Args:
        path: The file.
        limit_bytes: Most bytes.

    Returns:
        Its bytes.

    Raises:
        OSError: It can't be read, is not a regular file, or is larger than the limit.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"larger than {limit_bytes:,} bytes", str(path))
    return content


def leads_out(folder: Path, path: Path) -> str:
    """Where links take a path that is written as one inside a folder. Nothing there is opened.

    Args:
        folder: The folder; it may be a link itself.
        path: A path below it.

    Returns:
        The place outside the folder; empty if the path stays inside.
    """
    place = os.path.realpath(path)
    return "" if Path(place).is_relative_to(os.path.realpath(folder)) else place


def own_path(folder: Path, *names: str) -> Path:
    """The path of a file or folder that is written inside a folder of netsim's.

    Args:
        folder: The folder.
        *names: Of the folders inside it, and of the file.

    Returns:
        The path.

    Raises:
        InputError: A link, which a stranger's folder may hold, takes it outside.
    """
    path = folder.joinpath(*names)
    if outside := leads_out(folder, path):
        raise InputError(f"`{path}` is a link to `{outside}`", hint="remove the link, or name a folder with --out")
    return path


def output_path(text: str) -> Path:
    """The path that ``text`` names, for a folder or file that is written.

    Args:
        text: As the user writes it.

    Returns:
        The path.

    Raises:
        InputError: As ``user_path``, and for bytes that are not UTF-8, which Parquet's writer does not open.
    """
    path = user_path(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{text!r} is named in bytes that are not UTF-8", hint="write to another folder") from None
    if path.name in ("", ".."):  # a folder beside it gets its name and a number
        path = path.resolve()
        if not path.name:
            raise InputError(f"can't write to `{path}`", hint="write to a folder with a name")
    return path


def check_text(what: str, name: str) -> None:
    """Check that a name is allowed in logs and tables.

    Args:
        what: What has the name, for the message.
        name: The name.

    Raises:
        InputError: A name of bytes that are not UTF-8, one with control characters or marks that reverse text, and one
            that a spreadsheet takes for a formula.

    >>> check_text("image", "coffee")
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        message = f"the {what} {name!r} is named in bytes that are not UTF-8"
        raise InputError(message, hint="rename the file: logs are in UTF-8") from None
    if visible(name) != name or "\n" in name or "\t" in name:
        raise InputError(f"{what} {name!r} holds control characters", hint="a name of visible characters")
    if name[:1] in _FORMULA:
        hint = f"a name that does not begin with {' '.join(_FORMULA)}"
        raise InputError(f"{what} {name!r} is a formula to a spreadsheet", hint=hint)


_FORMULA = ("=", "+", "-", "@")


def _short(text: str) -> str:
    return f"`{text}`" if len(text) <= 120 else f"`{text[:100]}…` ({len(text)} characters)"

"""Files of strangers: regular files only, limits on what is read from them, and a message that shows their head."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from netsim.errors import InputError

__all__ = [
    "PACKETS_LIMIT",
    "RECORDINGS_LIMIT",
    "TEXT_LIMIT_BYTES",
    "check_packets",
    "check_recordings",
    "head_bytes",
    "open_binary",
    "read_bytes",
    "read_lines",
    "shown_head",
]

TEXT_LIMIT_BYTES = 256 * 2**20
"""Largest file that is read whole: all formats but captures. Unpacked, where the file is packed with gzip."""

PACKETS_LIMIT = 100_000_000
"""Most packets of a trace."""

RECORDINGS_LIMIT = 100_000
"""Most recordings of a trace: each takes about a kilobyte, however short it is."""

_HEAD_BYTES, _LINES, _LINE = 4096, 3, 72
_GZIP = b"\x1f\x8b"


def open_binary(path: Path) -> BinaryIO:
    """Open a regular file; one packed with gzip is unpacked as it is read.

    Args:
        path: The file.

    Returns:
        The open file; the caller closes it.

    Raises:
        InputError: The file can't be read, or is not a regular file (reading a device or a pipe may never end).
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read trace {path}: not a regular file", hint="the path of a file")
        file = path.open("rb")
    except OSError as error:
        hint = "a file of 0s and 1s, or another format of traces"
        raise InputError(f"cannot read trace {path}: {error.strerror}", hint=hint) from None
    if file.peek(2)[:2] == _GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return file


def read_bytes(path: Path, limit: int = TEXT_LIMIT_BYTES) -> bytes:
    """The whole content of a file.

    Args:
        path: The file.
        limit: Most bytes, unpacked.

    Returns:
        Its bytes, unpacked.

    Raises:
        InputError: It can't be read, or is larger than the limit.
    """
    with open_binary(path) as file:
        try:
            content = file.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"cannot read trace {path}: {error}") from None
    if len(content) > limit:
        raise InputError(f"trace {path} is larger than {limit / 2**20:,.0f} MiB", hint="split it into several files")
    return content


def read_lines(content: bytes, errors: str = "strict") -> Iterator[str]:
    """The lines of a text, one by one: millions of short lines take many times the memory of the text.

    Args:
        content: UTF-8, with or without a mark at its beginning; lines end as on any system.
        errors: What to do with bytes that are not UTF-8, as in ``bytes.decode``.

    Yields:
        Lines without their ends.

    Raises:
        ValueError: Not UTF-8.
    """
    for line in io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors=errors, newline=None):
        yield line.removesuffix("\n")


def head_bytes(path: Path) -> bytes:
    """The first bytes of a file, enough to recognise its format.

    Args:
        path: The file.

    Returns:
        Its first bytes, unpacked.

    Raises:
        InputError: It can't be read.
    """
    with open_binary(path) as file:
        try:
            return file.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"cannot read trace {path}: {error}") from None


def shown_head(head: bytes) -> str:
    """The first lines of a file for a message.

    Args:
        head: From ``head_bytes``.

    Returns:
        Lines for a hint; control characters are escaped, long lines cut.
    """
    text = head.decode("utf-8", "backslashreplace")
    lines = [line for line in text.splitlines() if line.strip()][:_LINES]
    clean = ["".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:_LINE]) for line in lines]
    cut = [line + ("…" if len(full) > _LINE else "") for line, full in zip(clean, lines, strict=True)]
    return "\n".join(["it begins:", *(f"  {line}" for line in cut)]) if cut else "it is empty"


def check_packets(path: Path, packets: int) -> None:
    """Check the number of packets of a trace.

    Args:
        path: The file, for the message.
        packets: How many it has.

    Raises:
        InputError: There are more than a trace may have.
    """
    if packets > PACKETS_LIMIT:
        message = f"trace {path} has {packets:,} packets"
        raise InputError(message, hint=f"at most {PACKETS_LIMIT:,}; split it into several files")


def check_recordings(path: Path, recordings: int) -> None:
    """Check the number of recordings of a trace, while it is read.

    Args:
        path: The file, for the message.
        recordings: How many were found so far.

    Raises:
        InputError: There are more than a trace may have.
    """
    if recordings > RECORDINGS_LIMIT:
        message = f"trace {path} has more than {RECORDINGS_LIMIT:,} recordings"
        raise InputError(message, hint="split it into several files")

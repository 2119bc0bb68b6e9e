"""Outside programs: argument lists, time limits, no shell; and who they are (name, version, hash)."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from netsim.errors import InputError

__all__ = ["ALLOWED", "find_program", "identity", "run_program", "sha256_short", "written_bytes"]


def find_program(name: str, codec: str, setting: str) -> str:
    """Full path of a program that the user named.

    Args:
        name: A path, or a name on PATH.
        codec: Whose setting it is, for the message.
        setting: The setting, which becomes the error's ``key``.

    Raises:
        InputError: There is no such executable file, or the user has not allowed it: a scenario of somebody else could
            name any program.
    """
    found = shutil.which(Path(name).expanduser())
    if found is None:
        hint = f"`{setting}` is the path of an executable file, or its name if it is on PATH"
        raise InputError(f"codec {codec}: no program `{name}`", hint=hint, key=(setting,))
    program = Path(found).resolve()
    if not any(program.is_relative_to(allowed) for allowed in _allowed()):
        hint = f"if you trust it, set the environment variable {ALLOWED}={program.parent}"
        raise InputError(f"codec {codec}: the program `{program}` is not allowed", hint=hint, key=(setting,))
    return str(program)


ALLOWED = "NETSIM_PROGRAMS"
"""Environment variable: programs that a scenario may name, and folders of such, with ``:`` between them."""


def _allowed() -> list[Path]:
    entries = filter(None, os.environ.get(ALLOWED, "").split(os.pathsep))
    return [Path(entry).expanduser().resolve() for entry in entries]


def run_program(
    arguments: Sequence[str], *, data: bytes = b"", timeout_s: float = 600, memory_bytes: int | None = None
) -> bytes:
    """Runs a program without a shell.

    Args:
        arguments: Path of the program and its arguments.
        data: Standard input.
        timeout_s: Time limit.
        memory_bytes: Most memory that it may ask for, on Linux; None: no limit.

    Returns:
        Standard output.

    Raises:
        InputError: The program fails, takes too long or can't be run; the hint is the end of its output.

    >>> run_program(["cat"], data=b"abc")
    b'abc'
    """
    name = Path(arguments[0]).name
    try:
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            if memory_bytes is not None:
                _limit_memory(process.pid, memory_bytes)
            try:
                out, told = process.communicate(data, timeout_s)
            except BaseException:
                process.kill()
                raise
    except subprocess.TimeoutExpired:
        raise InputError(f"{name} took longer than {timeout_s:g} s", hint=" ".join(arguments)) from None
    except OSError as error:
        raise InputError(f"{name} can't be run: {error.strerror}", hint=arguments[0]) from None
    if process.returncode != 0:
        words = (told or out).decode(errors="replace").strip().splitlines()[-3:]
        raise InputError(f"{name} failed with exit code {process.returncode}", hint="\n".join(words))
    return out


def _limit_memory(pid: int, limit_bytes: int) -> None:
    """The program still waits for its input then."""
    if hasattr(resource, "prlimit"):
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def written_bytes(path: Path, program: str) -> bytes:
    """Contents of a file that a program was to write. Raises InputError if it did not."""
    if not path.is_file():
        raise InputError(f"{Path(program).name} ended without an error but wrote no {path.name}")
    return path.read_bytes()


@cache
def _sha256(path: str, size: int, changed_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def sha256_short(path: str) -> str:
    """First 16 hex digits of a file's SHA-256; remembered while size and time of change stay."""
    status = Path(path).stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _version(path: str, arguments: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    match = re.search(
        r"version[:\s]+\[?([^\s\]]+)", (done.stdout + done.stderr).decode(errors="replace"), re.IGNORECASE
    )
    return match.group(1) if match else "unknown"


def identity(path: str, version_arguments: Sequence[str] = ()) -> Mapping[str, str]:
    """name, version (as the program states it, else "unknown") and sha256 of a program; cached."""
    return {"name": Path(path).name, "version": _version(path, tuple(version_arguments)), "sha256": sha256_short(path)}

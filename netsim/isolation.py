"""Runs a function in a child process with limits of memory and time.

For decoders in native libraries, which see bytes of strangers: a crash, an endless loop or a huge allocation there ends
the child process, and the caller gets an InputError. The child stays for the next call; a new one replaces it after it
has ended. It is not a sandbox: code that runs in it has the user's rights.
"""

from __future__ import annotations

import fcntl
import json
import math
import mmap
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = ["MEMORY_BYTES", "TIMEOUT_S", "run_isolated"]

TIMEOUT_S = 120.0
MEMORY_BYTES = 8 << 30
_HEADER_BYTES = 1 << 20  # of an answer
_KEPT_BYTES = 64 << 20  # of the memory for answers, between calls: fresh memory takes time
_END_S = 10
_KINDS = "biuf"


def run_isolated(
    function: Callable[..., NDArray[Any]],
    *arguments: Any,
    what: str,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> NDArray[Any]:
    """``function(*arguments)`` in this process's child for such calls, which the first call starts.

    Args:
        function: A function of a module that a new process can import. It returns an array of numbers.
        *arguments: Values that can be pickled.
        what: Whose decoder this is, for messages.
        timeout_s: Time limit, above 0.
        memory_bytes: Address space that the call may add to what the child has.

    Returns:
        What the function returns, read-only.

    Raises:
        InputError: The function raised it; or the child crashed, took too long or ran out of memory.
        RuntimeError: The function raised something else; the message is its traceback.

    >>> run_isolated(np.arange, 3, what="an example")
    array([0, 1, 2])
    """
    with _lock:
        return _current().call(function, arguments, what, timeout_s, memory_bytes)


class _Child:
    """The child process and the connection to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._connection, theirs = Pipe()
        shared, self._shared = _Shared.make()
        path = os.pathsep.join(_search_path())
        environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C is for the parent
        try:
            self._process = subprocess.Popen(
                # -P: else modules of the current folder replace those of Python, such as a user's json.py
                [sys.executable, "-P", "-m", "netsim.isolation", str(theirs.fileno()), str(shared)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), shared],
                env=environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def usable(self) -> bool:
        """Whether this process started it and it still runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], what: str, timeout_s: float, memory_bytes: int
    ) -> NDArray[Any]:
        """See :func:`run_isolated`."""
        request = _search_path(), timeout_s, memory_bytes, pickle.dumps((function, arguments))
        try:
            self._connection.send(request)
            header = json.loads(self._connection.recv_bytes(_HEADER_BYTES))
            if "array" in header:
                return self._shared.read(header)
        except (EOFError, OSError):
            raise self._lost(what, timeout_s) from None
        except BaseException:  # the rest of an answer may still come
            self._kill()
            raise
        if "refused" in header:
            raise InputError(**header["refused"] | {"key": tuple(header["refused"]["key"])})
        if "memory" in header:
            raise InputError(
                f"{what}: the decoder found no memory; its limit is {memory_bytes / 2**30:.3g} GiB", hint=_DAMAGED
            )
        raise RuntimeError(f"{what}: an error in the decoder\n{header['error']}")

    def _lost(self, what: str, timeout_s: float) -> InputError:
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            code = 0
        self._kill()
        if code == -signal.SIGALRM:
            return InputError(f"{what}: the decoder took longer than {timeout_s:g} s", hint=_DAMAGED)
        if code == -signal.SIGKILL:
            return InputError(f"{what}: the decoder was killed", hint="most often memory has run out")
        how = f"exit code {code}" if code >= 0 else _signal_name(-code)
        return InputError(f"{what}: the decoder crashed ({how})", hint=_DAMAGED)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Lets go of a child that has ended, or that another process started."""
        self._connection.close()
        self._shared.close()


_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # threads take address space
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # glibc keeps an image's memory for the next one: twice as fast for JPEG
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
_DAMAGED = "the bytes are damaged, or made to do that; or the decoder's library has a fault"
_lock = threading.Lock()
_children: list[_Child] = []


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)  # another thread of the parent may have held it


def _current() -> _Child:
    """This process's child: a forked process has none of its own yet."""
    if _children and not _children[0].usable():
        _children.pop().close()
    if not _children:
        _children.append(_Child())
    return _children[0]


def _search_path() -> list[str]:
    """Entries that are no text, such as a Path in a notebook, have no effect on imports either."""
    return [path or _here() for path in sys.path if isinstance(path, str)]


def _here() -> str:
    """The current folder; ``.`` if it was removed: the child can't enter it either."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.curdir


class _Shared:
    """A file in memory for answers, which parent and child keep mapped.

    Args:
        number: Its descriptor.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._map: mmap.mmap | None = None
        self._content: NDArray[np.uint8] = np.empty(0, np.uint8)

    @classmethod
    def make(cls) -> tuple[int, _Shared]:
        """A new one, with its descriptor. It can't shrink under a parent that reads it."""
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("netsim-isolation", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        else:
            with tempfile.TemporaryFile() as file:
                number = os.dup(file.fileno())
        return number, cls(number)

    def write(self, found: NDArray[Any]) -> dict[str, Any]:
        """Puts an array into it. Returns what :meth:`read` needs."""
        if found.nbytes > os.fstat(self._number).st_size:
            os.ftruncate(self._number, found.nbytes)
        self._mapped(found.nbytes)[:] = found.reshape(-1).view(np.uint8)
        return {"array": found.dtype.str, "shape": found.shape}

    def read(self, header: dict[str, Any]) -> NDArray[Any]:
        """A copy of the array, read-only. Memory beyond ``_KEPT_BYTES`` is given back for both processes."""
        kind, shape = np.dtype(header["array"]), tuple(header["shape"])
        size = kind.itemsize * math.prod(shape)
        if kind.kind not in _KINDS or min(shape, default=0) < 0 or size > os.fstat(self._number).st_size:
            raise RuntimeError("an answer of the decoding process has another size than it says")
        found = np.empty(shape, kind)
        found.reshape(-1).view(np.uint8)[:] = self._mapped(size)
        found.setflags(write=False)
        if self._map is not None and len(self._map) > _KEPT_BYTES and hasattr(mmap, "MADV_REMOVE"):
            with suppress(OSError):  # a file system that can't
                self._map.madvise(mmap.MADV_REMOVE, _KEPT_BYTES)
        return found

    def _mapped(self, size: int) -> NDArray[np.uint8]:
        if size > len(self._content):
            self._map = mmap.mmap(self._number, size)
            self._content = np.frombuffer(self._map, np.uint8)
        return self._content[:size]

    def close(self) -> None:
        self._map, self._content = None, np.empty(0, np.uint8)
        os.close(self._number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(connection: Connection, shared: _Shared) -> None:
    """The child's life: a request in, an answer out, until the parent has gone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever a library is doing
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    while True:
        try:
            path, timeout_s, memory_bytes, packed = connection.recv()
        except (EOFError, OSError):
            return
        sys.path[:] = path
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        header = _answer(packed, memory_bytes, hard, shared)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            connection.send_bytes(json.dumps(header).encode())
        except OSError:  # the parent was killed meanwhile
            return


def _answer(packed: bytes, memory_bytes: int, hard: int, shared: _Shared) -> dict[str, Any]:
    try:
        function, arguments = pickle.loads(packed)  # imports the function's module, which may take address space
        limit = _address_space_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        try:
            found = np.asarray(function(*arguments), order="C")
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if found.dtype.kind not in _KINDS:
            raise TypeError(f"{function.__qualname__} returned {found.dtype}, not numbers")
        return shared.write(found)
    except InputError as error:
        refused = {"message": error.message, "where": error.where, "hint": error.hint, "key": list(error.key)}
        return {"refused": refused}
    except MemoryError:
        return {"memory": True}
    except Exception:
        return {"error": traceback.format_exc()[-_HEADER_BYTES // 8 :]}


def _address_space_bytes() -> int:
    """Of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), _Shared(int(sys.argv[2])))

"""Ctrl-C, kill and hang-up end a command at once, whatever it is doing."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stopped", "end_on_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 1.5


class Stopped(BaseException):
    """A signal asked to stop. No Exception, and no KeyboardInterrupt: libraries treat that in ways of their own.

    number: the signal's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)

    @property
    def exit_code(self) -> int:
        """As a shell reports it: 130 for Ctrl-C."""
        return 128 + self.number


@contextmanager
def end_on_signals(kill: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread at SIGINT, SIGTERM or SIGHUP, after a word on standard error.

    If the process has not ended 1.5 seconds later (a library may hold the main thread, or swallow the exception), or
    at a second signal, it ends without further ado: all that netsim writes appears whole or not at all. A signal that
    is ignored (``nohup``) stays ignored. Only for the main thread.

    Args:
        kill: Kills child processes; called before the process ends in that way.

    Yields:
        Nothing; signals are watched until the block ends.
    """
    ours = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _stop) for number in ours}
    here, there = socket.socketpair()
    there.setblocking(False)
    former = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(here, kill), daemon=True).start()
    stopped = False
    try:
        yield
    except Stopped:
        stopped = True  # the watch goes on until the process ends
        raise
    finally:
        if not stopped:
            signal.set_wakeup_fd(former)
            there.close()  # ends the watch
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    _say_stopping()
    raise Stopped(number)


_said = threading.Event()


def _say_stopping() -> None:
    """Once: by the main thread or by the watch, whichever comes first."""
    if not _said.is_set():
        _said.set()
        with suppress(OSError):  # standard error may be full
            os.write(2, b"stopping...\n")


def _watch(signals: socket.socket, kill: Callable[[], None]) -> None:
    """Wait for a signal that ``_stop`` handles, and see to it that the process ends."""
    while True:
        received = signals.recv(1)
        if not received:
            signals.close()
            return
        number = received[0]
        if number in _SIGNALS and signal.getsignal(number) is _stop:
            break
    _say_stopping()
    signals.settimeout(_GRACE_S)
    try:
        while signals.recv(1)[0] not in _SIGNALS:
            pass
    except (TimeoutError, IndexError):
        pass
    kill()
    os._exit(128 + number)

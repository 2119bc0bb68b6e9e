"""A stop that somebody asks for (Ctrl-C, kill) and that leaves nothing half done."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

__all__ = ["GracefulInterrupt"]


class GracefulInterrupt:
    """While entered, SIGINT and SIGTERM only note themselves, for the loop to look at; a second one interrupts.

    asked: the signal's number, 0 if there was none. Only for the main thread, the one that Python sends signals to.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> GracefulInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = number
        print("\nstopping after this step; again: at once", flush=True)

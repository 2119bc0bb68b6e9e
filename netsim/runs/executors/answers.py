"""How a worker answers: with a task's result, or with the error that the task raised and its traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from netsim.runs.executors.base import Task

__all__ = ["Answer", "answer"]


class Answer(NamedTuple):
    """What a worker sends back.

    Attributes:
        value: The task's result.
        error: What the task raised; None if it has a result.
        text: The traceback of the error.
    """

    value: Any
    error: BaseException | None = None
    text: str = ""

    def result(self) -> Any:
        """The result of the task.

        Returns:
            What the task returned.

        Raises:
            Exception: What the task raised, with the worker's traceback as its cause.
        """
        if self.error is not None:
            raise self.error from _Elsewhere(self.text)
        return self.value


def answer(task: Task, context: Callable[[], Any], values: Mapping[str, Any]) -> Answer:
    """Do a task in a worker.

    Args:
        task: The task.
        context: Gives the context; an error in it is an answer, too.
        values: The values that the task needs, by name.

    Returns:
        The result, or the error, in a form that can be sent.
    """
    try:
        return Answer(task.function(context(), task.argument, values))
    except Exception as error:
        text = traceback.format_exc()
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
        except Exception:
            plain = RuntimeError(f"{type(error).__name__}: {error}")
            for note in getattr(error, "__notes__", []):
                plain.add_note(note)
            error = plain
        return Answer(None, error, text)


class _Elsewhere(Exception):
    """Shows the traceback of an error in a worker."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'

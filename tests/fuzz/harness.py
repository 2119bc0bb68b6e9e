"""Runs the cases of one kind and collects their faults."""

from __future__ import annotations

import pkgutil
import signal
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from types import FrameType, ModuleType

from netsim.errors import InputError
from tests.fuzz import kinds

__all__ = ["CI_CASES", "FEWER_CASES", "Outcome", "kind_names", "load_kind", "run_case", "run_cases"]

CI_CASES = 10_000
FEWER_CASES = {"progressive": 4_000, "resicomp": 5_000, "run_folders": 5_000, "scenarios": 5_000, "video": 2_000}
"""What CI tries of kinds whose cases take more than 5 ms of a processor; ``python -m tests.fuzz`` tries all."""

HANG_S = 60  # one case takes milliseconds
_FAULTS_SHOWN = 10
_MESSAGE_LIMIT = 3000  # characters of an error and its hint


class Hang(BaseException):
    """A case that does not end. No Exception, so that the code under test can't catch it."""


@dataclass
class Outcome:
    """Counts of a kind's cases, and one example of each distinct fault: traceback by case number."""

    results: int = 0
    refusals: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    faulty: int = 0
    _places: set[str] = field(default_factory=set)

    def add_fault(self, number: int, error: BaseException) -> None:
        """Counts a fault; keeps its traceback if its type and place are new."""
        self.faulty += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else repr(error)
        if place not in self._places and len(self.faults) < _FAULTS_SHOWN:
            self._places.add(place)
            self.faults[number] = "".join(traceback.format_exception(error))

    def report(self, kind: str) -> str:
        """One line of counts, then each distinct fault with the command that repeats it."""
        lines = [f"{kind}: {self.results} results, {self.refusals} refusals, {self.faulty} faults"]
        for number, text in self.faults.items():
            lines += [f"case {number} (python -m tests.fuzz {kind} --case {number}):", text]
        return "\n".join(lines)


def kind_names() -> list[str]:
    """Names of all kinds: the modules in ``kinds``."""
    return sorted(module.name for module in pkgutil.iter_modules(kinds.__path__) if not module.name.startswith("_"))


def load_kind(name: str) -> ModuleType:
    """The module of a kind, prepared: loading weights is not part of a case's time."""
    kind = import_module(f"{kinds.__name__}.{name}")
    getattr(kind, "prepare", lambda: None)()
    return kind


def run_case(kind: ModuleType, number: int, folder: Path) -> object:
    """Runs one case. folder: a scratch folder that cases share. Raises what the case raises."""
    rng = Random(f"{kind.__name__} {number}")  # a text: the seed is the same in every Python and process
    with _time_limit():
        return kind.attempt(rng, folder)


def run_cases(name: str, numbers: Iterable[int]) -> Outcome:
    """Runs cases of a kind by their numbers."""
    outcome, kind = Outcome(), load_kind(name)
    with tempfile.TemporaryDirectory(prefix="netsim-fuzz-") as folder:
        for number in numbers:
            try:
                run_case(kind, number, Path(folder))
            except InputError as error:
                outcome.refusals += 1
                if not 1 <= len(str(error)) <= _MESSAGE_LIMIT:
                    outcome.add_fault(number, AssertionError(f"an InputError of {len(str(error))} characters"))
            except (Exception, Hang) as error:
                outcome.add_fault(number, error)
            else:
                outcome.results += 1
    return outcome


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raises Hang after HANG_S seconds, where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"no answer within {HANG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

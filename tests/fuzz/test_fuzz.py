"""Every kind of fuzzing, with its number of cases for CI; and that the harness notices what it must."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from netsim.errors import InputError
from tests.fuzz import harness
from tests.fuzz.harness import CI_CASES, FEWER_CASES, kind_names, run_cases
from tests.fuzz.mutations import damaged

_SHARES = 4  # parts that workers of pytest-xdist take


@pytest.mark.slow
@pytest.mark.parametrize("share", range(_SHARES))
@pytest.mark.parametrize("name", kind_names())
def test_every_case_is_a_result_or_an_input_error(name: str, share: int) -> None:
    outcome = run_cases(name, range(share, FEWER_CASES.get(name, CI_CASES), _SHARES))
    assert not outcome.faulty, outcome.report(name)
    assert outcome.results, "no case was valid: the generator reaches nothing"
    assert outcome.refusals, "no case was refused: the generator damages nothing"


def test_a_kind_with_fewer_cases_is_there() -> None:
    assert set(FEWER_CASES) <= set(kind_names())


def test_the_harness_counts_results_refusals_and_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(rng: Random, folder: Path) -> float:
        value = rng.random()
        if value < 0.2:
            raise InputError("refused")
        if value < 0.3:
            raise KeyError(value)
        if value < 0.35:
            raise InputError("")
        return value

    kind = ModuleType("tests.fuzz.kinds.made_up")
    kind.attempt = attempt  # type: ignore[attr-defined]
    monkeypatch.setattr(harness, "load_kind", lambda name: kind)
    values = [Random(f"{kind.__name__} {number}").random() for number in range(200)]
    outcome = run_cases("made_up", range(200))
    assert outcome.faulty == sum(0.2 <= value < 0.35 for value in values)
    assert outcome.results == sum(value >= 0.35 for value in values)
    assert outcome.refusals == sum(value < 0.2 or 0.3 <= value < 0.35 for value in values)
    first = next(number for number, value in enumerate(values) if 0.2 <= value < 0.3)
    assert f"--case {first}" in outcome.report("made_up")
    assert "KeyError" in outcome.faults[first]


def test_a_case_that_does_not_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(rng: Random, folder: Path) -> None:
        while True:
            pass

    kind = ModuleType("tests.fuzz.kinds.endless")
    kind.attempt = attempt  # type: ignore[attr-defined]
    monkeypatch.setattr(harness, "load_kind", lambda name: kind)
    monkeypatch.setattr(harness, "HANG_S", 0.05)
    assert "Hang" in run_cases("endless", [0]).faults[0]


def test_damage_is_the_same_for_the_same_seed() -> None:
    made = [damaged(b"0123456789" * 9, Random(number), [b"word"]) for number in range(100)]
    assert made == [damaged(b"0123456789" * 9, Random(number), [b"word"]) for number in range(100)]
    assert len(set(made)) > 90

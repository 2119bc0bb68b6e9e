"""Faults put into a channel on purpose: each must make named tests fail.

Two kinds. A fault in the sampler alone leaves the closed forms right, so exact and array engine part ways. A fault
in what a channel *is* reaches both, so only the tests of definitions see it; those are run here on the faulty code
and must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.channels import MarkovChannel, chains, gilbert_elliott, markov, matrices, preset, presets
from netsim.errors import InputError
from tests.channels import test_markov, test_presets, test_sampling
from tests.statistics.samples import STANDARD_ERRORS, worst_deviation

TRIALS, SLOTS = 100_000, 2
ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "explanation" / "correctness.md"
GE = {"p": 0.2, "r": 0.5, "h": 0.9, "k": 0.99}

Fault = Callable[[pytest.MonkeyPatch], MarkovChannel]
"""Puts a fault into the sampler; returns the channel to try it on."""


class Drawn:
    """``receive_many`` as plain array code, so that a fault can be put into it."""

    def __init__(self, cuts: np.ndarray, loss: np.ndarray, draw_first: bool = False) -> None:
        self.cuts, self.loss, self.draw_first = cuts, loss, draw_first

    def __call__(self, channel: Any, uniforms: np.ndarray, states: np.ndarray, steps: int = 1) -> tuple[Any, Any]:
        states = np.array(states)
        received = np.empty(uniforms.shape[:2], dtype=bool)
        for i in range(uniforms.shape[1]):
            before = states
            states = (uniforms[:, i, :1] >= self.cuts[states]).sum(axis=1)
            received[:, i] = uniforms[:, i, 1] >= self.loss[before if self.draw_first else states]
        return received, states


def cuts_of(rows: Any) -> np.ndarray:
    """Cumulative rows, without the last column."""
    return np.cumsum(np.asarray(rows), axis=1)[:, :-1]


def _sampler(patch: pytest.MonkeyPatch, drawn: Drawn) -> None:
    patch.setattr(MarkovChannel, "receive_many", lambda self, *given: drawn(self, *given))


def no_fault(patch: pytest.MonkeyPatch) -> MarkovChannel:
    channel = gilbert_elliott(**GE, start="G")
    _sampler(patch, Drawn(cuts_of(channel.transition), channel.loss))
    return channel


def p_and_r_swapped(patch: pytest.MonkeyPatch) -> MarkovChannel:
    channel = gilbert_elliott(**GE)
    p, r = GE["p"], GE["r"]
    _sampler(patch, Drawn(cuts_of([[1 - r, r], [p, 1 - p]]), channel.loss))
    return channel


def h_for_one_minus_h(patch: pytest.MonkeyPatch) -> MarkovChannel:
    channel = gilbert_elliott(**GE)
    _sampler(patch, Drawn(cuts_of(channel.transition), np.array([1 - GE["k"], GE["h"]])))
    return channel


def draw_before_step(patch: pytest.MonkeyPatch) -> MarkovChannel:
    channel = preset("EP4", start="G")  # from a stationary start the order is immaterial
    _sampler(patch, Drawn(cuts_of(channel.transition), channel.loss, draw_first=True))
    return channel


def uniform_start(patch: pytest.MonkeyPatch) -> MarkovChannel:
    patch.setattr(MarkovChannel, "initial_states", lambda self, u: (u * len(self.states)).astype(np.int64))
    return preset("EP3")


def clipped_row(patch: pytest.MonkeyPatch) -> MarkovChannel:
    """EP5 as printed is a chain; the release's cuts for it run over one and are clipped there."""
    channel = preset("EP5", "printed")
    _sampler(patch, Drawn(cuts_of(preset("EP5", "released").transition), channel.loss))
    return channel


SAMPLER_FAULTS: list[Fault] = [p_and_r_swapped, h_for_one_minus_h, draw_before_step, uniform_start, clipped_row]


@pytest.mark.parametrize("fault", SAMPLER_FAULTS, ids=lambda f: f.__name__)
def test_exact_against_array_sees_a_faulty_sampler(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = fault(monkeypatch)
    assert worst_deviation(channel, "jpeg2000 prefix", TRIALS, SLOTS) > 2 * STANDARD_ERRORS


def test_the_sampler_used_here_is_right_without_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worst_deviation(no_fault(monkeypatch), "jpeg2000 prefix", TRIALS, SLOTS) < STANDARD_ERRORS


# faults of definition -------------------------------------------------------------------------------------


@contextmanager
def swapped_definition() -> Iterator[None]:
    def faulty(p: float, r: float, h: float, k: float, **more: Any) -> MarkovChannel:
        return gilbert_elliott(r, p, h, k, **more)

    with _in_place_of_gilbert_elliott(faulty):
        yield


@contextmanager
def wrong_h() -> Iterator[None]:
    def faulty(p: float, r: float, h: float, k: float, **more: Any) -> MarkovChannel:
        return gilbert_elliott(p, r, 1 - h, k, **more)

    with _in_place_of_gilbert_elliott(faulty):
        yield


@contextmanager
def _in_place_of_gilbert_elliott(faulty: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (chains, presets, test_markov):
            patch.setattr(module, "gilbert_elliott", faulty)
        yield


@contextmanager
def drawing_first() -> Iterator[None]:
    def one(self: MarkovChannel, u_step: float, u_loss: float, state: int, steps: int = 1) -> tuple[bool, int]:
        return u_loss >= self._loss[state], int(np.searchsorted(self._cdfs_after(steps)[state], u_step, side="right"))

    def many(self: MarkovChannel, uniforms: Any, states: Any, steps: Any = 1) -> tuple[Any, Any]:
        return Drawn(cuts_of(self.transition), self.loss, draw_first=True)(self, uniforms, states)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MarkovChannel, "receive_one", one)
        patch.setattr(MarkovChannel, "receive_many", many)
        yield


@contextmanager
def starting_uniformly() -> Iterator[None]:
    def faulty(self: MarkovChannel, start: str) -> np.ndarray:
        return np.full(len(self.states), 1 / len(self.states))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MarkovChannel, "_distribution", faulty)
        yield


@contextmanager
def clipping() -> Iterator[None]:
    """What does not fit into a row is cut off in silence, as the release does."""
    right = matrices.checked_transition

    def faulty(transition: Any, states: Any) -> Any:
        rows = np.asarray(transition, dtype=np.float64)
        cumulative = np.cumsum(rows, axis=1).clip(0, 1)
        cumulative[:, -1] = 1
        return right(np.diff(cumulative, axis=1, prepend=0.0), states)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markov, "checked_transition", faulty)
        yield


NAMED: list[tuple[Any, Callable[[], None]]] = [
    (swapped_definition, test_markov.test_gilbert_elliott_is_as_the_paper_defines_it),
    (swapped_definition, lambda: test_presets.test_gilbert_elliott_presets("ge-15", 0.15, -0.070)),
    (wrong_h, test_markov.test_gilbert_elliott_is_as_the_paper_defines_it),
    (wrong_h, lambda: test_presets.test_gilbert_elliott_presets("ge-15", 0.15, -0.070)),
    (drawing_first, test_markov.test_the_chain_steps_before_the_packet_is_drawn),
    (drawing_first, lambda: test_sampling.test_masks_follow_their_exact_law(preset("EP4"), "G")),
    (starting_uniformly, test_markov.test_initial_states_follow_the_start_distribution),
    (starting_uniformly, lambda: test_presets.test_by_default_the_first_packet_is_lost_like_any_other("EP4")),
    (
        clipping,
        lambda: test_presets.test_printed_patterns_that_are_no_chain_are_refused("EP3", "1.6 (0.8 + 0.8 + 0.0)"),
    ),
    (
        clipping,
        lambda: test_markov.test_matrices_that_are_no_channel_are_refused(
            [[1, 0, 0], [0.8, 0.8, 0], [0, 0, 1]],
            [0, 1, 0],
            "rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)",
            ("rows", 1),
        ),
    ),
]


@pytest.mark.parametrize(("fault", "test"), NAMED, ids=[f"{fault.__name__}-{i}" for i, (fault, _) in enumerate(NAMED)])
def test_named_tests_fail_on_a_faulty_definition(fault: Any, test: Callable[[], None]) -> None:
    test()  # passes as the code stands
    with fault(), pytest.raises((AssertionError, InputError, pytest.fail.Exception)):
        test()


def test_the_document_names_tests_that_exist() -> None:
    """docs/explanation/correctness.md lists tests as `test_…`; each stands in some file of tests/."""
    import re

    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)}
    there |= {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    assert len(named) > 15
    assert named <= there, named - there

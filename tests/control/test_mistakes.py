"""A mistake in a controller of somebody else is one sentence that names it; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.errors import InputError
from netsim.registry import register

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Mine:
    """Always the first choice."""

    name = "mine"

    def __init__(self, settings: Any, protections: Any) -> None:
        self.count = len(protections)

    def choose(self, slot: int, reports: Any) -> Any:
        return 0


def run(controller: Any) -> Any:
    register("controller", "mine")(controller)
    codec = {"jpeg": {"quality": 30, "packets": 4, "protection": ["none", {"repeat": {"first": 1}}]}}
    keys: dict[str, Any] = {"codecs": [codec], "channels": [{"loss_rate": 0.3}], "control": "mine"}
    return netsim.run({"images": {"samples": ["coffee"]}, "trials": 2, "slots": 2, "seed": 1, **keys})


def test_the_controller_without_a_mistake_runs() -> None:
    assert len(run(Mine).slots) == 4
    register("controller", "mine")(type("Mine", (Mine,), {"choose": lambda self, slot, reports: np.int64(1)}))


@pytest.mark.parametrize("choice", [2, -1, None, "none", 0.5])
def test_a_choice_that_is_none_of_them_is_one_sentence(choice: Any) -> None:
    with pytest.raises(InputError) as caught:
        run(type("Mine", (Mine,), {"choose": lambda self, slot, reports: choice}))
    assert caught.value.message == f"controller `mine`: choose returns {choice!r} for slot 0"
    assert caught.value.hint == "a whole number from 0 to 1: the index of a choice"


@pytest.mark.parametrize(
    ("maker", "message", "hint"),
    [
        (lambda settings, protections: None, "None has no attribute `name`", 'name = "mine", as in logs'),
        (type("Mine", (Mine,), {"name": 3}), "Mine has the name 3", 'name = "mine", as in logs'),
        (type("Mine", (Mine,), {"choose": None}), "`choose` of Mine is missing", "def choose(self, slot, reports)"),
        (
            type("Mine", (Mine,), {"choose": lambda self, slot: 0}),
            "`choose` of Mine can't be called as netsim calls it: <lambda>(slot)",
            "def choose(self, slot, reports)",
        ),
    ],
)
def test_a_controller_at_fault_is_refused_before_anything_runs(maker: Any, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        run(maker)
    assert caught.value.message == f"controller `mine`: {message}"
    assert caught.value.hint == hint
    assert caught.value.where == "control.mine"


def test_a_maker_of_other_arguments_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        run(lambda settings: Mine(settings, ()))
    assert caught.value.message == "controller `mine` can't be called as netsim calls it: <lambda>(settings)"


def test_a_bug_inside_a_controller_keeps_a_traceback_that_ends_in_its_file() -> None:
    def bug(self: Any, slot: int, reports: Any) -> Any:
        return {}["x"]

    with pytest.raises(KeyError) as caught:
        run(type("Mine", (Mine,), {"choose": bug}))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "bug"
    assert caught.value.__notes__ == ["in choose of controller `mine`, slot 0"]

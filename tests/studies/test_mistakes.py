"""A mistake in a study of somebody else is one sentence that names the study; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

import netsim
from netsim import registry
from netsim.errors import InputError
from netsim.registry import register
from netsim.runs.progress import Reporter
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import certain
from netsim.studies.kinds import study_class
from netsim.studies.outputs import Drawing, Table, Text
from netsim.studies.reproduce import Reproduced, reproduce
from tests.studies.conftest import MakeRecipe

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Mine(netsim.Study):
    """Adds one number and draws nothing."""

    name = "mine"
    needs_scenario = False

    def measure(self, context: Any) -> Any:
        return pd.DataFrame({"x": [1.0, 2.0]})

    def compare(self, table: Any, measured: Any) -> None:
        table.add("EP1", "vvc", "psnr_db", certain(measured["x"].mean()))


def run(small: MakeRecipe, tmp_path: Path, **body: Any) -> Reproduced:
    register("study")(type("Mine", (Mine,), body))
    recipe = small(study="mine", scenario=None)
    return reproduce(recipe, False, tmp_path / "out", 1, Reporter())


def test_the_study_without_a_mistake_runs(small: MakeRecipe, tmp_path: Path) -> None:
    assert run(small, tmp_path).comparison["ours"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("EP1", "vvc", "psnr_db", 31.5), "table.add gets ours = 31.5 (float), not an Estimate", "certain(number)"),
        (
            ("EP1", "vvc", "psnr_db", (31.5, 31.0, 32.0)),
            "table.add gets ours = (31.5, 31.0, 32.0) ((float, float, float)), not an Estimate",
            "Estimate(value, low, high)",
        ),
        (
            ("EP1", "vvc", "psnr_db", Estimate("31", 30.0, 32.0)),  # type: ignore[arg-type]
            "table.add gets ours = Estimate(value='31', low=30.0, high=32.0) ((str, float, float)), not an Estimate",
            "mean_interval returns it",
        ),
        ((3, "vvc", "psnr_db", certain(1)), "table.add gets condition = 3 (int)", "condition=str(…)"),
        (("EP1", "vvc", certain(1), "psnr_db"), "table.add gets quantity = Estimate(", "quantity=str(…)"),
    ],
)
def test_a_row_of_wrong_members_is_one_sentence(
    arguments: Any, message: str, hint: str, small: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run(small, tmp_path, compare=lambda self, table, measured: table.add(*arguments))
    assert caught.value.message.startswith(f"study `mine`: {message}")
    assert hint in caught.value.hint


FRAME = pd.DataFrame({"x": [1.0]})


@pytest.mark.parametrize(
    ("returned", "message", "hint"),
    [
        (None, "study `mine`: draw returns None", "yield each Drawing"),
        (Drawing("a", Figure(), FRAME), "study `mine`: draw returns Drawing", "yield each Drawing"),
        ([Figure()], "study `mine`: output 1 of draw is Figure", "Drawing(name, figure, numbers)"),
        ([("a", Figure())], "study `mine`: output 1 of draw is (str, Figure)", "Drawing(name, figure, numbers)"),
        (
            [Table("a", FRAME), Drawing("b", FRAME, Figure())],  # type: ignore[arg-type]
            "study `mine`: output 2 of draw is a Drawing with figure = DataFrame",
            "Drawing(name, figure, numbers): `figure` is a Figure",
        ),
        (
            [Drawing("b", Figure(), [1, 2])],  # type: ignore[arg-type]
            "study `mine`: output 1 of draw is a Drawing with numbers = list",
            "Drawing(name, figure, numbers): `numbers` is a DataFrame, or None",
        ),
        (
            [Table("a", FRAME["x"])],  # type: ignore[arg-type]
            "study `mine`: output 1 of draw is a Table with frame = Series of float64 [1]",
            "Table(name, frame): `frame` is a DataFrame",
        ),
        (
            [Text("a.txt", 3)],  # type: ignore[arg-type]
            "study `mine`: output 1 of draw is a Text with text = int",
            "Text(file_name, text): `text` is a str",
        ),
        ([Text("../a.txt", "x")], "study `mine`: output 1 of draw is called `../a.txt`", "without a folder"),
    ],
)
def test_a_wrong_output_is_one_sentence_and_nothing_is_written(
    returned: Any, message: str, hint: str, small: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run(small, tmp_path, draw=lambda self, recipe, measured: returned)
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3, "study `mine`: levels returns int"),
        (FRAME, "study `mine`: levels returns no column `condition`"),
    ],
)
def test_wrong_levels_are_one_sentence(returned: Any, message: str, small: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(small, tmp_path, levels=lambda self, measured: returned)
    assert caught.value.message == message
    assert "condition, scheme, quantity, ours, ours_low, ours_high" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ({"name": "others"}, "study `mine`: its class Mine has the name `others`", 'name = "mine"'),
        (
            {"Options": {"packets": 3}},
            "study `mine`: Options is {'packets': 3}",
            "class Options(netsim.StudyOptions), with one annotated field for each option",
        ),
        (
            {"compare": lambda self, measured: None},
            "study `mine` can't be called as netsim calls it: <lambda>(self, measured)",
            "def compare(self, table, measured)",
        ),
    ],
)
def test_a_class_at_fault_is_refused_at_registration_and_where_it_is_used(
    body: Any, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type("Mine", (Mine,), body)
    with pytest.raises(InputError) as caught:
        register("study", "mine")(kind)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    monkeypatch.setitem(registry._registered["study"], "mine", kind)  # as an entry point gives it
    with pytest.raises(InputError) as caught:
        study_class("mine")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_class_without_a_name_or_a_method_is_refused() -> None:
    body = {"measure": Mine.measure, "compare": Mine.compare}
    with pytest.raises(InputError) as caught:
        register("study")(type("Half", (netsim.Study,), body))
    assert caught.value.message == "study `Half`: its class Half has no attribute `name`"
    with pytest.raises(InputError) as caught:
        register("study")(type("Half", (netsim.Study,), {"name": "half", "measure": Mine.measure}))
    assert caught.value.message == "study `half`: its class Half has no method `compare`"
    assert caught.value.hint == "def compare(self, table, measured)"


def test_a_plan_that_is_not_there_is_one_sentence(small: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(small, tmp_path, measure=lambda self, context: context.plan)
    assert caught.value.message == "study `mine` asks for a plan, and its recipe has no scenario"
    assert caught.value.hint == "`scenario: scenario.yaml` in the recipe, or needs_scenario = True in the study"


@pytest.mark.parametrize("method", ["measure", "compare", "draw"])
def test_a_bug_inside_a_study_keeps_a_traceback_that_ends_in_its_file(
    method: str, small: MakeRecipe, tmp_path: Path
) -> None:
    def bug(self: Any, first: Any, second: Any = None) -> Any:
        return {}["x"]

    with pytest.raises(KeyError) as caught:
        run(small, tmp_path, **{method: bug})
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "bug"

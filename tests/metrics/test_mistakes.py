"""A mistake in a metric of somebody else is one sentence that names the metric; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.metrics.conformance import check_metric
from netsim.registry import register

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


def plan(**keys: Any) -> Any:
    given = {"images": {"samples": ["coffee"]}, "codecs": [{"jpeg": {"quality": 30}}], "channels": ["EP4"], **keys}
    return netsim.plan(given, engine="array", trials=2, slots=1)


def level(reference: Any, images: Any) -> Any:
    return images.reshape(len(images), -1).mean(axis=1)


def test_a_metric_with_one_argument_is_refused_at_registration() -> None:
    with pytest.raises(InputError) as caught:
        register("metric", "level")(lambda images: images)
    assert caught.value.message == "metric `level` can't be called as netsim calls it: <lambda>(images)"
    assert caught.value.hint == "def level(reference, images)"


@pytest.mark.parametrize(
    ("attribute", "value", "hint"),
    [
        ("failed", "zero", "the number that a failed image counts as"),
        ("failed", [0.0], "the number that a failed image counts as"),
        ("failed", True, "the number that a failed image counts as"),
        ("failed", float("nan"), "without it failed slots are left out of the means"),
        ("lowest", "0", "the smallest value that the metric can have"),
        ("highest", "1", "the largest value that the metric can have"),
        ("higher_is_better", "yes", "True or False"),
        ("higher_is_better", 1, "True or False"),
        ("smallest_side_pixels", 8.5, "a whole number of pixels"),
    ],
)
def test_an_attribute_of_another_type_is_refused_before_anything_runs(attribute: str, value: Any, hint: str) -> None:
    metric = register("metric", "level")(lambda reference, images: level(reference, images))
    setattr(metric, attribute, value)
    with pytest.raises(InputError) as caught:
        plan(metrics=["psnr_db", "level"])
    assert caught.value.message == f"metric `level`: {attribute} is {value!r}"
    assert hint in caught.value.hint
    assert caught.value.where == "metrics[1]"
    with pytest.raises(InputError, match=f"{attribute} is "):
        CliRunner().invoke(app, ["check-metric", "level"], catch_exceptions=False)


def test_attributes_of_numpys_types_are_taken() -> None:
    metric: Any = register("metric", "level")(lambda reference, images: level(reference, images))
    metric.failed, metric.lowest, metric.higher_is_better = np.float32(0), np.int64(0), np.bool_(True)
    assert plan(metrics=["psnr_db", "level"]).metrics == ("psnr_db", "level")


def test_the_function_itself_in_a_scenario_is_refused_with_its_way_in() -> None:
    with pytest.raises(InputError) as caught:
        plan(metrics=["psnr_db", level])
    assert caught.value.where == "metrics[1]"
    assert caught.value.hint == 'register it: netsim.register("metric", "level")(level); then give its name: "level"'
    register("metric", "brightness")(level)
    with pytest.raises(InputError) as caught:
        plan(metrics=["psnr_db", level])
    assert caught.value.hint == 'its name: "brightness"'


def test_the_checker_takes_the_function() -> None:
    with pytest.raises(InputError) as caught:
        check_metric("level")  # type: ignore[arg-type]
    assert caught.value.message == "check_metric takes a function, not 'level'"
    assert caught.value.hint == "the function itself, not its name"


def test_a_bug_inside_a_metric_keeps_a_traceback_that_ends_in_its_file() -> None:
    def bug(reference: Any, images: Any) -> Any:
        return {}["x"]

    register("metric", "level")(bug)
    with pytest.raises(KeyError) as caught:
        netsim.run(plan(metrics=["level"], channels=[{"loss_rate": 0}]))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "bug"
    assert caught.value.__notes__ == ["in metric `level` of codec `jpeg` at quality=30, image `coffee`"]

"""A mistake in a figure of somebody else is one sentence that names the figure; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.registry import register

pytestmark = pytest.mark.usefixtures("empty_registry")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
        keys: dict[str, Any] = {"codecs": [{"jpeg": {"quality": 30}}], "channels": ["EP4"], "engine": "array"}
        yield netsim.run({"images": {"samples": ["coffee"]}, "trials": 2, "slots": 1, **keys}, out=folder / "run")


def refused(call: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value


NUMBERS = pd.DataFrame({"x": [1]})


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ((Figure(), NUMBERS), "(Figure, DataFrame)"),
        (Figure(), "Figure"),
        (None, "None"),
        ((NUMBERS, Figure().subplots()), "(DataFrame, Axes)"),
        ((NUMBERS, Figure(), 1), "(DataFrame, Figure, int)"),
        ((NUMBERS["x"], Figure()), "(Series of int64 [1], Figure)"),
    ],
)
def test_a_wrong_return_value_is_one_sentence(returned: Any, words: str, run: Any) -> None:
    register("figure", "mine")(lambda log, summary: returned)
    error = refused(lambda: run.plot("mine"))
    assert error.message == f"figure `mine` returns {words}"
    assert error.hint.endswith("(pandas.DataFrame, matplotlib.figure.Figure)")


def test_a_function_of_other_arguments_is_refused_at_registration() -> None:
    error = refused(lambda: register("figure", "mine")(lambda log, *, ax=None: None))
    assert error.message == "figure `mine` can't be called as netsim calls it: <lambda>(log, *, ax=None)"
    assert error.hint == "def mine(log, summary)"


def test_an_option_that_is_misspelt_has_the_nearest_one_as_hint(run: Any) -> None:
    register("figure", "mine")(lambda log, summary, *, channel=None, ax=None: (NUMBERS, Figure()))
    error = refused(lambda: run.plot("mine", chanel="EP4"))
    assert error.message == "the mine figure has no option `chanel`"
    assert error.hint == "did you mean `channel`? known: channel"
    error = refused(lambda: run.plot("radar", low_bp=0.1))
    assert error.hint == "did you mean `low_bpp`? known: high_bpp, highlight, low_bpp"
    register("figure", "plain")(lambda log, summary: (NUMBERS, Figure()))
    assert refused(lambda: run.plot("plain", channel="EP4")).hint == "it has none"


def test_the_command_line_writes_options_as_flags(run: Any) -> None:
    done = CliRunner().invoke(app, ["plot", "radar", str(run.path), "--channel", "EP4"])
    assert str(done.exception).startswith("the radar figure has no option `--channel`")
    assert "known: --high-bpp, --highlight, --low-bpp" in str(done.exception)


def test_the_function_itself_is_refused_with_its_way_in(run: Any) -> None:
    def mine(log: Any, summary: Any) -> Any:
        return NUMBERS, Figure()

    error = refused(lambda: run.plot(mine))
    assert "is function, not a name" in error.message
    assert error.hint == 'register it: netsim.register("figure", "mine")(mine); then give its name: "mine"'
    register("figure")(mine)
    assert refused(lambda: run.plot(mine)).hint == 'its name: "mine"'


def test_a_bug_inside_a_figure_keeps_a_traceback_that_ends_in_its_file(run: Any, tmp_path: Path) -> None:
    def bug(log: Any, summary: Any) -> Any:
        return log["no such column"]

    def calls(log: Any, summary: Any) -> Any:
        raise TypeError("mine")

    register("figure", "mine")(bug)
    with pytest.raises(KeyError) as caught:
        run.plot("mine")
    assert "bug" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    register("figure", "mine")(calls)
    with pytest.raises(TypeError, match="mine") as failed:
        run.plot("mine")
    assert traceback.extract_tb(failed.value.__traceback__)[-1].name == "calls"

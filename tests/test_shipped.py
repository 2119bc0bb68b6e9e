"""Shipped scenarios and recipes are found by name from every folder; ``netsim init`` copies one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.commands.init import copy_recipe, copy_scenario
from netsim.errors import InputError
from netsim.scenario.load import load_plan
from netsim.shipped import find_scenario, scenario_names
from netsim.studies.recipe import find_recipe, recipe_names

ROOT = Path(__file__).parents[1]
SMALL = "images: {samples: [coffee]}\ncodecs: [{jpeg: {bpp: 0.5}}]\nchannels: [uniform-5]\n"


def test_every_scenario_of_the_repository_is_shipped() -> None:
    assert scenario_names() == sorted(path.stem for path in (ROOT / "scenarios").iterdir())


def test_a_shipped_scenario_is_found_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = load_plan(Path("quickstart"))
    assert (plan.name, plan.seed) == ("quickstart", 7)


def test_validate_and_sweep_take_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["validate", "quickstart"]).exit_code == 0
    refused = CliRunner().invoke(app, ["sweep", "quickstart", "--channels", "EP1", "--codec", "vvc"])
    assert isinstance(refused.exception, InputError)
    assert "the scenario has no codec `vvc`" in str(refused.exception)


def test_a_file_of_the_user_comes_before_a_shipped_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text(SMALL)
    assert find_scenario(Path("quickstart")) == Path("quickstart")
    assert len(load_plan(Path("quickstart")).rows) == 1


def test_a_folder_of_that_name_does_not_hide_a_shipped_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find_scenario(Path("quickstart")).is_file()


@pytest.mark.parametrize("name", ["quikstart", "quickstart.yaml", "scenarios/quickstart.yaml"])
def test_a_missing_file_names_the_nearest_shipped_scenario(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"no scenario file `{re.escape(name)}`") as caught:
        load_plan(Path(name))
    assert "did you mean `quickstart`?" in caught.value.hint


def test_python_takes_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ["images={samples: [coffee]}", "codecs=[{jpeg: {bpp: 0.5}}]", "trials=2"]
    assert netsim.run("quickstart", overrides=overrides).path.name == "quickstart-1"


def test_init_copies_a_scenario_and_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["init", "wlan", "--out", "mine.yaml"])
    assert made.stdout.splitlines()[-1] == "mine.yaml"
    assert (tmp_path / "mine.yaml").read_bytes() == (ROOT / "scenarios" / "wlan.yaml").read_bytes()
    with pytest.raises(InputError, match=r"`mine\.yaml` exists"):
        copy_scenario("quickstart", Path("mine.yaml"))
    assert (tmp_path / "mine.yaml").read_bytes() == (ROOT / "scenarios" / "wlan.yaml").read_bytes()


def test_init_copies_a_recipe_that_reproduce_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["init", "loss-resilient-lic/table1"])
    assert made.stdout.splitlines()[-1] == "experiments/mine/table1"
    assert "netsim reproduce mine/table1" in made.stderr
    files = sorted(path.name for path in (tmp_path / "experiments" / "mine" / "table1").iterdir())
    assert files == ["published.csv", "recipe.yaml", "scenario.yaml"]
    assert find_recipe("mine/table1").title == find_recipe("loss-resilient-lic/table1").title
    with pytest.raises(InputError, match="`experiments/mine/table1` exists"):
        copy_recipe("resicomp/table1")
    with pytest.raises(InputError, match="no recipe `resicomp/tabel1`"):
        copy_recipe("resicomp/tabel1")


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("wlna", None, "no shipped scenario `wlna`"),
        ("../README", None, "no shipped scenario"),
        ("wlan", Path("no/folder.yaml"), "can't write `no/folder.yaml`: No such file"),
        ("wlan", Path("."), "exists|can't write"),
    ],
)
def test_init_refuses(
    name: str, out: Path | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        copy_scenario(name, out)
    assert list(tmp_path.iterdir()) == []


def test_figures_are_listed_by_their_numbers() -> None:
    figures = [name.removeprefix("resicomp/fig") for name in recipe_names() if name.startswith("resicomp/fig")]
    assert figures == ["1", "4", "5", "7", "9", "11", "12", "13", "14", "15", "17", "18", "19", "20"]


def test_recipes_of_the_working_folder_join_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = sorted("/".join(path.parts[-3:-1]) for path in ROOT.glob("experiments/*/*/recipe.yaml"))
    monkeypatch.chdir(tmp_path)
    assert sorted(recipe_names()) == shipped
    for name in ("resicomp/table1", "mine/figure"):
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(
            "title: mine\nsource: s\nstudy: {channels: {channels: [EP1], variants: [corrected]}}\n"
        )
    assert sorted(recipe_names()) == sorted([*shipped, "mine/figure"])
    assert find_recipe("resicomp/table1").title == "mine"
    assert find_recipe("resicomp/fig12").folder == ROOT / "experiments" / "resicomp" / "fig12"

"""Recipes: ours beside the published numbers, from CSV files that say where they come from."""

from pathlib import Path

import pandas as pd
import pytest

from netsim.errors import InputError
from netsim.studies.comparison import COLUMNS, compare_channels, compare_summary
from netsim.studies.recipe import Recipe, find_recipe, recipe_names
from netsim.studies.reproduce import reproduce
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXPERIMENTS.parent)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_read(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.title
    if recipe.scenario is not None:
        assert load_plan(recipe.folder / recipe.scenario, recipe.quick).rows
    for path in recipe.folder.glob("*.csv"):
        assert path.read_text().startswith("# PUBLISHED. Source: ")


def test_table1_says_where_the_paper_disagrees_with_itself(tmp_path: Path) -> None:
    comparison = compare_channels(find_recipe("resicomp/table1"))
    assert list(comparison.columns) == COLUMNS
    rate = comparison[comparison["quantity"] == "loss_rate"].set_index(["condition", "scheme"])
    assert rate.loc[("EP5", "printed"), "difference"] == pytest.approx(0.286, abs=1e-6)
    assert rate.loc[("EP3", "corrected"), "difference"] == pytest.approx(0, abs=1e-12)
    assert pd.isna(rate.loc[("EP3", "printed"), "ours"])
    files = reproduce(find_recipe("resicomp/table1"), False, tmp_path / "out", 1, Reporter())
    assert [path.name for path in files] == ["comparison.csv", "channels.png", "channels.svg", "channels.csv"]
    again = reproduce(find_recipe("resicomp/table1"), False, tmp_path / "out", 1, Reporter())
    assert again[0].parent.name == "out-2"


def _recipe(folder: Path, published: str) -> Recipe:
    (folder / "published.csv").write_text(published)
    return Recipe(
        title="t",
        source="s",
        scenario="s.yaml",
        compare="psnr_db",
        published="published.csv",
        name="paper/figure",
        folder=folder,
    )


def test_published_numbers_stand_beside_ours(tmp_path: Path) -> None:
    recipe = _recipe(
        tmp_path, "# PUBLISHED. Source: a paper.\ncondition,scheme,quantity,published\nEP1,vvc,psnr_db,31.5\n"
    )
    line = {"channel": "EP1", "scheme": "vvc", "operating_point": "qp=37"}
    summary = pd.DataFrame([{**line, "psnr_db": 31.0, "psnr_low": 30.8, "psnr_high": 31.2}])
    [row] = compare_summary(recipe, summary).to_dict("records")
    assert row["published"] == 31.5
    assert row["difference"] == pytest.approx(-0.5)
    assert (row["ours_low"], row["ours_high"]) == (30.8, 31.2)


def test_numbers_without_a_source_are_refused(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "condition,scheme,quantity,published\nEP1,vvc,psnr_db,31.5\n")
    with pytest.raises(InputError, match="published"):
        compare_summary(recipe, pd.DataFrame())


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "# PUBLISHED. Source: a paper.\ncondition,scheme,published\nEP1,vvc,31.5\n")
    with pytest.raises(InputError, match="lacks columns: quantity"):
        compare_summary(recipe, pd.DataFrame())


@pytest.mark.parametrize("compare", ["progressive", "complexity", "channels", "psnr_db"])
def test_a_recipe_says_what_it_lacks(compare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"progressive": "lost", "complexity": "reference", "channels": "channels", "psnr_db": "scenario"}[compare]
    folder = tmp_path / "experiments" / "paper" / "table"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"title: t\nsource: s\ncompare: {compare}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"needs `{lacking}`"):
        find_recipe("paper/table")


def test_unknown_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="fig99"):
        find_recipe("resicomp/fig99")

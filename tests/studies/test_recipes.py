"""Recipes: ours beside the published numbers, from CSV files that say where they come from."""

from pathlib import Path

import pandas as pd
import pytest

from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import COLUMNS, Comparison, certain
from netsim.studies.kinds import study_from_spec
from netsim.studies.recipe import Recipe, find_recipe, recipe_names
from netsim.studies.reproduce import reproduce

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
    found = reproduce(find_recipe("resicomp/table1"), False, tmp_path / "out", 1, Reporter())
    assert list(found.comparison.columns) == COLUMNS
    rate = found.comparison[found.comparison["quantity"] == "loss_rate"].set_index(["condition", "scheme"])
    assert rate.loc[("EP5", "printed"), "difference"] == pytest.approx(0.286, abs=1e-6)
    assert rate.loc[("EP3", "corrected"), "difference"] == pytest.approx(0, abs=1e-12)
    assert pd.isna(rate.loc[("EP3", "printed"), "ours"])
    assert [path.name for path in found.files] == ["comparison.csv", "channels.png", "channels.svg", "channels.csv"]
    again = reproduce(find_recipe("resicomp/table1"), False, tmp_path / "out", 1, Reporter())
    assert again.files[0].parent.name == "out-2"


def _recipe(folder: Path, published: str) -> Recipe:
    (folder / "published.csv").write_text(published)
    return Recipe(
        title="t",
        source="s",
        scenario="s.yaml",
        study=study_from_spec("rate_distortion"),
        published="published.csv",
        name="paper/figure",
        folder=folder,
    )


HEAD = "# PUBLISHED. Source: a paper.\ncondition,scheme,quantity,published\n"


def test_published_numbers_stand_beside_ours(tmp_path: Path) -> None:
    table = Comparison(_recipe(tmp_path, HEAD + "EP1,vvc,psnr_db,31.5\n"))
    table.add("EP1", "vvc", "psnr_db", Estimate(31.0, 30.8, 31.2), operating_point="qp=37")
    [row] = table.frame().to_dict("records")
    assert row["published"] == 31.5
    assert row["difference"] == pytest.approx(-0.5)
    assert (row["ours_low"], row["ours_high"]) == (30.8, 31.2)


def test_what_is_printed_and_not_measured_has_a_row_without_ours(tmp_path: Path) -> None:
    table = Comparison(_recipe(tmp_path, HEAD + "BPG,MLIC,bd_rate_percent,-29.82\nEP1,vvc,psnr_db,31.5\n"))
    table.add("EP1", "vvc", "psnr_db", certain(31.0))
    [_, row] = table.frame().to_dict("records")
    assert (row["condition"], row["scheme"], row["published"]) == ("BPG", "MLIC", -29.82)
    assert pd.isna(row["ours"])
    assert pd.isna(row["difference"])


def test_numbers_without_a_source_are_refused(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "condition,scheme,quantity,published\nEP1,vvc,psnr_db,31.5\n")
    with pytest.raises(InputError, match="published"):
        Comparison(recipe)


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "# PUBLISHED. Source: a paper.\ncondition,scheme,published\nEP1,vvc,31.5\n")
    with pytest.raises(InputError, match="lacks columns: quantity"):
        Comparison(recipe)


def test_a_text_in_place_of_a_published_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't read the published numbers in `.*published\.csv`: .*much"):
        Comparison(_recipe(tmp_path, HEAD + "EP1,vvc,psnr_db,much\n"))


FAULTY = {
    "study: progressive": ("the progressive study needs `lost`", "", "options of the progressive study: lost, "),
    "study: {complexity: {}}": ("the complexity study needs `reference`", "recipe.yaml:3:", "options of"),
    "study: channels": ("the channels study needs `channels`", "", "options of the channels study: channels"),
    "stude: failure": ("unknown key `stude`", "recipe.yaml:3:1  stude", "did you mean `study`?"),
    "scenario: s.yaml": ("a recipe needs `study`", "recipe.yaml:1:1", "study: {NAME: {OPTION: VALUE}}"),
    "study: rate_distortion": ("needs `scenario`", "", "scenario: scenario.yaml"),
    "study: {masked: {shares: [0.5, 1.5]}}": ("not 1.5", "recipe.yaml:3:32", "options of the masked study: "),
    "study: {traces: {bars: range}}": ("the traces study has no option `bars`", "recipe.yaml:3:24", "study: none"),
    "study: {masked: {share: [0.5]}}": ("the masked study has no option `share`", ":3:", "did you mean `shares`?"),
    "study: {failures: {}}": ("no study `failures`", "recipe.yaml:3:8", "did you mean `failure`?"),
    "study: 7": ("study: 7", "recipe.yaml:3:8", "{NAME: {OPTION: VALUE}}"),
    "study: {failure: 7}": ("options of failure: 7", "recipe.yaml:3:18", "a mapping"),
    "study: failure\nscenari: x": ("unknown key `scenari`", "recipe.yaml:4:1", "did you mean `scenario`?"),
    "study: failure\nname: x": ("unknown key `name`", "recipe.yaml:4:1", "known: "),
    "study: failure\nscenario: 3": (
        "scenario is 3: Input should be a valid string",
        "recipe.yaml:4:11",
        "scenario.yaml",
    ),
    "study: failure\nscenario: s.yaml\nquick: trials=3": (
        "quick is 'trials=3': Input should be a valid list",
        "recipe.yaml:5:8",
        "quick: [trials=10]",
    ),
}


@pytest.mark.parametrize("line", FAULTY)
def test_a_faulty_recipe_is_refused(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message, where, hint = FAULTY[line]
    folder = tmp_path / "experiments" / "paper" / "table"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"title: t\nsource: s\n{line}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        find_recipe("paper/table")
    assert message in refused.value.message
    assert where in refused.value.where
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("lines", "file", "where"),
    [
        ("scenario: gone.yaml", "gone.yaml", "recipe.yaml:4:11  scenario"),
        ("scenario: recipe.yaml\npublished: gone.csv", "gone.csv", "recipe.yaml:5:12  published"),
    ],
)
def test_a_file_that_is_missing_is_named_with_its_place(
    lines: str, file: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "experiments" / "paper" / "table"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"title: t\nsource: s\nstudy: failure\n{lines}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        reproduce(find_recipe("paper/table"), False, tmp_path / "out", 1, Reporter())
    assert refused.value.message == f"no file `experiments/paper/table/{file}`"
    assert refused.value.where == f"experiments/paper/table/{where}"
    assert refused.value.hint == "the name of a file in experiments/paper/table"


def test_unknown_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="fig99"):
        find_recipe("resicomp/fig99")

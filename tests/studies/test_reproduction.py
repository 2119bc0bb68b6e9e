"""The page of all recipes: what it says follows from the rows, and a recipe that fails does not stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from netcodecs.classical.jpeg2000 import Jpeg2000
from typer.testing import CliRunner

from netsim.runs.progress import Reporter
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison, certain
from netsim.studies.order import orders
from netsim.studies.reproduce import Reproduced, reproduce
from netsim.studies.reproduction import Failed, reproduce_all, reproduction_markdown
from tests.studies.conftest import MakeRecipe

PUBLISHED = "condition,scheme,quantity,published\nEP1,A,psnr_db,31\nEP1,B,psnr_db,30\nEP1,C,psnr_db,29\n"


def _found(small: MakeRecipe) -> Reproduced:
    recipe = small(PUBLISHED, notes=["A note."])
    table = Comparison(recipe)
    table.add("EP1", "A", "psnr_db", Estimate(30.5, 30.25, 30.75))
    table.add("EP1", "B", "psnr_db", certain(30.875))
    frame = table.frame()
    return Reproduced(recipe, "samples", frame, orders(recipe, frame, None), ("A note.",), ())


def test_numbers_and_orders_as_they_are(small: MakeRecipe) -> None:
    page = reproduction_markdown([_found(small)], full=False)
    assert "| EP1 | A | psnr_db | 30.5 | 30.25 … 30.75 | 31 | -0.5 |" in page
    assert "| EP1 | B | psnr_db | 30.88 | – | 30 | 0.875 |" in page
    assert "| EP1 | C | psnr_db | – | – | 29 | – |" in page
    assert "Of 3 orders: 0 yes, 1 no, 0 not told apart, 2 not measured." in page
    assert "| EP1 | psnr_db | A better than B | by 1 | -0.375 | no |" in page
    assert "| [paper/table](#a-table) | samples | 2 | 0 | 1 | 0 | 2 |" in page
    assert "- A note." in page


def test_what_codecs_say_about_their_results_becomes_notes(
    small: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Jpeg2000, "remark", property(lambda self: "A remark." if "resilient" in self.label else ""), raising=True
    )
    found = reproduce(small(notes=["A note."]), False, tmp_path / "out", 1, Reporter())
    assert found.notes == ("A note.", "A remark.")


def test_an_artefact_without_printed_numbers_says_so(small: MakeRecipe) -> None:
    recipe = small()
    table = Comparison(recipe)
    for number in range(50):
        table.add(f"packet {number}", "A", "bytes", certain(number))
    frame = table.frame()
    page = reproduction_markdown([Reproduced(recipe, "samples", frame, orders(recipe, frame, None), (), ())], full=True)
    assert "The paper prints no numbers for it." in page
    assert "10 further rows in `comparison.csv`." in page
    assert "prints no order" in page


def test_a_recipe_that_fails_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "experiments" / "mine" / "broken"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("title: Broken\nsource: s\nstudy: failure\nscenario: gone.yaml\n")
    page, outcomes = reproduce_all(["mine/broken", "resicomp/table1"], False, tmp_path / "all", 1, Reporter())
    assert [type(one) for one in outcomes] == [Failed, Reproduced]
    text = page.read_text()
    assert "Did not run: no scenario file" in text
    assert "| EP5 | printed | loss_rate | 0.5 | – | 0.214 | 0.286 |" in text
    assert (tmp_path / "all" / "resicomp-table1" / "comparison.csv").is_file()
    from netsim.cli import app

    refused = CliRunner().invoke(app, ["reproduce", "resicomp/table1", "--all"])
    assert refused.exit_code != 0

"""The page of all recipes: what it says follows from the rows, and a recipe that fails does not stop the others."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from netcodecs.classical.jpeg2000 import Jpeg2000
from typer.testing import CliRunner

from netsim.runs.progress import Reporter
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison, certain
from netsim.studies.gallery import preview
from netsim.studies.order import orders
from netsim.studies.rate_distortion import curve_levels
from netsim.studies.reproduce import Reproduced, reproduce
from netsim.studies.reproduction import Failed, reproduce_all, reproduction_markdown, write_page
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


def test_the_page_of_a_folder_shows_small_copies_of_the_figures(small: MakeRecipe, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 1600, 3), dtype=np.uint8)
    drawn = np.full((300, 1600, 3), 255, dtype=np.uint8)
    drawn[100:110] = (0, 114, 178)
    files = []
    for name, pixels in (("course", drawn), ("images", noise), ("third", drawn)):
        files.append(tmp_path / f"{name}.png")
        PIL.Image.fromarray(pixels).save(files[-1])
    found = replace(_found(small), files=(tmp_path / "comparison.csv", *files))
    (tmp_path / "docs" / "page").mkdir(parents=True)
    (tmp_path / "docs" / "page" / "paper-table-old.png").write_bytes(b"")
    write_page(tmp_path / "docs" / "page.md", [found], full=False)
    text = (tmp_path / "docs" / "page.md").read_text()
    assert "![Ours: A table](page/paper-table-course.png)" in text
    assert "![Ours: A table](page/paper-table-images.jpg)" in text
    copies = sorted(path.name for path in (tmp_path / "docs" / "page").iterdir())
    assert copies == ["paper-table-course.png", "paper-table-images.jpg"]
    with PIL.Image.open(tmp_path / "docs" / "page" / "paper-table-course.png") as copy:
        assert copy.size == (720, 135)


A1_DB = 32 + 2 * (2 - 1 / math.log(2))  # the mean of 32 + 2·log2(r / .2) over r from .2 to .4


def test_a_claim_may_be_about_the_best_scheme_of_a_codec() -> None:
    rows = [
        {
            "channel": "EP1",
            "link": "ideal",
            "scheme": scheme,
            "codec": scheme[0],
            "bpp": bpp,
            "psnr_db": level + 10 * bpp,
        }
        for scheme, level in (("a1", 30.0), ("a2", 28.0), ("b1", 29.0))
        for bpp in (0.2, 0.4)
    ]
    frame = pd.DataFrame(rows).assign(psnr_low=lambda f: f["psnr_db"] - 0.1, psnr_high=lambda f: f["psnr_db"] + 0.1)
    levels = curve_levels(frame).set_index("scheme")
    assert list(levels.index) == ["a1", "a2", "b1", "best of a"]
    assert levels.loc["best of a", "ours"] == levels.loc["a1", "ours"] == pytest.approx(A1_DB)
    assert levels.loc["best of a", "ours_low"] == pytest.approx(A1_DB - 0.1)


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
    assert "scenario no file `experiments/mine/broken/gone.yaml`" in text
    assert "| EP5 | printed | loss_rate | 0.5 | – | 0.214 | 0.286 |" in text
    assert (tmp_path / "all" / "resicomp-table1" / "comparison.csv").is_file()
    from netsim.cli import app

    refused = CliRunner().invoke(app, ["reproduce", "resicomp/table1", "--all"])
    assert refused.exit_code != 0


def test_a_small_copy_keeps_the_colours_of_the_curves(tmp_path: Path) -> None:
    """With grids and letters in greys, a palette of 32 made one colour of two curves."""
    from matplotlib.figure import Figure

    colours = [(0, 114, 178), (0, 158, 115), (213, 94, 0), (204, 121, 167)]
    figure = Figure(figsize=(6.6, 3.3), dpi=200)
    for axes in figure.subplots(1, 2):
        axes.grid(visible=True, color="0.87")
        for number, colour in enumerate(colours):
            drawn = {"color": [c / 255 for c in colour], "linewidth": 1.2}
            axes.plot([0, 1, 2], [number, number + 1, number + 0.5], **drawn)
    figure.text(0, 0, "\n".join(["greys of letters, from white to black" * 3] * 4), fontsize=7)
    figure.savefig(tmp_path / "curves.png")
    suffix, content = preview(tmp_path / "curves.png")
    assert suffix == ".png"
    with PIL.Image.open(io.BytesIO(content)) as copy:
        found = np.unique(np.asarray(copy.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for colour in colours:
        assert np.abs(found - colour).max(axis=1).min() <= 20

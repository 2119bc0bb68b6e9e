"""The study that docs/how-to/study.md shows works, registered at run time and named by a recipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import netsim
from netsim.errors import InputError
from netsim.studies.kinds import study_from_spec, study_names
from tests.docs.blocks import blocks_of

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "study.md"


@pytest.fixture
def _page(empty_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's files in a working folder, its study imported."""
    for block in blocks_of(PAGE):
        if block.title:
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("single_loss", None)


@pytest.mark.usefixtures("_page")
def test_the_pages_study_runs_from_its_recipe() -> None:
    import single_loss  # type: ignore[import-not-found]  # noqa: F401

    found = netsim.reproduce("mine/single_loss")
    table = found.comparison.set_index(["condition", "scheme"])["ours"]
    assert len(table) == 2 * 2
    assert table["without packet 2", "jpeg2000 resilient"] >= table["without packet 2", "jpeg2000 prefix"]
    drawn = pd.read_csv(next(path for path in found.files if path.name == "single_loss.csv"))
    assert drawn["psnr_db"].tolist() == pytest.approx(table.tolist())
    assert "single_loss" in study_names()
    with pytest.raises(InputError, match="packets: Input should be greater"):
        study_from_spec({"single_loss": {"packets": 0}})


def test_a_study_is_a_class_with_a_free_name(empty_registry: None) -> None:
    with pytest.raises(InputError, match="study `mine` is"):
        netsim.register("study", "mine")(lambda options: None)
    taken = type("Taken", (netsim.Study,), {"name": "masked"})
    with pytest.raises(InputError, match="there is a study `masked` already"):
        netsim.register("study")(taken)

"""An image while packets come in: what a loss does to a codec that needs all before, and to one that doesn't."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan
from netsim.studies.progressive import (
    ProgressiveOptions,
    ProgressiveTrace,
    progressive_numbers,
    progressive_traces,
    stages,
)
from netsim.studies.recipe import Recipe
from netsim.studies.reproduce import reproduce
from netsim.studies.study import StudyContext
from tests.studies.conftest import MakeRecipe

SCHEMES = [
    "codecs=[{jpeg2000: {bpp: 1.2, packets: 10}}, {jpeg2000: {bpp: 1.2, packets: 10, receiver: resilient}}]",
]


def _traces(recipe: Recipe, tmp_path: Path) -> dict[str, ProgressiveTrace]:
    plan = load_plan(recipe.folder / "scenario.yaml", SCHEMES)
    with Store(tmp_path / "store.sqlite") as store:
        options: ProgressiveOptions = recipe.study.options
        place = StudyContext(recipe, plan, tmp_path).image_place(options.image)
        return {trace.scheme: trace for trace in progressive_traces(options, plan, CodecCache(store), place)}


def test_prefix_stands_still_after_a_loss_and_resilient_goes_on(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"progressive": {"lost": [3, 6], "lost_of": {"jpeg2000 prefix": [3]}}})
    traces = _traces(recipe, tmp_path)
    prefix, resilient = traces["jpeg2000 prefix"], traces["jpeg2000 resilient"]
    packets = len(prefix.psnr_db) - 1
    assert (prefix.lost, resilient.lost) == ((3,), (3, 6))
    assert prefix.stages == resilient.stages == stages([3, 6], packets)
    for trace in (prefix, resilient):
        assert (np.diff(trace.whole_db) > -0.5).all()
        assert (trace.psnr_db[:3] == trace.whole_db[:3]).all()
        assert trace.psnr_db[3] == trace.psnr_db[2]
    assert (prefix.psnr_db[3:] == prefix.psnr_db[2]).all()
    assert resilient.psnr_db[-1] > resilient.psnr_db[2] + 0.5
    assert resilient.psnr_db[-1] < resilient.whole_db[-1] - 0.1
    assert prefix.image == "a"


def test_the_images_shown_have_the_psnr_stated(small: MakeRecipe, tmp_path: Path) -> None:
    from netsim.images import read_image
    from netsim.metrics.psnr import psnr_db

    trace = _traces(small(study={"progressive": {"lost": [2], "image": "b"}}), tmp_path)["jpeg2000 resilient"]
    assert trace.image == "b"
    reference = read_image(tmp_path / "images" / "b.png")
    for count, image in zip(trace.stages, trace.images, strict=True):
        assert image is not None
        assert psnr_db(reference, image[None])[0] == pytest.approx(trace.psnr_db[count], abs=1e-9)


def test_files_and_numbers(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"progressive": {"lost": [3, 6]}}, quick=SCHEMES)
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    assert [path.name for path in files] == [
        "comparison.csv",
        "progressive.png",
        "progressive_curve.png",
        "progressive_curve.svg",
        "progressive_curve.csv",
    ]
    assert (tmp_path / "out" / "manifest.json").is_file()
    comparison, curve = pd.read_csv(files[0]), pd.read_csv(files[-1])
    assert len(comparison) == 2 * 4
    assert comparison["condition"].iloc[2] == "a, after packet 8, lost: 3, 6"
    shown = curve[curve["shown"]]
    assert list(shown["psnr_db"].round(6)) == list(comparison["ours"].round(6))
    assert set(curve["trace"]) == {"loss", "no loss"}
    assert (curve[curve["lost"]]["packet"].unique() == [3, 6]).all()


def test_an_image_that_cannot_be_shown_has_no_psnr() -> None:
    nothing = np.full(4, np.nan)
    trace = ProgressiveTrace("a", "x", "bpp=1", 1.0, (1,), nothing, nothing, (0, 2, 3), (None, None, None))
    assert progressive_numbers([trace])["psnr_db"].isna().all()


def test_too_few_packets_and_unknown_schemes_are_told(small: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="packet 40 is to be lost, but only"):
        _traces(small(study={"progressive": {"lost": [40]}}), tmp_path)
    with pytest.raises(InputError, match="lost_of names `jpeg`"):
        _traces(small(study={"progressive": {"lost": [3], "lost_of": {"jpeg": [1]}}}), tmp_path)
    assert stages([3, 6], 7) == (2, 5, 7)
    with pytest.raises(InputError, match="lost packets"):
        stages([6, 3], 10)

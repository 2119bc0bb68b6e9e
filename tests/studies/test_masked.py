"""Shares of lost packets: which are lost, what is left of the image, ours beside the paper's."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan
from netsim.studies.comparison import Comparison
from netsim.studies.masked import (
    Masked,
    examples,
    masked_differences,
    masked_masks,
    masked_qualities,
    masked_summary,
)
from netsim.studies.recipe import Recipe
from netsim.studies.reproduce import reproduce
from tests.studies.conftest import MakeRecipe

PREFIX, RESILIENT = "jpeg2000 prefix", "jpeg2000 resilient"
SCHEMES = [
    "codecs=[{jpeg2000: {bpp: 1.2, packets: 10}}, {jpeg2000: {bpp: 1.2, packets: 10, receiver: resilient}}]",
    "trials=4",
]
PUBLISHED = "condition,scheme,quantity,published\n50 %,Theirs,psnr_db,20.5\n"


def _qualities(recipe: Recipe, tmp_path: Path) -> pd.DataFrame:
    plan = load_plan(recipe.folder / "scenario.yaml", SCHEMES)
    with Store(tmp_path / "store.sqlite") as store:
        return masked_qualities(recipe.study.options.shares, plan, CodecCache(store))


def test_a_greater_share_loses_what_a_smaller_one_lost() -> None:
    protected = np.array([True] + [False] * 20)
    shares = [0.0, 0.01, 0.25, 0.5, 0.99]
    masks = masked_masks(protected, shares, [3, 1])
    assert (~masks).sum(axis=1).tolist() == [0, 1, 5, 10, 19]  # one at least, and one stays
    assert masks[:, 0].all()
    for less, more in pairwise(masks):
        assert (more <= less).all()
    assert (masked_masks(protected, shares, [3, 1]) == masks).all()
    assert (masked_masks(protected, shares, [3, 2]) != masks).any()


def test_every_packet_is_lost_as_often() -> None:
    masks = np.stack([masked_masks(np.zeros(8, dtype=bool), [0.5], [seed])[0] for seed in range(2000)])
    assert np.abs(masks.mean(axis=0) - 0.5).max() < 0.05


def test_quality_falls_with_the_share_and_both_schemes_lose_the_same(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"masked": {"shares": [0.3, 0.5, 0.8]}})
    qualities = _qualities(recipe, tmp_path)
    assert len(qualities) == 2 * 2 * 4 * 4  # schemes, images, draws, shares with 0
    summary = masked_summary(qualities, 13.0)
    for scheme in (PREFIX, RESILIENT):
        mine = summary[summary["scheme"] == scheme]
        assert mine["share"].tolist() == [0.0, 0.3, 0.5, 0.8]
        assert (np.diff(mine["psnr_db"]) < 0).all()
    wide = qualities.pivot(index=["image", "draw", "share"], columns="scheme", values=["lost", "psnr_db"])
    assert (wide["lost", PREFIX] == wide["lost", RESILIENT]).all()
    whole = wide.xs(0.0, level="share")["psnr_db"]
    assert whole.nunique().max() == 2  # nothing lost: each image's own, whatever the draw


def test_differences_are_paired_by_image_and_draw(small: MakeRecipe, tmp_path: Path) -> None:
    qualities = _qualities(small(study={"masked": {"shares": [0.5]}}), tmp_path)
    frame = masked_differences(qualities, [[RESILIENT, PREFIX]], 13.0).set_index("share")
    row = frame.loc[0.5]
    half = qualities[qualities["share"] == 0.5]
    wide = half.pivot(index=["image", "draw"], columns="scheme", values="psnr_db").fillna(13.0)
    apart = wide[RESILIENT] - wide[PREFIX]
    assert row["difference_db"] == pytest.approx(apart.mean())
    for unit, low, high in (("draw", "difference_low", "difference_high"), ("image", "images_low", "images_high")):
        means = apart.groupby(unit).mean()
        reach = t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        assert (row[low], row[high]) == pytest.approx((means.mean() - reach, means.mean() + reach))
    with pytest.raises(InputError, match="`vvc` is not one scheme"):
        masked_differences(qualities, [["vvc", PREFIX]], 13.0)


def test_a_draw_without_an_image_counts_as_a_failure() -> None:
    rows = [["a", "x", "p", draw, 0.5, 0.5, 1.0, value] for draw, value in enumerate([30.0, np.nan])]
    columns = ["scheme", "image", "operating_point", "draw", "share", "lost", "bpp", "psnr_db"]
    [row] = masked_summary(pd.DataFrame(rows, columns=columns), 13.0).to_dict("records")
    assert row["psnr_db"] == pytest.approx(21.5)


def test_an_image_without_any_error_counts_as_100_db() -> None:
    columns = ["scheme", "image", "operating_point", "draw", "share", "lost", "bpp", "psnr_db"]
    rows = [["a", "x", "p", draw, 0.0, 0.0, 1.0, np.inf] for draw in range(2)]
    rows += [["b", "x", "p", draw, 0.0, 0.0, 1.0, 40.0] for draw in range(2)]
    qualities = pd.DataFrame(rows, columns=columns)
    found = masked_summary(qualities, 13.0).set_index("scheme")
    assert found.loc["a", ["psnr_db", "psnr_low", "psnr_high"]].tolist() == [100.0, 100.0, 100.0]
    [row] = masked_differences(qualities, [["a", "b"]], 13.0).to_dict("records")
    assert (row["difference_db"], row["difference_low"], row["difference_high"]) == (60.0, 60.0, 60.0)


def test_files_and_published_numbers(small: MakeRecipe, tmp_path: Path) -> None:
    options = {"shares": [0.2, 0.5], "shown": [0.5], "difference": [[RESILIENT, PREFIX]], "image": "b"}
    recipe = small(PUBLISHED, {"masked": options}, paper_names={RESILIENT: "Theirs"}, quick=SCHEMES)
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    names = ["comparison.csv", "draws.csv", "masked.png", "masked.svg", "masked.csv", "difference.csv"]
    assert [path.name for path in files] == [*names, "masked_images.png"]
    comparison = pd.read_csv(files[0])
    known = comparison.dropna(subset=["published"])
    assert known["condition"].tolist() == ["50 %"]
    assert known["scheme"].tolist() == [RESILIENT]
    assert known["operating_point"].tolist() == ["bpp=1.2"]
    assert known["difference"].iloc[0] == pytest.approx(known["ours"].iloc[0] - 20.5)
    assert set(comparison["condition"]) == {"0 %", "20 %", "50 %"}


def test_the_images_shown_are_those_of_the_first_draw(small: MakeRecipe, tmp_path: Path) -> None:
    from netsim.metrics.psnr import psnr_db

    recipe = small(study={"masked": {"shares": [0.3, 0.6], "shown": [0.6], "image": "b"}})
    plan = load_plan(recipe.folder / "scenario.yaml", SCHEMES)
    with Store(tmp_path / "store.sqlite") as store:
        original, seen = examples(recipe.study.options, plan, CodecCache(store), 1)
        qualities = masked_qualities([0.3, 0.6], plan, CodecCache(store))
    assert [(one.scheme, one.share) for one in seen] == [(PREFIX, 0.6), (RESILIENT, 0.6)]
    first = qualities.query("image == 'b' and draw == 0 and share == 0.6").set_index("scheme")["psnr_db"]
    shown = [one for one in seen if one.image is not None]
    assert shown
    for one in shown:
        assert one.image is not None
        assert one.lost is None  # JPEG 2000 has no tokens
        assert one.psnr_db == pytest.approx(first[one.scheme])
        assert psnr_db(original, one.image[None])[0] == pytest.approx(one.psnr_db, abs=1e-9)


def test_a_stream_of_one_packet_is_refused(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"masked": {"shares": [0.5]}})
    plan = load_plan(recipe.folder / "scenario.yaml", ["codecs=[{jpeg: {quality: 30, packets: 1}}]", "link=null"])
    with Store(tmp_path / "store.sqlite") as store, pytest.raises(InputError, match="packets that can be lost"):
        masked_qualities(recipe.study.options.shares, plan, CodecCache(store))


def test_rows_carry_the_summary(small: MakeRecipe) -> None:
    line = {"scheme": "x", "operating_point": "q=1", "share": 0.25, "psnr_db": 30.0, "psnr_low": 29, "psnr_high": 31}
    recipe = small(study={"masked": {"shares": [0.25]}})
    table = Comparison(recipe)
    recipe.study.compare(table, SimpleNamespace(summary=pd.DataFrame([line])))
    [row] = table.frame().to_dict("records")
    assert isinstance(recipe.study, Masked)
    assert (row["condition"], row["scheme"], row["operating_point"], row["ours"]) == ("25 %", "x", "q=1", 30.0)


def test_an_image_that_is_shown_must_be_measured(small: MakeRecipe) -> None:
    with pytest.raises(InputError, match=r"shown: 0.3 is not among the shares"):
        small(study={"masked": {"shares": [0.25], "shown": [0.3]}})


def test_results_without_a_sweep_replace_earlier_ones_only_where_asked(small: MakeRecipe, tmp_path: Path) -> None:
    recipe, out = small(study={"masked": {"shares": [0.5]}}), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("all of it")
    for exist, message in (("overwrite", "no run of netsim"), ("fail", "exists"), ("other", "not a way")):
        with pytest.raises(InputError, match=message):
            reproduce(recipe, False, out, 1, Reporter(), exist=exist)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    (out / "thesis.tex").unlink()
    folders = []
    for exist in ("fail", "number", "overwrite"):
        folders.append(reproduce(recipe, False, out, 1, Reporter(), exist=exist).files[0].parent.name)
        assert (out / "old.csv").exists() == (exist == "number")
        (out / "old.csv").touch()
    assert folders == ["out", "out-2", "out"]
    assert not (out / "parts").exists()

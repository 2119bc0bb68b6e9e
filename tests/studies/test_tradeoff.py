"""Efficiency against resilience, and BD-rates beside published curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.figures import radar, rd
from netsim.runs.progress import Reporter
from netsim.studies.comparison import Comparison
from netsim.studies.pairwise import bd_rates
from netsim.studies.published import published_curves
from netsim.studies.rate_distortion import add_bd_rates
from netsim.studies.reproduce import reproduce
from netsim.studies.tradeoff import TradeoffOptions, tradeoff_numbers
from tests.figures.synthetic import sampled_log
from tests.studies.conftest import MakeRecipe

ASKED = TradeoffOptions(channel="EP1", anchor="vvc")
CURVE = "no loss,BPG,{i},bpp,{rate}\nno loss,BPG,{i},psnr_db,{psnr}\n"
CURVES = "condition,scheme,point,quantity,published\n" + "".join(
    CURVE.format(i=i, rate=rate, psnr=30 + 8 * np.log2(rate)) for i, rate in enumerate([0.2, 0.5, 1.0, 2.0])
)
AGAINST = {"channel": "no loss", "pairs": [["BPG (published)", "jpeg2000 prefix"], ["jpeg2000 prefix"] * 2]}


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    channels = ["EP1", "EP4", "EP6"]
    return sampled_log(["vvc", "vvc + 30% FEC", "hevc"], channels, (0.2, 0.28, 0.35, 0.5), trials=4, slots=8)


def _numbers(log: pd.DataFrame) -> pd.DataFrame:
    return tradeoff_numbers(log, summarise(log, 13.0), ASKED, 13.0).set_index("scheme")


def test_resilience_is_the_mean_of_the_radars_other_spokes(log: pd.DataFrame) -> None:
    found = _numbers(log)
    spokes = radar.numbers(summarise(log, 13.0), 0.3, 0.4).set_index(["channel", "scheme"])["psnr_db"]
    for scheme in ("vvc", "vvc + 30% FEC"):
        mean = (spokes["EP4", scheme] + spokes["EP6", scheme]) / 2
        assert found.loc[scheme, "psnr_db"] == pytest.approx(mean)
        assert found.loc[scheme, "channels"] == 2
    assert (found["covered"] == "range").all()


def test_efficiency_is_the_bd_rate_in_the_channel_asked_for() -> None:
    log = sampled_log(["vvc", "hevc"], ["EP1", "EP4"], (0.2, 0.28, 0.35, 0.5), trials=4, slots=8)
    quality = (25 + 6 * np.log2(log["bpp"] / np.where(log["scheme"] == "hevc", 1.2, 1.0))).where(
        log["channel"] == "EP1"
    )
    found = _numbers(log.assign(status="full", psnr_db=quality.fillna(20.0)))
    assert found.loc["vvc", "bd_rate_percent"] == pytest.approx(0.0, abs=1e-9)
    assert found.loc["hevc", "bd_rate_percent"] == pytest.approx(20.0, abs=1e-6)


@pytest.mark.parametrize("rates", [(0.2, 0.28, 0.35, 0.5, 0.7), (0.2, 0.28, 0.35, 0.5)])
def test_operating_points_of_one_stream_are_one_point(rates: tuple[float, ...]) -> None:
    """``bpp: [0.7, 0.9]`` of a codec that stops at .7: the curve and its BD-rate are the same; three points do."""
    log = sampled_log(["vvc", "hevc"], ["EP1"], rates, trials=1, slots=4).assign(status="full")
    log["psnr_db"] = 25 + 6 * np.log2(log["bpp"] / np.where(log["scheme"] == "hevc", 1.2, 1.0))
    clipped = log.assign(bpp=log["bpp"].clip(upper=rates[-2]))
    clipped["psnr_db"] = 25 + 6 * np.log2(clipped["bpp"] / np.where(clipped["scheme"] == "hevc", 1.2, 1.0))
    found = bd_rates(clipped, "EP1", [["vvc", "hevc"]], 13.0)
    assert found["bd_rate_percent"].tolist() == pytest.approx([20.0], abs=1e-6)


def test_several_links_are_refused(log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="a tradeoff over 2 links: ideal, slow"):
        _numbers(pd.concat([log, log.assign(link="slow")]))


def test_a_curve_outside_the_range_has_no_resilience(log: pd.DataFrame) -> None:
    cut = log[~((log["scheme"] == "hevc") & (log["channel"] != "EP1") & (log["bpp"] > 0.25))]
    found = _numbers(cut)
    assert np.isnan(found.loc["hevc", "psnr_db"])
    assert found.loc["hevc", "covered"] == "none"


def test_both_coordinates_stand_beside_the_papers(log: pd.DataFrame, small: MakeRecipe) -> None:
    study = {"tradeoff": {"channel": "EP1", "anchor": "vvc"}}
    recipe = small("condition,scheme,quantity,published\n,BPG,psnr_db,25\n", study, paper_names={"hevc": "BPG"})
    comparison = Comparison(recipe)
    recipe.study.compare(comparison, tradeoff_numbers(log, summarise(log, 13.0), ASKED, 13.0))
    table = comparison.frame().set_index(["scheme", "quantity"])
    assert table.loc[("hevc", "psnr_db"), "published"] == 25
    assert pd.isna(table.loc[("vvc", "psnr_db"), "published"])
    assert table.loc[("vvc", "bd_rate_percent"), "condition"] == "no loss, against vvc"


def test_a_tradeoff_writes_its_figure(small: MakeRecipe, tmp_path: Path) -> None:
    study = {"tradeoff": {"channel": "no loss", "anchor": "jpeg2000 prefix", "high_bpp": 1.0}}
    files = reproduce(small(study=study, quick=["trials=2"]), False, tmp_path / "out", 1, Reporter()).files
    assert [path.name for path in files] == ["comparison.csv", "tradeoff.png", "tradeoff.svg", "tradeoff.csv"]
    numbers = pd.read_csv(files[-1]).set_index("scheme")
    assert numbers.loc["jpeg2000 prefix", "bd_rate_percent"] == pytest.approx(0, abs=1e-6)
    assert numbers["psnr_db"].between(13, 40).all()


def _with_curves(small: MakeRecipe, folder: Path, text: str = CURVES) -> dict[str, str]:
    (folder / "curves.csv").write_text("# PUBLISHED. Source: a paper.\n" + text)
    return {"curves": "curves.csv"}


def test_published_curves_are_read_point_by_point(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"rate_distortion": {"bd_rate": AGAINST}})
    curves = published_curves(recipe, _with_curves(small, tmp_path)["curves"])
    assert curves["scheme"].unique().tolist() == ["BPG (published)"]
    assert curves["bpp"].tolist() == [0.2, 0.5, 1.0, 2.0]
    assert published_curves(recipe, None).empty
    keys = _with_curves(small, tmp_path, CURVES + "no loss,BPG,9,bpp,3\n")
    with pytest.raises(InputError, match="point 9 of BPG has no psnr_db"):
        published_curves(recipe, keys["curves"])


def test_curves_that_netsim_has_stand_in_the_channels_asked_for(small: MakeRecipe) -> None:
    recipe = small(study={"rate_distortion": {"bd_rate": AGAINST}})
    curves = published_curves(recipe, None, ["bpg", "vtm"], ["no loss", "EP4"])
    assert curves.groupby("scheme")["channel"].nunique().to_dict() == {"BPG (published)": 2, "VTM (published)": 2}
    with pytest.raises(InputError, match="no published points of `mlic`"):
        published_curves(recipe, None, ["mlic"], ["no loss"])


def test_bd_rates_against_published_curves() -> None:
    log = sampled_log(["vvc"], ["EP4"], (0.2, 0.28, 0.35, 0.5), trials=1, slots=4).assign(status="full")
    log["psnr_db"] = 20 + 6 * np.log2(log["bpp"])
    theirs = log.drop_duplicates("bpp")[["channel", "operating_point", "bpp", "psnr_db"]]
    theirs = pd.concat(
        [theirs.assign(scheme="BPG (published)"), theirs.assign(scheme="X (published)", bpp=theirs["bpp"] * 0.8)]
    )
    pairs = [["BPG (published)", "vvc"], ["BPG (published)", "X (published)"]]
    same = bd_rates(log, "EP4", pairs, 13.0, theirs)
    assert same["bd_rate_percent"].tolist() == pytest.approx([0.0, -20.0], abs=1e-6)
    assert same["images"].tolist() == [0, 0]
    others = bd_rates(log, "EP4", pairs, 13.0, theirs, same_images=False)
    assert np.isnan(others["bd_rate_percent"][0])
    assert "other images" in others["why_not"][0]
    assert others["bd_rate_percent"][1] == pytest.approx(-20.0, abs=1e-6)  # theirs against theirs


def test_bd_rates_stand_beside_the_printed_ones(small: MakeRecipe) -> None:
    published = "condition,scheme,quantity,published\nBPG,Theirs,bd_rate_percent,-27.9\n"
    recipe = small(published, {"rate_distortion": {"bd_rate": AGAINST}}, paper_names={"ours": "Theirs"})
    rates = pd.DataFrame([{"anchor": "BPG (published)", "scheme": "ours", "bd_rate_percent": -20.0}])
    table = Comparison(recipe)
    add_bd_rates(table, rates)
    [row] = table.frame().to_dict("records")
    assert (row["condition"], row["published"]) == ("against BPG (published)", -27.9)
    assert row["difference"] == pytest.approx(7.9)


@pytest.mark.parametrize("same", [True, False])
def test_published_curves_are_drawn_for_the_same_images_only(small: MakeRecipe, tmp_path: Path, same: bool) -> None:
    study = {"rate_distortion": {"bd_rate": AGAINST, "figure": "rd", **_with_curves(small, tmp_path)}}
    recipe = small(study=study, paper_images=None if same else "kodak", quick=["trials=1"])
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    assert [path.name for path in files] == ["comparison.csv", "rd.png", "rd.svg", "rd.csv", "bd_rate.csv"]
    drawn, rates = pd.read_csv(files[3]), pd.read_csv(files[4])
    assert ("BPG (published)" in set(drawn["scheme"])) == same
    assert rates["bd_rate_percent"].notna().tolist() == [same, True]


def test_published_points_keep_to_their_channel(log: pd.DataFrame) -> None:
    theirs = pd.DataFrame([["EP4", "X (published)", "0", 0.3, 30.0]])
    theirs.columns = pd.Index(["channel", "scheme", "operating_point", "bpp", "psnr_db"])
    numbers = rd.numbers(summarise(log, 13.0), published=theirs)
    assert numbers[numbers["published"]]["condition"].tolist() == ["EP4"]
    figure = rd.draw(numbers)
    assert "X (published)" in [text.get_text() for text in figure.legends[0].get_texts()]
    drawn = {tuple(line.get_xdata()) for panel in figure.axes for line in panel.lines}
    assert (0.3,) in drawn

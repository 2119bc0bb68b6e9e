"""Published curves: the points of the file, refusals with a reason, and how figures, plots and scenarios take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netsim
from netsim.analysis.bd_rate import bd_rate_percent
from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.figures.kinds import make
from netsim.published import check_published, published_curves, published_names
from tests.figures.synthetic import sampled_log

SCENARIO = {"images": {"samples": ["coffee"]}, "codecs": [{"jpeg": {"quality": 50}}], "channels": ["EP4"]}


def test_every_curve_is_marked_as_published_and_its_quality_rises_with_its_rate() -> None:
    path = Path(netsim.__file__).parent / "published" / "kodak.csv"
    assert path.read_text(encoding="utf-8").startswith("# PUBLISHED. Source: ")
    for name in published_names():
        curve = published_curves([name])
        assert curve["scheme"].str.endswith(" (published)").all()
        assert curve["source"].str.contains(".json").all()
        assert (np.diff(curve["bpp"]) > 0).all()
        assert (np.diff(curve["psnr_db"]) > 0).all()


@pytest.mark.parametrize(("name", "printed"), [("jointar", -10.64), ("gmm-attn", -17.43), ("elic", -26.85)])
def test_bd_rates_of_the_points_are_near_those_that_resicomp_prints(name: str, printed: float) -> None:
    """Table II of ResiComp, against BPG: an independent use of the same curves."""
    bpg, other = published_curves(["bpg"]), published_curves([name])
    points = [curve[name].tolist() for curve in (bpg, other) for name in ("bpp", "psnr_db")]
    rate = bd_rate_percent(*points)
    assert abs(rate - printed) < 2.5


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["vtn"], "no published curve `vtn`", "did you mean `vtm`"),
        (["vtm", "tcm"], "no published points of `tcm`: its curve is published as a drawing", "with points: bpg"),
        (["mlic"], "-29.82 %", "with points"),
        (["dpict"], "Fig. 14", "with points"),
        (["vtm", "vtm"], "`vtm` is listed twice", "leave one out"),
    ],
)
def test_names_without_points_are_refused_with_the_reason(names: list[str], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        check_published(names)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.key == (len(names) - 1,)


def test_an_rd_figure_draws_published_curves_in_every_panel() -> None:
    log = sampled_log(["jpeg2000 prefix"], ["EP1", "EP4"], trials=2, slots=2)
    numbers, figure = make("rd", log, summarise(log), published=["vtm", "bpg"])
    theirs = numbers[numbers["published"]]
    assert set(theirs["condition"]) == {"EP1", "EP4"}
    for _, part in theirs[theirs["scheme"] == "VTM (published)"].groupby("condition"):
        assert part["bpp"].tolist() == published_curves(["vtm"])["bpp"].tolist()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["jpeg2000 prefix", "VTM (published)", "BPG (published)"]
    assert "over Kodak without loss" in " ".join(figure.legends[0].get_title().get_text().split())


def test_a_scenarios_curves_do_not_change_what_is_run_and_are_the_default_of_its_rd_figure(tmp_path: Path) -> None:
    plain, drawn = netsim.plan(**SCENARIO), netsim.plan(**SCENARIO, published=["vtm"])
    assert plain.run_id == drawn.run_id
    run = netsim.run(drawn, out=tmp_path / "run")
    assert "VTM (published)" in [text.get_text() for text in run.plot("rd").legends[0].get_texts()]
    other = [text.get_text() for text in run.plot("rd", published=["hm"]).legends[0].get_texts()]
    assert "HM (published)" in other
    assert "VTM (published)" not in other


def test_a_scenario_with_an_unknown_curve_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("codecs: [{jpeg: {quality: 50}}]\nchannels: [EP4]\npublished: [vtm, tcm]\n")
    with pytest.raises(InputError, match="no published points of `tcm`") as caught:
        netsim.plan(str(path))
    assert "s.yaml:3:18" in caught.value.where

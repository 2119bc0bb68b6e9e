"""The three commands on a small run, files and messages."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import netsim
from netsim.analysis import winner
from netsim.commands.compare import compare
from netsim.commands.explain import explain
from netsim.commands.plot import plot
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

app = typer.Typer()
for command in (compare, explain, plot):
    app.command()(command)


@pytest.fixture
def run(small_run: netsim.Run, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NETSIM_STORE", str(small_run.path.parent / "store.sqlite"))
    return str(small_run.path)


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_compare_prints_and_writes(run: str, tmp_path: Path, small_run: netsim.Run) -> None:
    arguments = ("compare", run, "jpeg + 30% FEC", "jpeg")
    text = call(*arguments, "--csv", str(tmp_path / "difference.csv"))
    assert "exact" in text
    assert "A slot without an image counts as 13 dB." in text
    rows = json.loads(call(*arguments, "--json"))
    summary = {(row["scheme"], row["channel"]): row["psnr_db"] for _, row in small_run.summary.iterrows()}
    for row in rows:
        expected = summary["jpeg + 30% FEC", row["channel"]] - summary["jpeg", row["channel"]]
        assert row["difference_db"] == pytest.approx(expected, abs=1e-9)
        assert row["pairs"] is None
        assert row["bpp_a"] > row["bpp_b"]
    ratio = max(row["bpp_a"] / row["bpp_b"] for row in rows)
    assert f"Rates differ, by a factor of {ratio:.2f} at most" in text
    assert len(pd.read_csv(tmp_path / "difference.csv")) == len(rows) == 3


def test_compare_names_operating_points_without_a_partner(tmp_path: Path) -> None:
    codecs = [{"jpeg": {"quality": [10, 20, 90]}}, {"jpeg": {"quality": [10, 20], "packets": 4}}]
    run = netsim.run(images={"samples": ["coffee"]}, codecs=codecs, channels=["EP4"], out=tmp_path / "run")
    one, other = dict.fromkeys(run.summary["scheme"])
    text = call("compare", str(run.path), one, other)
    assert "Without a nearest point of the other scheme: A quality=90. --point compares them." in text
    assert "Rates differ" not in text
    assert "Without a nearest" not in call("compare", str(run.path), one, other, "--point", "quality=10")


def test_explain_writes_tables_images_and_figure(run: str, tmp_path: Path) -> None:
    text = call("explain", run, "--image", "a", "--codec", "jpeg2000 resilient", "--out", str(tmp_path / "out"))
    assert "jpeg2000 resilient at bpp=1" in text
    assert "E[received] − E[lost]" in text
    packets = pd.read_csv(tmp_path / "out" / "explain.csv")
    masks = pd.read_csv(tmp_path / "out" / "explain_masks.csv")
    assert packets["channel"].nunique() == 3
    assert len(packets) == 3 * masks["lost"].max()
    assert (masks["worst_db"] <= masks["best_db"]).all()
    assert masks["worst_mask"].str.len().unique().tolist() == [masks["lost"].max()]
    original = np.asarray(Image.open(Path(run).parent / "images" / "a.png"))
    for end in ("worst", "best"):
        for count, expected in enumerate(masks[f"{end}_db"]):
            image = np.asarray(Image.open(tmp_path / "out" / f"lost_{count:02d}_{end}.png"))
            assert psnr_db(original, image[None])[0] == pytest.approx(expected)
    assert {"explain.png", "explain.svg"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_explain_of_a_code_that_fails_has_no_image_there(run: str, tmp_path: Path) -> None:
    text = call("explain", run, "--image", "b", "--codec", "jpeg", "--channel", "EP6", "--out", str(tmp_path))
    assert "each single loss leaves no image, counted as 13 dB" in text
    assert not (tmp_path / "lost_01_worst.png").exists()
    assert (tmp_path / "lost_00_best.png").exists()


@pytest.mark.parametrize(
    ("packets", "link", "way_out"),
    [
        (20, None, "up to 16 of them: set the codec's `packets` to 16 or less, parity included"),
        (5, {"ideal": {"mtu_bytes": 120}}, "the link's packet limit makes more than the codec's `packets`"),
    ],
)
def test_explain_of_too_many_packets_names_the_scheme_and_the_way_out(
    packets: int, link: object, way_out: str, small_run: netsim.Run, tmp_path: Path
) -> None:
    codecs = [{"jpeg": {"quality": 80, "packets": packets, "protection": {"reed-solomon": "30%"}}}]
    images = str(small_run.path.parent / "images" / "a.png")
    run = netsim.run(images=images, codecs=codecs, channels=["EP4"], out=tmp_path / "run", engine="exact", link=link)
    (sent,) = run.log["packets_sent"].unique()
    with pytest.raises(InputError, match=rf"^jpeg \+ 30% FEC at quality=80 sends `a` in {sent} packets") as caught:
        call("explain", str(run.path), "--image", "a", "--codec", "jpeg")
    assert way_out in caught.value.hint


def test_explain_refuses_what_is_not_there(run: str) -> None:
    for arguments, match in (
        (("--image", "aa", "--codec", "jpeg"), "no image `aa`"),
        (("--image", "a", "--codec", "jpeg2000"), "fits 2 schemes"),
        (("--image", "a", "--codec", "jpg"), "no scheme `jpg`"),
        (("--image", "a", "--codec", "jpeg", "--point", "quality=31"), "no operating point"),
        (("--image", "a", "--codec", "jpeg", "--link", "geo"), "no link `geo`"),
        (("--image", "a", "--codec", "jpeg", "--channel", "EP44"), "unknown channel"),
    ):
        with pytest.raises(InputError, match=match):
            call("explain", run, *arguments)


def test_plot_winner(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winner, "_LOSS_RATES", (0.001, 0.7, 20))  # a coarse map
    monkeypatch.setattr(winner, "_MEAN_BURSTS", (1.0, 20.0, 14))
    text = call("plot", "winner", run, "--out", str(tmp_path), "--image", "a")
    assert {path.name for path in tmp_path.iterdir()} == {f"winner_map.{suffix}" for suffix in ("csv", "png", "svg")}
    assert "winner_map.csv" in text
    with pytest.raises(InputError, match="no option `--trial`"):
        call("plot", "winner", run, "--trial", "1")
    with pytest.raises(InputError, match="no option `--image`"):
        call("plot", "rd", run, "--image", "a")

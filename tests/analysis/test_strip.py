"""The row of images of a run: which schemes, which losses, what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import netsim
from netsim.analysis.strip import strip_of_run
from netsim.cli import app
from netsim.codec import OperatingPoint, create_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db
from netsim.results import Run

SCENARIO = {
    "images": {"samples": ["coffee"]},
    "codecs": [
        {"jpeg": {"quality": [10, 30], "packets": 10, "protection": ["none", {"reed-solomon": "50%"}]}},
        {"jpeg2000": {"bpp": 0.3, "packets": 10, "receiver": "resilient"}},
    ],
    "channels": [{"loss_rate": 0.02, "name": "mild"}, {"loss_rate": 0.2, "name": "rough"}],
    "engine": "exact",
    "seed": 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("strip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
        return netsim.run(SCENARIO, out=folder / "run")


def test_the_best_of_each_codec_under_the_same_losses(run: Run) -> None:
    strip = strip_of_run(run)
    assert [one.scheme for one in strip.images] == ["jpeg + 50% FEC", "jpeg2000 resilient"]
    assert strip.losses == "one loss pattern of rough"
    coded, layered = strip.images
    assert (coded.received == layered.received[: len(coded.received)]).all()
    assert not layered.received.all()
    codec = create_codec("jpeg2000", {"receiver": "resilient", "packets": 10})
    stream = codec.encode(strip.original, OperatingPoint("bpp", 0.3), None)
    mask = np.ones((1, len(stream)), dtype=bool)
    mask[0, ~stream.protected] = layered.received
    [image] = codec.decode(stream, codec.usable(stream, mask))
    assert layered.psnr_db == pytest.approx(float(psnr_db(strip.original, image[None])[0]))


def test_names_are_checked(run: Run) -> None:
    assert [one.scheme for one in strip_of_run(run, schemes=["jpeg"], channel="mild").images] == ["jpeg"]
    for options, message in (
        ({"images": ["tea"]}, "no image `tea`"),
        ({"channel": "calm"}, "no channel `calm`"),
        ({"schemes": ["png"]}, "no scheme `png`"),
        ({"images": ["coffee", "tea"]}, "2 images"),
    ):
        with pytest.raises(InputError, match=message):
            strip_of_run(run, **options)  # type: ignore[arg-type]


def test_plot_draws_it_and_pdfs_for_paper(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    drawn = CliRunner().invoke(app, ["plot", "strip", str(run.path), "--out", str(tmp_path), "--paper"])
    assert drawn.exit_code == 0, drawn.output
    names = {"strip.png", "strip.svg", "strip.csv", "strip-1col.pdf", "strip-2col.pdf"}
    assert {path.name for path in tmp_path.iterdir() if path.stem.startswith("strip")} == names
    assert pd.read_csv(tmp_path / "strip.csv")["scheme"].tolist() == ["jpeg + 50% FEC", "jpeg2000 resilient"]
    with pytest.raises(InputError, match="several panels"):
        run.plot("strip", ax=Figure().subplots())
    chosen = CliRunner().invoke(app, ["plot", "rd", str(run.path), "--out", str(tmp_path), "--highlight", "jpeg"])
    assert chosen.exit_code == 0, chosen.output
    numbers = pd.read_csv(tmp_path / "rd.csv")
    assert set(numbers[numbers["highlighted"]]["scheme"]) == {"jpeg"}

"""Whole runs under repetition: every engine, and the log's accounting of packets and bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

import netsim
from netsim.errors import InputError

SCENARIO = """\
images: pictures
codecs:
  - jpeg: {quality: 30, packets: 4}
  - jpeg2000: {bpp: 1.0, receiver: prefix, packets: 5}
protection: [none, {repeat: {first: 2}}]
channels: [{loss_rate: 0.2}]
trials: 40
slots: 2
seed: 7
"""
LOSS = 0.2


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(data.astronaut()[60:156, 180:308]).save(tmp_path / "pictures" / "a.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "uep.yaml"
    path.write_text(SCENARIO)
    return path


def test_exact_run_is_the_closed_form(scenario: Path) -> None:
    run = netsim.run(scenario, overrides=["engine=exact"])
    jpeg = run.summary[run.summary["codec"] == "jpeg"].set_index("protection")
    assert set(jpeg["scheme"]) == {"jpeg", "jpeg + repeat (1, 2)"}
    failure = jpeg["failure_ratio"]
    assert failure["none"] == pytest.approx(1 - (1 - LOSS) ** 4, abs=1e-12)
    assert failure["repeat (1, 2)"] == pytest.approx(1 - (1 - LOSS**2) ** 2 * (1 - LOSS) ** 2, abs=1e-12)
    assert jpeg["packets_per_slot"].to_dict() == pytest.approx({"none": 4, "repeat (1, 2)": 6})
    recovered = 2 * LOSS * (1 - LOSS)  # two packets, each lost while its copy comes
    assert jpeg["recovered_per_slot"].to_dict() == pytest.approx({"none": 0, "repeat (1, 2)": recovered})


def test_bytes_of_copies_are_counted(scenario: Path) -> None:
    log = netsim.run(scenario, overrides=["engine=array"]).log
    assert (log["packets_sent"] == log["packets_delivered"] + log["packets_lost"]).all()
    sizes = log.groupby(["codec", "protection"])["bytes"].agg(["min", "max"])
    assert (sizes["min"] == sizes["max"]).all()
    for _, part in log.groupby("codec"):
        by = part.groupby("protection")[["bytes", "bpp"]].first()
        assert 0 < by["bytes"]["repeat (1, 2)"] - by["bytes"]["none"] < by["bytes"]["none"]
        np.testing.assert_allclose(by["bpp"], 8 * by["bytes"] / (96 * 128))
    plain = log[log["protection"] == "none"]
    assert (plain["packets_recovered"] == 0).all()
    assert log[log["protection"] != "none"]["packets_recovered"].between(0, 2).all()
    assert (log["packets_recovered"] > 0).any()
    assert (log["psnr_db"].isna() == (log["status"] == "failed")).all()


def test_copies_never_make_a_picture_worse_where_losses_are_the_same(scenario: Path) -> None:
    """Losses are drawn packet by packet: what follows the stream moves nobody's, with one slot to a trial."""
    log = netsim.run(scenario, overrides=["engine=array", "slots=1"]).log
    for _, part in log.groupby("codec"):
        usable = part.pivot_table(index="trial", columns="protection", values="packets_usable")
        assert (usable["repeat (1, 2)"] >= usable["none"]).all()
        assert (usable["repeat (1, 2)"] > usable["none"]).any()


@pytest.mark.parametrize("log", ["slots", "packets"])
def test_event_and_array_write_the_same_log(scenario: Path, log: str) -> None:
    frames = []
    for engine in ("event", "array"):
        overrides = [f"engine={engine}", f"log={log}", "link=geo", "trials=10"]
        frames.append(netsim.run(scenario, out=engine, overrides=overrides).log.drop(columns=["run_id", "engine"]))
    pd.testing.assert_frame_equal(*frames)


def test_stratified_tends_to_exact(scenario: Path) -> None:
    exact = netsim.run(scenario, out="exact", overrides=["engine=exact"]).summary
    sampled = netsim.run(scenario, out="stratified", overrides=["engine=stratified", "trials=4000"]).summary
    assert sampled["scheme"].tolist() == exact["scheme"].tolist()
    assert (sampled["failure_ratio"] - exact["failure_ratio"]).abs().max() < 0.02
    assert (sampled["psnr_db"] - exact["psnr_db"]).abs().max() < 0.3


def test_a_packet_that_no_stream_has_is_told(scenario: Path) -> None:
    with pytest.raises(InputError, match=r"repeat \(9\): there is no packet 9; 4 of the stream's packets can be lost"):
        netsim.run(
            scenario, overrides=["codecs=[{jpeg: {quality: 30, packets: 4}}]", "protection={repeat: {packets: 9}}"]
        )
    with pytest.raises(InputError, match="packets 0 is out of range") as refused:
        netsim.run(scenario, overrides=["protection={repeat: {packets: [0]}}"])
    assert "protection" in str(refused.value)

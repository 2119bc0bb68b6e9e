"""Whole runs under repetition: every engine, and the log's accounting of packets and bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from skimage import data

import netsim
from netsim.errors import InputError
from netsim.protection.reed_solomon import ReedSolomon

SCENARIO = """\
images: images
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
    (tmp_path / "images").mkdir()
    Image.fromarray(data.astronaut()[60:156, 180:308]).save(tmp_path / "images" / "a.png")
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


def test_copies_never_make_an_image_worse_where_losses_are_the_same(scenario: Path) -> None:
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


LONG = ["channels=[{loss_rate: 0.02}]", "trials=2000"]


def test_many_packets_of_which_some_are_repeated(scenario: Path) -> None:
    """Which ones are lost decides, not how many: no mask may stand for all with as many losses."""
    asked = [*LONG, "codecs=[{jpeg: {quality: 30, packets: 16}}]", "protection={repeat: {first: 4}}"]
    expected = 1 - (1 - 0.02**2) ** 4 * (1 - 0.02) ** 12
    exact = netsim.run(scenario, out="exact", overrides=[*asked, "engine=exact"]).summary.iloc[0]
    assert exact["failure_low"] - 1e-12 <= expected <= exact["failure_high"] + 1e-12
    assert exact["failure_high"] - exact["failure_low"] <= 0.001 + 1e-12  # what coverage leaves out
    chosen = netsim.run(scenario, out="auto", overrides=asked)
    assert set(chosen.log["engine"]) == {"stratified"}
    assert chosen.summary["failure_ratio"].iloc[0] == pytest.approx(expected, abs=0.02)


def test_many_packets_in_several_blocks_of_a_code(scenario: Path) -> None:
    """The link's limit makes more packets than a block holds: losses count block by block."""
    asked = [*LONG, "codecs=[{jpeg: {quality: 60}}]", "protection={reed-solomon: [5, 4]}", "engine=exact"]
    run = netsim.run(scenario, overrides=[*asked, "link={wlan: {mtu_bytes: 240, jitter_s: 0, deadline_s: null}}"])
    sent = int(run.log["packets_sent"].max())
    code = ReedSolomon(code=(5, 4))
    (blocks,) = [sizes for k in range(1, sent) if sum(map(sum, sizes := code.block_sizes(k))) == sent]
    assert len(blocks) > 1
    whole = [stats.binom.cdf(parity, size + parity, 0.02) for size, parity in blocks]
    assert run.summary["failure_low"].iloc[0] <= 1 - np.prod(whole) <= run.summary["failure_high"].iloc[0]

"""The stratified engine on a real codec: inside its intervals of the exact answer, with a fraction of the decodings."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from skimage import data

import netsim

CHANNELS = ["EP2", "EP4", "EP6"]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(data.coffee()[100:164, 200:296]).save(folder / "a.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    return folder


def run(images: Path, engine: str, out: Path) -> netsim.Run:
    codec = {"jpeg2000": {"bpp": 2.5, "packets": 10, "receiver": "resilient", "engine": engine}}
    return netsim.run(
        {"images": str(images), "codecs": [codec], "channels": CHANNELS, "trials": 60, "metrics": ["psnr_db"]}, out=out
    )


def test_it_agrees_with_all_masks_decoded(images: Path, tmp_path: Path) -> None:
    exact, sampled = (run(images, engine, tmp_path / engine) for engine in ("exact", "stratified"))
    masks = sampled.log.groupby("channel")["usable_mask"].unique()
    decoded = {str(mask) for mask in masks["EP2"] if "1" in str(mask)}
    assert len(exact.log.loc[exact.log["status"] != "failed"]) / 3 > 4 * len(decoded)
    for channel in CHANNELS:
        assert {str(mask) for mask in masks[channel] if "1" in str(mask)} == decoded  # one sample for all channels
    for line, truth in zip(sampled.summary.to_dict("records"), exact.summary.to_dict("records"), strict=True):
        assert line["channel"] == truth["channel"]
        half = line["psnr_high"] - line["psnr_db"]
        assert 0 < half < 1.5  # wavelet packets depend on each other more than slices do
        assert abs(line["psnr_db"] - truth["psnr_db"]) < 2 * half
        assert line["failure_ratio"] == pytest.approx(truth["failure_ratio"], abs=1e-9)
        assert line["loss_rate"] == pytest.approx(truth["loss_rate"], abs=0.01)
    again = run(images, "stratified", tmp_path / "again")
    assert again.log.drop(columns="run_id").equals(sampled.log.drop(columns="run_id"))


def test_a_long_stream_that_stops_at_its_first_loss_is_exact(images: Path, tmp_path: Path) -> None:
    plan = {
        "images": str(images),
        "codecs": [{"jpeg2000": {"bpp": 4.0, "packets": 24, "receiver": "prefix"}}],
        "channels": CHANNELS,
        "trials": 2000,
        "metrics": ["psnr_db"],
    }
    auto, sampled = (netsim.run(plan | {"engine": name}, out=tmp_path / name) for name in ("auto", "array"))
    assert auto.log["packets_sent"].iloc[0] > 17
    for line, other in zip(auto.summary.to_dict("records"), sampled.summary.to_dict("records"), strict=True):
        assert line["engine"] == "exact"
        assert line["unresolved"] == 0
        assert line["psnr_low"] == line["psnr_db"] == line["psnr_high"]
        assert abs(line["psnr_db"] - other["psnr_db"]) < 2.5 * (other["psnr_high"] - other["psnr_db"])
        at_risk = line["loss_rate"] / netsim.channels[line["channel"]].loss_rate  # share of packets that can be lost
        assert at_risk == pytest.approx(1 - 1 / auto.log["packets_sent"].iloc[0], rel=1e-9)


def test_a_scheme_that_can_not_fail_has_no_interval_of_failures(images: Path, tmp_path: Path) -> None:
    """Its protected header shows an image whatever is lost, here with probabilities from a sample of masks."""
    codec = {"jpeg2000": {"bpp": 2.5, "packets": 20, "receiver": "resilient", "engine": "stratified"}}
    keys = {"images": str(images), "codecs": [codec], "channels": CHANNELS}
    found = netsim.run(**keys, out=tmp_path / "run")
    assert (found.log["drawn"] > 0).all()
    assert not found.log["can_fail"].any()
    assert (found.summary[["failure_ratio", "failure_low", "failure_high"]] == 0).all(axis=None)

"""Whole runs: the log's laws, determinism, resuming, and that nothing is overwritten."""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

import netsim
from netsim import images
from netsim.errors import InputError
from netsim.image_file import read_image_file
from netsim.metrics.further import LOG_COLUMNS
from netsim.runs import parts as part_files
from netsim.runs import tasks, transport
from netsim.runs.log import log_schema
from tests.runs.conftest import KilledAfter

FATES = ["packets_delivered", "packets_lost", "packets_late", "packets_dropped"]


def test_log_keeps_its_laws(scenario: Path) -> None:
    run = netsim.run(scenario)
    log = run.log
    assert run.path == Path("runs/small-1")
    assert list(log.columns) == log_schema(["psnr_db"]).names == [n for n in LOG_COLUMNS if n != "weight"] + ["weight"]
    sampled = log[log["engine"] == "array"]
    assert (sampled.groupby("row").size() == 20 * 5).all()
    assert (log["packets_sent"] == log[FATES].sum(axis=1)).all()
    assert (log["psnr_db"].isna() == (log["status"] == "failed")).all()
    assert (log["packets_usable"][log["status"] == "failed"] == 0).all()
    assert (log["time_s"] >= log["start_s"]).all()
    exact = log[log["engine"] == "exact"]
    weights = exact.groupby(["row", "image"])["weight"].sum()
    np.testing.assert_allclose(weights, 1, atol=1e-12)
    full = log[log["status"] == "full"].groupby(["scheme", "operating_point", "image"])["psnr_db"].nunique()
    assert (full == 1).all()
    assert run.manifest["status"] == "finished"
    assert run.manifest["tools"]["jpeg2000"]
    for scheme, engines in log.groupby("scheme", observed=True)["engine"].unique().items():  # each is named, with why
        assert any(re.match(rf"{engines[0]} for .*{re.escape(scheme)}.*: ", line) for line in run.manifest["engines"])
    assert set(run.summary["channel"]) == {"EP4", "switching"}


def test_all_schemes_meet_the_same_losses(scenario: Path) -> None:
    log = netsim.run(scenario, overrides=["engine=array"]).log
    jpeg = log[(log["codec"] == "jpeg") & (log["channel"] == "EP4")]
    lost = jpeg.pivot_table(index=["trial", "slot"], columns="protection", values="packets_lost")
    assert (lost["none"] == lost["reed-solomon 30%"]).all()


@pytest.mark.parametrize(
    "engine", [*(pytest.param(name, marks=pytest.mark.slow) for name in ("array", "event")), "auto"]
)
def test_same_bytes_for_any_number_of_workers(scenario: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = []
    for workers in (1, 2):
        monkeypatch.setenv("NETSIM_STORE", str(scenario.parent / f"store{workers}.sqlite"))
        run = netsim.run(scenario, out=str(workers), overrides=[f"engine={engine}"], workers=workers)
        assert run.manifest["device"]["workers"] == workers
        logs.append((run.path / "log.parquet").read_bytes())
    assert logs[0] == logs[1]


def test_event_and_array_write_the_same_log(scenario: Path) -> None:
    frames = []
    for engine in ("event", "array"):
        log = netsim.run(scenario, out=engine, overrides=[f"engine={engine}", "link.wlan.jitter_s=0.06"]).log
        frames.append(log.drop(columns=["run_id", "engine"]))
    pd.testing.assert_frame_equal(*frames)


def test_exact_is_what_sampling_tends_to(scenario: Path) -> None:
    overrides = ["channels=[EP4]", "trials=4000"]
    exact = netsim.run(scenario, out="exact", overrides=[*overrides, "engine=exact"]).summary
    array = netsim.run(scenario, out="array", overrides=[*overrides, "engine=array"]).summary
    assert (exact["psnr_low"] == exact["psnr_high"]).all()
    half = (array["psnr_high"] - array["psnr_low"]) / 2
    assert ((exact["psnr_db"] - array["psnr_db"]).abs() < 2.5 * half).all()  # 4.9 standard errors
    np.testing.assert_allclose(exact["bpp"], array["bpp"], rtol=1e-12)


def test_second_run_does_not_touch_the_first(scenario: Path) -> None:
    first = netsim.run(scenario, out="here")
    before = {path: path.read_bytes() for path in first.path.iterdir()}
    second = netsim.run(scenario, out="here")
    assert second.path == Path("here-2")
    assert {path: path.read_bytes() for path in first.path.iterdir()} == before
    assert (second.path / "log.parquet").read_bytes() == before[first.path / "log.parquet"]


def test_a_broken_run_goes_on_where_it_was(
    scenario: Path, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    whole = netsim.run(scenario, out="whole")
    with killed_after(4) as calls:
        netsim.run(scenario, out="broken")
    parts = {path: path.stat().st_mtime_ns for path in Path("broken/parts").glob("*.npz")}
    assert len(parts) == 4
    with pytest.raises(InputError, match="not finished"):
        netsim.load("broken")

    again: list[object] = []
    real = transport.transport_part
    monkeypatch.setattr(
        tasks, "transport_part", lambda plan, key, streams: (again.append(key), real(plan, key, streams))[1]
    )
    resumed = netsim.run(scenario, out="broken")
    assert resumed.path == Path("broken")
    assert not set(map(str, again)) & set(map(str, calls))
    assert (resumed.path / "log.parquet").read_bytes() == (whole.path / "log.parquet").read_bytes()
    assert not (resumed.path / "parts").exists()


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_half_written(scenario: Path) -> None:
    command = [sys.executable, "-m", "netsim.cli", "run", str(scenario), "--out", "killed", "--workers", "2"]
    command += ["--set", "engine=event", "--set", "trials=300"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(Path("killed/parts").glob("*.npz")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("killed/log.parquet").exists()
    for path in Path("killed/parts").glob("*.npz"):
        assert len(part_files.read_part(path)["trial"]) == 300 * 5
    subprocess.run(command, check=True, timeout=300, stderr=subprocess.DEVNULL)
    subprocess.run([*command[:6], "afresh", *command[7:]], check=True, timeout=300, stderr=subprocess.DEVNULL)
    assert Path("killed/log.parquet").read_bytes() == Path("afresh/log.parquet").read_bytes()


def test_a_part_that_other_code_made_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, arrays = tmp_path / "row-000000-000000000-000000001-event.npz", {"trial": np.zeros(3)}
    part_files.write_part(path, "a run", arrays)
    assert list(part_files.read_part(path, "a run")) == ["trial"]
    with pytest.raises(InputError, match="of another run or version"):
        part_files.read_part(path, "another run")
    monkeypatch.setattr(part_files, "_code_sha256", lambda: "an update")
    with pytest.raises(InputError, match="of another run or version"):
        part_files.read_part(path, "a run")


def test_rows_at_arrivals_build_the_image_up(scenario: Path) -> None:
    log = netsim.run(scenario, overrides=["log=packets", "engine=array", "link=geo", "channels=[ge-15]"]).log
    jpeg2000 = log[(log["codec"] == "jpeg2000") & (log["operating_point"] == "bpp=1")]
    for _, slot in jpeg2000.groupby(["row", "trial", "slot"]):
        assert slot["packet"].isna().tolist() == [False] * (len(slot) - 1) + [True]
        assert slot["time_s"].is_monotonic_increasing
        assert slot["packets_usable"].is_monotonic_increasing
        assert slot["bytes"].is_monotonic_increasing
        last = slot.iloc[-1]
        assert last["packets_delivered"] == len(slot) - 1
        assert last["psnr_db"] == slot.iloc[-2]["psnr_db"]
        assert (slot["packets_sent"] == slot[FATES].sum(axis=1)).all()


def test_precision_runs_until_it_is_reached(scenario: Path) -> None:
    overrides = ["precision=0.4 dB", "trials=5000", "engine=array"]
    run = netsim.run(scenario, overrides=overrides)
    half = (run.summary["psnr_high"] - run.summary["psnr_low"]) / 2
    assert (half <= 0.4).all()
    assert run.summary["trials"].nunique() > 1
    assert "reached in 10 of 10" in run.manifest["precision"][0]
    limited = netsim.run(scenario, overrides=["precision=0.01 dB", "trials=64", "engine=array"])
    assert "stopped at the limit of 64 trials" in limited.manifest["precision"][0]


def test_precision_waits_for_rare_losses(scenario: Path) -> None:
    """No slot loses a packet: up to 3.7 of 32 × 8 slots may, but a burst may outlast a trial: up to 3.7 of 32 may."""
    keys = ["precision=1.5 dB", "trials=5000", "slots=8", "engine=array"]
    rare = netsim.run(scenario, overrides=[*keys, "channels=[{loss_rate: 0.0000001, mean_burst: 50}]"]).summary
    assert (rare["loss_rate"] == 0).all()
    drop_db = rare["psnr_db"] - rare["failure_db"]
    assert (drop_db * (1 - 0.025 ** (1 / rare["trials"])) <= 1.5).all()
    never = netsim.run(scenario, overrides=[*keys, "channels=[{loss_rate: 0}]"]).summary
    assert (never["trials"] == 32).all()
    keys[1] = "trials=33"
    cut = netsim.run(scenario, overrides=[*keys, "channels=[{loss_rate: 0.0000001, mean_burst: 50}]"])
    assert (cut.summary["psnr_high"] - cut.summary["psnr_low"] < 1.5).any()
    [sentence] = cut.manifest["precision"]
    assert "reached in 0 of 5 sampled rows; 5 stopped at the limit of 33 trials" in sentence
    assert "with too few trials that lost packets (as few as 0 of 12)" in sentence


def test_controlled_rows_follow_the_reports(scenario: Path) -> None:
    overrides = [
        "codecs=[{jpeg: {quality: 30}}]",
        "protection=[none, {reed-solomon: 30%}, {reed-solomon: 50%}]",
        "control={previous-interval: {interval_slots: 3, factor: 2}}",
        "slots=30",
    ]
    log = netsim.run(scenario, overrides=overrides).log
    assert set(log["engine"]) == {"event"}
    assert log["protection"].nunique() == 3
    assert log["scheme"].nunique() == 1


@pytest.mark.parametrize(
    "link", [{"period_s": 25, "deadline_s": 45}, {"deadline_s": 20}, {"queue_packets": 2, "period_s": 25}]
)
def test_exact_counts_what_is_late_in_later_slots_as_array_does(scenario: Path, link: dict[str, float]) -> None:
    # a queue that grows makes a later slot worse than the first; without loss both engines give the same numbers
    asked = {
        "images": "images",
        "codecs": [{"jpeg2000": {"bpp": 0.5, "receiver": "prefix", "packets": 5}}],
        "channels": [{"loss_rate": 0.0}],
        "link": {"geo": {"rate_bps": 2400, **link}},
        "slots": 8,
        "trials": 1,
    }
    exact, array = (netsim.run(asked | {"engine": engine}).summary.iloc[0] for engine in ("exact", "array"))
    for name in ("psnr_db", "failure_ratio", "late_rate", "dropped_rate"):
        assert exact[name] == pytest.approx(array[name], abs=1e-12)
    assert array["late_rate"] + array["dropped_rate"] > 0


def test_an_image_is_read_a_few_times_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its hash, for each codec's encoding and for its masks; never for the log, however many parts that has."""
    (tmp_path / "images").mkdir()
    for number in range(40):
        noise = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise).save(tmp_path / "images" / f"{number}.png")
    reads: Counter[str] = Counter()

    def read(path: Path) -> np.ndarray:
        reads[path.name] += 1
        return read_image_file(path)

    monkeypatch.setattr(images, "_KEPT_BYTES", 0)
    monkeypatch.setattr(images, "_read", read)
    monkeypatch.setattr(part_files, "_SLOTS_IN_PART", 40)
    scenario = {"images": str(tmp_path / "images"), "codecs": [{"jpeg": {"quality": 30}}], "channels": ["EP4", "EP1"]}
    run = netsim.run({**scenario, "engine": "array", "trials": 6}, out=tmp_path / "run")
    assert len(run.log) == 2 * 6 * 40
    assert len(reads) == 40
    assert max(reads.values()) <= 3


def test_with_rows_of_packets_one_mask_does_not_stand_for_many(scenario: Path) -> None:
    """Of RS(20, 10) the count of losses decides the image, but not which packet arrives when."""
    codec = "[{jpeg: {quality: 30, packets: 20, protection: {reed-solomon: 50%}}}]"
    overrides = [f"codecs={codec}", "channels=[{loss_rate: 0.2}]", "link=geo", "slots=2"]
    slots = netsim.run(scenario, overrides=overrides).log
    assert set(slots["engine"]) == {"exact"}
    log = netsim.run(scenario, overrides=[*overrides, "log=packets", "trials=200"]).log
    first = log[log["packet"] == 0]["weight"].sum() / log[log["packet"].isna()]["weight"].sum()
    assert first == pytest.approx(0.8, abs=0.03)  # the first packet arrives in four slots of five


def test_streams_too_long_for_tables_are_sampled(scenario: Path) -> None:
    codec = "[{jpeg: {quality: 30, packets: 3100}}]"
    overrides = [f"codecs={codec}", "channels=[{loss_rate: 0.0005}]", "link=ideal", "slots=2", "trials=10"]
    assert set(netsim.run(scenario, overrides=overrides).log["engine"]) == {"array"}
    with pytest.raises(InputError, match="packets of a slot can be lost"):
        netsim.run(scenario, overrides=[*overrides, "engine=stratified"])


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_of_dots_is_no_way_out_of_the_runs(scenario: Path, name: str) -> None:
    run = netsim.run(scenario, overrides=[f"name='{name}'", "codecs=[{jpeg: {quality: 30}}]", "trials=1"])
    assert run.path == Path("runs/run-1")

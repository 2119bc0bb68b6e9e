"""Metrics by plug-in: from the log's columns to summary, distribution and report."""

from __future__ import annotations

import math
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import netsim
from netsim import registry
from netsim.api import plan
from netsim.errors import InputError
from netsim.metrics.further import Scale, scale_of
from netsim.report.illustrated import write_report

MODULE = """
import numpy as np

def grey(reference, images):
    "Mean level of each image."
    return images.reshape(len(images), -1).mean(axis=1)

def error(reference, images):
    "Mean absolute error; a failed image counts as the worst there is."
    return np.abs(images.astype(float) - reference).reshape(len(images), -1).mean(axis=1)

error.failed, error.lowest, error.highest, error.higher_is_better = 255.0, 0.0, 255.0, False

def one(reference, images):
    return 3.0

def unknown(reference, images):
    return [float("nan")] * len(images)
"""
NAMES = ("grey", "error", "one", "unknown")


@pytest.fixture(autouse=True)
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "third_party.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    known = registry._group
    mine = {name: EntryPoint(name, f"third_party:{name}", "netsim.metrics") for name in NAMES}
    mine["bpp"] = EntryPoint("bpp", "third_party:grey", "netsim.metrics")
    monkeypatch.setattr(
        registry, "_group", lambda group: {**known(group), **(mine if group == "netsim.metrics" else {})}
    )


def scenario(**keys: object) -> dict[str, object]:
    base = {
        "images": {"samples": ["coffee"]},
        "codecs": [{"jpeg": {"quality": 30, "packets": 1}}],
        "channels": [{"loss_rate": 0.25}],
        "metrics": ["grey", "error"],
        "trials": 40,
        "seed": 2,
    }
    return base | keys


@pytest.mark.parametrize("engine", ["exact", "array", "event", "stratified"])
def test_a_metric_reaches_log_summary_distribution_and_report(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = netsim.run(scenario(engine=engine))
    slots = run.slots
    assert list(slots.columns)[-4:] == ["psnr_db", "grey", "error", "weight"]
    shown = slots["status"] != "failed"
    assert (slots["grey"].notna() == shown).all()
    level, error = slots["grey"][shown].iloc[0], slots["error"][shown].iloc[0]
    assert level == pytest.approx(104, abs=8)  # the mean level of the image
    [row] = run.summary.to_dict("records")
    failed = row["failure_ratio"]
    assert "grey" not in row
    assert row["grey_received"] == pytest.approx(level)
    assert row["error"] == pytest.approx(failed * 255 + (1 - failed) * error)
    assert 0 <= row["error_low"] <= row["error"] <= row["error_high"] <= 255
    assert failed == pytest.approx(0.25, abs=1e-12) if engine == "exact" else 0 < failed < 1
    spread = run.distribution.set_index(["metric", "image"])["mean"]
    assert spread["grey", "all"] == pytest.approx(level)
    assert spread["error", "all"] == pytest.approx(row["error"])
    text = write_report(run.path).read_text(encoding="utf-8")
    assert "where shown" in text
    assert "error" in text


def test_psnr_is_measured_beside_any_metric_so_that_a_precision_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = netsim.run(scenario(metrics=["error"], precision="3 dB", engine="array", trials=400))
    assert list(run.slots.columns)[-3:] == ["psnr_db", "error", "weight"]
    assert "±3 dB reached in 1 of 1" in run.manifest["precision"][0]


@pytest.mark.parametrize(
    ("metric", "message"),
    [("one", r"returns shape \(\) for 1 images"), ("unknown", "returns nan"), ("bpp", "name of a column")],
)
def test_what_is_no_metric_is_refused_by_name(
    metric: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"metric `{metric}`.*{message}"):
        netsim.run(scenario(metrics=[metric]))


def test_a_metric_with_the_name_of_a_column_is_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match="name of a column"):
        plan(scenario(metrics=["bpp"]))


def test_scales_of_known_and_absent_metrics() -> None:
    assert scale_of("ms_ssim") == Scale(0.0, 0.0, 1.0, True)
    assert scale_of("error") == Scale(255.0, 0.0, 255.0, False)
    assert scale_of("not installed") == Scale(None, -math.inf, math.inf, None)
    assert scale_of("grey").failed is None

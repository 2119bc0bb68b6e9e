from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from netcodecs.progressive.backbone import LAMBDAS
from netcodecs.progressive.methods import METHODS
from netcodecs.progressive.weights import load_backbone, load_weights
from netcodecs.training import export, measure, progressive
from netcodecs.training.crops import centre_crops
from netcodecs.training.export import averaged
from netcodecs.training.measure import published_psnr_db
from netcodecs.training.validation import validate
from PIL import Image
from torch import Tensor

from netsim.errors import InputError

RUN = ["--hours", "0.0001", "--widths", "12", "48", "128", "--crop", "64", "--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, photos: list[Tensor]) -> Path:
    """Training and held-out pictures, and a run of a few steps on them, by the command line; its weights."""
    root = tmp_path_factory.mktemp("training")
    for name, picture in zip(("images", "held_out", "images2"), photos, strict=True):
        (root / name).mkdir()
        Image.fromarray(picture[:, :128, :160].permute(1, 2, 0).numpy()).save(root / name / "a.png")
    assert progressive.main([*_paths(root), *RUN, "--out", str(root / "run")]) == 0
    export.main([str(root / "run"), str(root / "out" / "mbt-mean.safetensors")])
    return root


def _paths(root: Path) -> list[str]:
    return ["--images", str(root / "images"), str(root / "images2"), "--validation", str(root / "held_out")]


def test_run_leaves_its_curve_its_facts_its_events_and_a_checkpoint(folders: Path) -> None:
    with (folders / "run" / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lambda"]) for row in rows[: len(LAMBDAS)]] == list(LAMBDAS)
    assert float(rows[-1]["lossy_psnr_db"]) < float(rows[-1]["psnr_db"])
    assert int(rows[-1]["steps"]) >= 1
    assert json.loads((folders / "run" / "run.json").read_text())["pictures"] == 2
    assert len(list((folders / "run").glob("events.out.tfevents.*"))) == 1


def test_exported_weights_are_those_of_the_average(folders: Path, photos: list[Tensor]) -> None:
    weights = folders / "out" / "mbt-mean.safetensors"
    before, facts = averaged(folders / "run" / "latest.safetensors")
    pictures = centre_crops([photos[1][:, :128, :128]])
    for mine, theirs in zip(validate(before, pictures), validate(load_backbone(weights), pictures), strict=True):
        assert mine["psnr_db"] == pytest.approx(theirs["psnr_db"], abs=0.05)
        assert mine["bpp"] == pytest.approx(theirs["bpp"], rel=0.01)
    card = weights.with_suffix(".md").read_text()
    assert f"{facts['steps']:,} steps" in card
    assert "2 photos" in card
    assert "nothing: the baseline" in card


def test_method_begins_from_exported_weights_and_is_exported_with_its_card(folders: Path) -> None:
    start, weights = folders / "out" / "mbt-mean.safetensors", folders / "out" / "mca-ge.safetensors"
    alone = ["--hyper-first", "1"]
    own = ["--method", "mca-ge", "--start", str(start), *RUN[:2], *RUN[6:], *alone, "--out", str(folders / "mca-ge")]
    assert progressive.main([*_paths(folders), *own]) == 0
    export.main([str(folders / "mca-ge"), str(weights), "--measure", str(folders / "held_out"), "--notes", "A trial."])
    network, method = load_weights(weights)
    assert method is METHODS["mca-ge"]
    assert network.widths == (12, 48, 128)
    card = weights.with_suffix(".md").read_text()
    for words in (
        "# mca-ge:",
        "mask conditional aggregation, double tail drop in training, gilbert-elliott losses in training",
        "Start: mbt-mean.safetensors",
        "In all of the run the hyperprior alone learned, from 16 crops a step. A trial.",
        "A trial.",
        "**Test** (1 pictures",
        "--method mca-ge --start",
    ):
        assert words in card
    assert "spatial-channel" not in card


def test_measure_counts_real_bytes_and_loses_packets(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = folders / "out" / "mbt-mean.safetensors"
    low, high = measure.measure(weights, folders / "held_out", qualities=(0.0, 3.0))
    assert low.bpp < high.bpp
    assert low.psnr_db < high.psnr_db
    assert high.psnr_db > high.lossy_db[-1]
    assert f"{high.bpp:.3f}" in measure.table([low, high], None)


def test_foreign_files_are_refused(folders: Path) -> None:
    with pytest.raises(InputError, match="holds neither netcodecs' weights nor"):
        load_backbone(folders / "run" / "latest.safetensors")
    with pytest.raises(InputError, match="is no checkpoint of a training run"):
        averaged(folders / "out" / "mbt-mean.safetensors")
    with pytest.raises(InputError, match="no checkpoint at"):
        averaged(folders / "out" / "latest.safetensors")


def test_published_curve_is_read_between_its_points_only(tmp_path: Path) -> None:
    curve = tmp_path / "compressai-mbt2018-mean_mse_cuda.json"
    curve.write_text(json.dumps({"results": {"bpp": [0.4, 0.1], "psnr-rgb": [32.0, 28.0]}}))
    assert published_psnr_db(curve, 0.2) == pytest.approx(30.0)
    assert published_psnr_db(curve, 0.5) != published_psnr_db(curve, 0.5)  # nan

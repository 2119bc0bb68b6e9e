from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from netcodecs.progressive.backbone import load_backbone
from netcodecs.training import export, progressive
from netcodecs.training.crops import centre_crops
from netcodecs.training.export import averaged
from netcodecs.training.measure import measure, published_psnr_db, table
from netcodecs.training.progressive import validate
from PIL import Image
from torch import Tensor

from netsim.errors import InputError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, photos: list[Tensor]) -> Path:
    """Training and held-out pictures, and a run of a few seconds on them, by the command line."""
    root = tmp_path_factory.mktemp("training")
    for name, picture in zip(("images", "held_out", "images2"), photos, strict=True):
        (root / name).mkdir()
        Image.fromarray(picture[:, :128, :160].permute(1, 2, 0).numpy()).save(root / name / "a.png")
    paths = ["--images", str(root / "images"), str(root / "images2"), "--validation", str(root / "held_out")]
    settings = ["--hours", "0.0001", "--widths", "12", "48", "128", "--crop", "64", "--device", "cpu"]
    threads = torch.get_num_threads()
    progressive.main([*paths, *settings, "--out", str(root / "run"), "--threads", str(threads)])
    torch.set_flush_denormal(False)
    return root


def test_run_leaves_its_curve_its_facts_and_a_checkpoint(folders: Path) -> None:
    with (folders / "run" / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lambda"]) for row in rows[:3]] == [0.0018, 0.0035, 0.0067]
    assert int(rows[-1]["steps"]) >= 1
    assert json.loads((folders / "run" / "run.json").read_text())["pictures"] == 2


def test_exported_weights_are_those_of_the_average(folders: Path, photos: list[Tensor]) -> None:
    weights = folders / "out" / "mbt-mean.safetensors"
    export.main([str(folders / "run"), str(weights), "--measure", str(folders / "held_out")])
    assert weights.stat().st_size < 15e6
    before, facts = averaged(folders / "run" / "latest.safetensors")
    pictures = centre_crops([photos[1][:, :128, :128]])
    for mine, theirs in zip(validate(before, pictures), validate(load_backbone(weights), pictures), strict=True):
        assert mine["psnr_db"] == pytest.approx(theirs["psnr_db"], abs=0.05)
        assert mine["bpp"] == pytest.approx(theirs["bpp"], rel=0.01)
    card = weights.with_suffix(".md").read_text()
    assert f"{facts['steps']:,} steps" in card
    assert "2 photos" in card
    assert "1 pictures" in card


def test_foreign_weights_are_refused(folders: Path) -> None:
    with pytest.raises(InputError, match="does not hold this backbone's weights"):
        load_backbone(folders / "run" / "latest.safetensors")


def test_published_curve_is_read_between_its_points_only(tmp_path: Path) -> None:
    curve = tmp_path / "compressai-mbt2018-mean_mse_cuda.json"
    curve.write_text(json.dumps({"results": {"bpp": [0.4, 0.1], "psnr-rgb": [32.0, 28.0]}}))
    assert published_psnr_db(curve, 0.2) == pytest.approx(30.0)
    assert published_psnr_db(curve, 0.5) != published_psnr_db(curve, 0.5)  # nan


def test_measure_counts_real_bytes(folders: Path) -> None:
    backbone = averaged(folders / "run" / "latest.safetensors")[0]
    low, _, high = measure(backbone, folders / "held_out")
    assert low.bpp < high.bpp
    assert low.psnr_db < high.psnr_db
    assert f"{high.bpp:.3f}" in table([low, high], None)

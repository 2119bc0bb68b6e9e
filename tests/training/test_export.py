"""From a run to weights that ship: the card's numbers are the run's, and measuring counts real bytes."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.methods import METHODS, shipped_weights
from netcodecs.progressive.weights import load_backbone, load_weights, save_weights
from netcodecs.training import measure
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.run import CHECKPOINT, VALIDATION
from netcodecs.training.export import export
from netcodecs.training.measure import LOSS_RATES, Measured, published_psnr_db, table
from netcodecs.training.progressive.emphasis import Emphasis
from netcodecs.training.progressive.session import Session, averaged_network
from netcodecs.training.validation_table import validation_table
from netcodecs.transforms.gains import LAMBDAS
from numpy.typing import NDArray
from PIL import Image

from netsim.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, images: list[NDArray[np.uint8]], started: Backbone) -> Path:
    """Training, held-out and test images, and a run of two steps on them."""
    root = tmp_path_factory.mktemp("export")
    for name, image in zip(("photos", "held_out", "test"), images, strict=True):
        (root / name).mkdir()
        Image.fromarray(image[:96, :128]).save(root / name / "a.png")
    save_weights(root / "base.safetensors", started, "mbt-mean")
    start = str(root / "base.safetensors")
    session = Session(
        METHODS["mca-ge"],
        start,
        [root / "photos"],
        root / "held_out",
        batch=1,
        crop=64,
        smaller_share=0.5,
        emphasis=Emphasis(balance=0.3, whole_share=0.75),
    )
    assert session.train(root / "run", steps=2, rate=1e-3) == 0
    return root


def test_a_run_leaves_its_curve_and_its_facts(root: Path) -> None:
    with (root / "run" / VALIDATION).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lambda"]) for row in rows[: len(LAMBDAS)]] == list(LAMBDAS)
    assert float(rows[-1]["lossy_psnr_db"]) < float(rows[-1]["psnr_db"])
    assert int(rows[-1]["steps"]) == 2
    facts = json.loads((root / "run" / "run.json").read_text())
    assert facts["images"] == 1
    assert facts["megapixels"] == pytest.approx(96 * 128 / 1e6, abs=0.05)


def test_exported_weights_are_the_average_with_its_card(root: Path) -> None:
    weights = root / "out" / "mca-ge.safetensors"
    export(root / "run", weights, test_images=root / "test", notes="A trial.")
    network, method = load_weights(weights)
    assert method is METHODS["mca-ge"]
    average = averaged_network(root / "run" / CHECKPOINT)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        expected = average.state_dict()[name]
        step = float(expected.abs().max()) / 127
        assert float((tensor - expected).abs().max()) <= 0.51 * step + 1e-6, name
    card = weights.with_suffix(".md").read_text()
    hours = load_tensors(root / "run" / CHECKPOINT)[1]["active_s"] / 3600
    for words in (
        "# mca-ge",
        "mask conditional aggregation, double tail drop in training, gilbert-elliott losses in training",
        "1 photos",
        "2 steps of\n1 crops of 64² per process, 1 processes",
        f"{hours:.2f}\nhours",
        "Start: base.safetensors. Learning rate 0.001;\nlosses weighted by (.0067/λ)^0.3; "
        "75 % of the images keep their tail; "
        "50 % of the crops from photos made smaller. A trial.",
        "**Test** (1 images",
        f"--method mca-ge --start {weights} ",
    ):
        assert words in card
    assert "spatial-channel" not in card


def _cell(row: Mapping[str, str]) -> str:
    return f"{float(row['bpp']):.3f} bpp {float(row['psnr_db']):.2f} / {float(row['lossy_psnr_db']):.2f} dB"


def test_the_validation_table_has_first_last_and_some_between(root: Path, tmp_path: Path) -> None:
    path = tmp_path / VALIDATION
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "active_s", "lambda", "bpp", "psnr_db", "loss", "lossy_psnr_db"])
        for step in range(0, 5000, 100):
            for lam in (0.001, 0.002):
                writer.writerow([step, 3.6 * step, lam, 1 - step / 1e4, 20 + lam, 1, 10])
    lines = validation_table(path, _cell).splitlines()
    assert len(lines) == 2 + 12
    assert lines[0] == "| step | hours | λ = 0.001 | λ = 0.002 |"
    assert lines[2].startswith("| 0 | 0.00 | 1.000 bpp 20.00 / 10.00 dB")
    assert lines[-1].startswith("| 4,900 | 4.90 | 0.510 bpp")


def test_measuring_counts_real_bytes_and_loses_packets(root: Path) -> None:
    weights = root / "base.safetensors"
    low, high = measure.measure(weights, root / "test", qualities=(0.0, 4.0))
    assert low.bpp < high.bpp
    assert low.psnr_db < high.psnr_db
    assert high.psnr_db > high.lossy_db[-1]
    assert len(high.lossy_db) == len(LOSS_RATES)
    assert f"{high.bpp:.3f}" in measure.table([low, high], None)
    codec = measure.codec_of(weights)
    from netsim.codec import OperatingPoint

    image = np.array(Image.open(root / "test" / "a.png"))
    assert high.bpp == codec.encode(image, OperatingPoint("quality", 4)).bpp
    assert measure.measure(weights, root / "test", qualities=(4.0,)) == [high]  # the same losses at every call


def test_a_measurement_goes_into_the_card_in_place_of_the_former(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = root / "carded" / "mca-ge.safetensors"
    export(root / "run", weights)
    card = weights.with_suffix(".md")
    without = card.read_text()
    assert "**Test**" not in without
    for masks in (1, 3):
        measure.main(root / "test", weights, masks=masks, card=True)
        table = capsys.readouterr().out
        (row,) = (line for line in table.splitlines() if line.startswith("| 2 "))
        text = card.read_text()
        assert text.count("**Test**") == 1
        assert f"loss patterns per image and rate: {masks})" in text
        assert row in text
        head, tail = text.split("**Test**")
        assert without == head + tail[tail.index("**Known limits.**") :]
    card.unlink()
    with pytest.raises(InputError, match="no model card at"):
        measure.main(root / "test", weights, masks=1, card=True)
    with pytest.raises(InputError, match="--card with --effort"):
        measure.main(root / "test", weights, effort=1, card=True)


def test_the_concealment_of_scr_mca_plus_is_measured_as_its_codec(root: Path) -> None:
    from netcodecs.progressive.family import ScrMcaPlus

    assert isinstance(measure.codec_of(shipped_weights("scr-mca-plus")), ScrMcaPlus)
    assert not isinstance(measure.codec_of(root / "base.safetensors"), ScrMcaPlus)


def test_foreign_files_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match="holds neither netcodecs' weights nor"):
        load_backbone(root / "run" / CHECKPOINT)
    with pytest.raises(InputError, match="is not a checkpoint of a training run"):
        averaged_network(root / "base.safetensors")
    with pytest.raises(InputError, match="no checkpoint at"):
        export(root / "none", root / "out" / "x.safetensors")


def test_a_published_curve_bends_between_its_points(tmp_path: Path) -> None:
    """PSNR linear in the rate: straight lines over the log rate would lie .17 and .21 dB higher."""
    rates, curve = [0.1, 0.2, 0.4, 0.7, 1.0], tmp_path / "curve.json"
    curve.write_text(json.dumps({"results": {"bpp": rates, "psnr-rgb": [25 + 10 * rate for rate in rates]}}))
    for rate in (0.28, 0.55):
        assert published_psnr_db(curve, rate) == pytest.approx(25 + 10 * rate, abs=0.03)


def test_a_published_curve_is_read_between_its_points_only(tmp_path: Path) -> None:
    curve = tmp_path / "compressai-mbt2018-mean_mse_cuda.json"
    curve.write_text(json.dumps({"results": {"bpp": [0.4, 0.1], "psnr-rgb": [32.0, 28.0]}}))
    assert published_psnr_db(curve, 0.2) == pytest.approx(30.0)
    assert math.isnan(published_psnr_db(curve, 0.5))
    (tmp_path / "jpeg2000.json").write_text(json.dumps({"results": {"bpp": [0.5, 0.1], "psnr-rgb": [30.0, 20.0]}}))
    rows = [Measured(2.0, 1, bpp, 25.0, (24.0, 23.0, 22.0)) for bpp in (0.2, 0.5)]
    assert [line.split("|")[-3:-1] for line in table(rows, tmp_path).splitlines()[2:]] == [
        [" 30.00 ", " 24.31 "],
        [" – ", " 30.00 "],
    ]

"""ResiComp's weights measured by its codec, and kept in the plan only where they are better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.resicomp.codec import ResiComp, ResiCompSettings
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.weights import save_weights
from netcodecs.training import plan
from netcodecs.training.pieces import Piece
from netcodecs.training.resicomp import export as export_module
from netcodecs.training.resicomp.measure import mean_loss, measure, table
from netcodecs.training.resicomp.session import Session, averaged_model
from numpy.typing import NDArray
from PIL import Image

from netsim.codec import OperatingPoint
from netsim.metrics.psnr import psnr_db


@pytest.fixture
def here(photos: list[NDArray[np.uint8]], model: ResiCompModel, tmp_path: Path) -> Path:
    """Images, and weights in place of those that ship."""
    for name, photo in zip(("photos", "kept_validation"), photos, strict=True):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(photo[100:164, 100:180]).save(tmp_path / "data" / name / "a.png")
    save_weights(tmp_path / "weights" / "resicomp.safetensors", model)
    return tmp_path


def _spoiled(model: ResiCompModel, part: str) -> ResiCompModel:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(part):
                parameter.add_(10)
    return model


def test_the_rate_is_that_of_lc_and_half_of_the_tokens_are_lost(here: Path) -> None:
    weights, folder = here / "weights" / "resicomp.safetensors", here / "data" / "photos"
    rows = measure(weights, folder)
    assert rows == measure(weights, folder)  # the same losses at every call
    assert [(row.quality, row.images) for row in rows] == [(1.0, 1), (3.0, 1)]
    image = np.array(Image.open(folder / "a.png"))
    codec = ResiComp(ResiCompSettings(mode="LC", weights=weights))
    stream = codec.encode(image, OperatingPoint("quality", 3.0))
    assert rows[1].bpp == stream.bpp
    level = float(psnr_db(image, codec.decode(stream, np.ones((1, len(stream)), bool)))[0])
    assert (rows[1].psnr_db, -10 * np.log10(rows[1].mse)) == pytest.approx((level, level))
    assert f"{stream.bpp:.3f} | {level:.2f}" in table(rows)


def test_a_worse_concealment_counts_by_its_weight_alone(here: Path, model: ResiCompModel) -> None:
    folder, worse = here / "data" / "photos", here / "worse.safetensors"
    save_weights(worse, _spoiled(model, "transformer.value.2.bias"))
    first, other = measure(here / "weights" / "resicomp.safetensors", folder), measure(worse, folder)
    assert [(row.bpp, row.psnr_db) for row in other] == [(row.bpp, row.psnr_db) for row in first]
    assert mean_loss(other, alpha=0.0) == mean_loss(first, alpha=0.0)
    assert mean_loss(other, alpha=0.1) - mean_loss(first, alpha=0.1) > 0.01


@pytest.mark.parametrize("better", [True, False])
def test_of_a_piece_and_the_former_weights_the_better_stay(
    here: Path, model: ResiCompModel, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    weights, data = here / "weights" / "resicomp.safetensors", here / "data"
    monkeypatch.setattr(plan, "RUNS", here / "runs")
    monkeypatch.setattr(plan, "shipped_weights", lambda name: here / "weights" / f"{name}.safetensors")
    monkeypatch.setenv(plan.DATA, str(data))
    for name in (plan.TEST, plan.PUBLISHED):
        monkeypatch.delenv(name, raising=False)
    session = Session(weights, [data / "photos"], data / "kept_validation", batch=1, crop=64)
    assert session.train(here / "runs" / "a", steps=1, rate=1e-6) == 0
    if better:
        save_weights(weights, _spoiled(model, "transforms.g_s.0"))
    else:
        monkeypatch.setattr(
            export_module, "averaged_model", lambda checkpoint: _spoiled(averaged_model(checkpoint), "transforms.g_s.0")
        )
    former = weights.read_bytes()
    assert plan._exported(Piece("a", "resicomp", "resicomp", 1)) is better
    assert (weights.read_bytes() != former) is better
    assert weights.with_suffix(".md").exists() is better

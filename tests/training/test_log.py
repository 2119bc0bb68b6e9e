from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.training.clock import ActiveClock
from netcodecs.training.log import Log, progress_line
from netcodecs.training.recipe import Recipe
from netcodecs.training.trainer import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

SMALL = Recipe(widths=(12, 48, 128), crop=64)


@pytest.fixture
def trainer(photos: list[Tensor], started: Backbone) -> Trainer:
    return Trainer(SMALL, photos, start=started)


def test_hyperprior_alone_is_said_in_place_of_its_psnr() -> None:
    scalars = {"rate_bpp": 0.4, "psnr_db": math.nan, "loss": 0.4, "images_per_s": 2.5, "learning_rate": 4e-4}
    line = progress_line(scalars, 12, 3, 70)
    assert "0.400 bpp  hyperprior alone   2.5 images/s" in line
    assert "nan" not in line
    assert line.endswith("1 min left   3 skipped as spikes")


def test_line_events_and_curve_say_the_same(
    trainer: Trainer, photos: list[Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ActiveClock(100)
    log = Log(tmp_path, every_s=0)
    log.validation(trainer, clock, [photos[0][None, :, :64, :64].float() / 255])
    bpp, mse = torch.full((4,), 0.25), torch.full((4,), 1e-3)
    trainer.step_count = 7
    log.step(trainer, clock, (torch.full((4,), 2.0), bpp, mse))
    trainer.step_count = 8
    log.step(trainer, clock, (bpp, bpp, torch.zeros(4)))
    log.close(trainer, clock)
    first, line, alone = capsys.readouterr().out.splitlines()
    assert "validation" in first
    assert "step 7   0.250 bpp  30.00 dB  loss 2.000" in line
    assert "hyperprior alone" in alone
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert scalars["training/rate_bpp"] == [(7, 0.25), (8, 0.25)]
    assert scalars["training/distortion_mse"] == [(7, pytest.approx(65.025))]
    assert {"training/loss", "training/learning_rate", "training/images_per_s"} < set(scalars)
    with (tmp_path / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lambda"]) for row in rows] == list(LAMBDAS)
    for row in rows:
        for name in ("bpp", "psnr_db", "lossy_psnr_db", "loss"):
            step, value = scalars[f"validation_{name}/lambda_{row['lambda']}"][0]
            assert (step, value) == (0, pytest.approx(float(row[name])))


def test_what_was_logged_after_the_checkpoint_is_taken_away(
    trainer: Trainer, photos: list[Tensor], tmp_path: Path
) -> None:
    """A run that was killed goes on from an earlier step: each step stands in the curve and in the events once."""
    held_out, clock = [photos[0][None, :, :64, :64].float() / 255], ActiveClock(100)
    log = Log(tmp_path)
    for step in (0, 3, 5):
        trainer.step_count = step
        log.validation(trainer, clock, held_out)
    log.close(trainer, clock)
    log = Log(tmp_path, steps=3)
    for step in (3, 5):
        trainer.step_count = step
        log.validation(trainer, clock, held_out)
    log.close(trainer, clock)
    with (tmp_path / "validation.csv").open(newline="") as file:
        steps = [int(row["steps"]) for row in csv.DictReader(file)]
    assert steps == [step for step in (0, 3, 5) for _ in LAMBDAS]
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [e.step for e in events.Scalars(f"validation_bpp/lambda_{LAMBDAS[0]}")] == [0, 3, 5]

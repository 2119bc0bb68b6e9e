from __future__ import annotations

from pathlib import Path

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS
from netcodecs.training.progressive import ActiveClock, Recipe, Trainer
from torch import Tensor

from netsim.errors import InputError

SMALL = Recipe(widths=(12, 48, 128), crop=64)


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    states = {"model": trainer.backbone.state_dict(), "average": trainer.average.state_dict()}
    return {f"{kind}/{name}": tensor for kind, state in states.items() for name, tensor in state.items()}


def test_resumed_run_equals_an_uninterrupted_one(photos: list[Tensor], tmp_path: Path) -> None:
    whole = Trainer(SMALL, photos)
    for i in range(2):
        whole.step(i / 3)
    whole.save(tmp_path / "at2.safetensors", {"active_s": 2.0})
    last = whole.step(2 / 3)
    resumed = Trainer(SMALL, photos)
    assert resumed.load(tmp_path / "at2.safetensors")["active_s"] == 2.0
    again = resumed.step(2 / 3)
    assert whole.step_count == resumed.step_count == 3
    for a, b in zip(last, again, strict=True):
        assert torch.equal(a, b)
    other = _tensors(resumed)
    for name, tensor in _tensors(whole).items():
        assert torch.equal(tensor, other[name]), name
    assert not list(tmp_path.glob("*.partial"))


def test_training_lowers_the_loss_at_every_rate(photos: list[Tensor]) -> None:
    """The same crops before and after some steps: the start is good, training makes it better."""
    trainer = Trainer(
        Recipe(widths=(12, 48, 128), crop=64, rate=1e-4, hyper_rate=1e-4, warm=0.0001, average=0.5), photos[:1]
    )
    crops = torch.stack([photos[0][:, 64:192, 128:256], photos[0][:, 256:384, 256:384]]).float() / 255

    def loss(lam: float) -> float:
        with torch.no_grad():
            coded = trainer.average.eval()(crops, torch.full((2,), lam))
        mse = float(((coded.picture - crops) ** 2).mean())
        return lam * 255**2 * mse + float(coded.bits.mean()) / 128**2

    before = [loss(lam) for lam in LAMBDAS]
    for _ in range(12):
        trainer.step(0.1)
    assert all(loss(lam) < 0.99 * first for lam, first in zip(LAMBDAS, before, strict=True))


def test_spike_is_skipped(photos: list[Tensor]) -> None:
    trainer = Trainer(SMALL, photos)
    before = {name: tensor.clone() for name, tensor in trainer.backbone.model.g_a.state_dict().items()}
    with torch.no_grad():
        trainer.backbone.log_gain.fill_(float("nan"))
    trainer.step(0.5)
    assert trainer.skipped == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.backbone.model.g_a.state_dict().items())


def test_wrong_batch_is_refused(photos: list[Tensor]) -> None:
    with pytest.raises(InputError, match="batch 4"):
        Trainer(Recipe(batch=4), photos)


class _Time:
    def __init__(self) -> None:
        self.value = 1000.0

    def __call__(self) -> float:
        return self.value


def test_pause_is_not_work() -> None:
    time = _Time()
    clock = ActiveClock(100, now=time)
    for gap in (20, 500, 5):
        time.value += gap
        share = clock.tick()
    assert clock.active_s == 25
    assert share == 0.25


def test_stop_is_absolute_and_the_share_lands_on_it() -> None:
    time = _Time()
    clock = ActiveClock(100, stop_at=1060, now=time)
    time.value = 1015
    assert clock.tick() == pytest.approx(15 / 60)
    time.value = 1045.5  # a pause: fifteen seconds of work are done, 14.5 are left
    assert clock.tick() == pytest.approx(15 / (15 + 14.5))
    time.value = 1060
    assert clock.tick() == 1.0

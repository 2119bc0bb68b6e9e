"""ResiComp's trainer: resumes exactly, learns, and refuses what can't be run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.checkpoint import save_tensors
from netcodecs.training.masked.log import KNOWN, validate
from netcodecs.training.masked.recipe import Recipe
from netcodecs.training.masked.trainer import Trainer
from netcodecs.training.masked.transforms import of_transforms
from torch import Tensor

from netsim.errors import InputError


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    modules = {
        "model": trainer.network,
        "average": trainer.average,
        "transforms": trainer.backbone,
        "average_transforms": trainer.average_backbone,
    }
    return {f"{kind}/{n}": t for kind, module in modules.items() for n, t in module.state_dict().items()}


@pytest.mark.parametrize(
    "settings", [{}, {"heads": "density"}, {"transforms_too": True, "lambda_warm_up": 0.5}], ids=str
)
def test_resumed_run_equals_an_uninterrupted_one(
    settings: dict[str, Any], recipe: Recipe, started: Backbone, pictures: list[Tensor], tmp_path: Path
) -> None:
    recipe = replace(recipe, **settings)
    whole = Trainer(recipe, pictures, started)
    for share in (0.0, 0.4):
        whole.step(share)
    whole.save(tmp_path / "at2.safetensors", {"active_s": 2.0})
    last = whole.step(0.7)
    resumed = Trainer(recipe, pictures, started)
    assert resumed.load(tmp_path / "at2.safetensors")["active_s"] == 2.0
    again = resumed.step(0.7)
    assert whole.step_count == resumed.step_count == 3
    for a, b in zip(last, again, strict=True):
        assert torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
    other = _tensors(resumed)
    for name, tensor in _tensors(whole).items():
        assert torch.equal(tensor, other[name]), name


def test_checkpoint_of_another_recipe_is_refused(
    recipe: Recipe, started: Backbone, pictures: list[Tensor], tmp_path: Path
) -> None:
    Trainer(recipe, pictures, started).save(tmp_path / "a.safetensors", {})
    with pytest.raises(InputError, match="heads both, not value"):
        Trainer(replace(recipe, heads="value"), pictures, started).load(tmp_path / "a.safetensors")
    save_tensors(tmp_path / "b.safetensors", {}, {"recipe": {"method": "random"}})
    with pytest.raises(InputError, match="is no checkpoint of resicomp: its recipe has `method`"):
        Trainer(recipe, pictures, started).load(tmp_path / "b.safetensors")


@pytest.mark.parametrize("through", [False, True], ids=["latents", "pictures"])
def test_loss_falls_on_a_repeated_batch(
    through: bool, recipe: Recipe, started: Backbone, pictures: list[Tensor]
) -> None:
    """The same crops, masks, λ and noise at each step."""
    trainer = Trainer(replace(recipe, transforms_too=through, warm=1e-4, rate=3e-3), pictures, started)
    state = trainer.generator.get_state()
    losses = []
    for _ in range(8):
        trainer.generator.set_state(state)
        losses.append(float(trainer.step(0.1)[0].mean()))
    assert losses[-1] < 0.9 * losses[0]
    assert trainer.spikes.skipped == 0


def test_only_what_learns_changes(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    changed = {}
    for heads in ("density", "value"):
        trainer = Trainer(replace(recipe, heads=heads), pictures, started)
        before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
        for _ in range(2):  # SOAP's first only measures
            trainer.step(0.5)
        after = trainer.network.state_dict()
        changed[heads] = {name.split(".")[0] for name, tensor in before.items() if not torch.equal(after[name], tensor)}
        assert all(torch.equal(t, started.state_dict()[n]) for n, t in trainer.backbone.state_dict().items())
    assert "value" not in changed["density"]
    assert "density" not in changed["value"]
    assert {"blocks", "embedding", "mask_token"} <= changed["density"] & changed["value"]


def test_transforms_learn_and_their_average_follows(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    trainer = Trainer(replace(recipe, transforms_too=True), pictures, started)
    trainer.step(0.5)
    now, mean = of_transforms(trainer.backbone), of_transforms(trainer.average_backbone)
    first = of_transforms(started)
    assert {"model.g_a.0.weight", "model.g_s.6.weight", "log_gain", "log_inverse_gain"} < set(now)
    for name in ("model.g_a.0.weight", "model.g_s.6.weight", "log_gain"):
        assert not torch.equal(now[name], first[name])
        torch.testing.assert_close(mean[name], first[name] + (now[name] - first[name]) * (1 - 2 / 11))


def test_warm_up_weighs_distortion_ten_times(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    recipe = replace(recipe, transforms_too=True, alpha=0.1)
    plain, warm = (Trainer(r, pictures, started) for r in (recipe, replace(recipe, lambda_warm_up=0.5)))
    losses, warmed = plain.step(0.2), warm.step(0.2)
    torch.testing.assert_close(warmed[0] - warmed[1], 10 * (losses[0] - losses[1]))


def test_bfloat16_step_is_about_the_same_step(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    for settings in ({}, {"transforms_too": True}):
        single, half = (Trainer(replace(recipe, bf16=bf16, **settings), pictures, started) for bf16 in (False, True))
        for ours, theirs in zip(half.step(0.5), single.step(0.5), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0.1, atol=0, equal_nan=True)
        assert half.spikes.skipped == 0


def test_validation_is_the_same_at_every_call(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    trainer = Trainer(recipe, pictures, started)
    rows = validate(trainer, trainer.latents)
    assert [row["known"] for row in rows] == list(KNOWN)
    trainer.generator.manual_seed(99)
    assert str(validate(trainer, trainer.latents)) == str(rows)
    assert all(row["bpp"] > 0 for row in rows)


def test_whole_range_of_the_transforms_can_be_drawn(recipe: Recipe, started: Backbone, pictures: list[Tensor]) -> None:
    low, high = started.lambdas[0], started.lambdas[-1]
    Trainer(replace(recipe, lambdas=(low, high)), pictures, started).step(0.5)
    with pytest.raises(InputError, match=r"λ from 0.0005 to 0.02"):
        Trainer(replace(recipe, lambdas=(low, 0.02)), pictures, started)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch": 0}, "batch 0"),
        ({"side": 6}, "crop 96"),
        ({"size": "papr"}, "no size `papr`"),
        ({"heads": "plc"}, "no heads `plc`"),
        ({"rate": float("nan")}, "rate nan"),
        ({"transforms_rate": 0.0}, "transforms_rate 0.0"),
        ({"alpha": -0.1}, "alpha -0.1"),
        ({"lambdas": (0.01, 0.001)}, "lambdas 0.01 0.001"),
        ({"lambda_warm_up": 0.1}, "a λ warm-up without training the transforms"),
        ({"lambda_warm_up": 1.0, "transforms_too": True}, "lambda_warm_up 1.0"),
        ({"heads": "value", "transforms_too": True}, "transforms_too with heads value"),
        ({"heads": "value", "alpha": 0.0}, "heads value with alpha 0"),
    ],
    ids=str,
)
def test_recipe_that_cannot_be_run_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Recipe(**settings).checked()
    assert asdict(Recipe().checked()) == asdict(Recipe())

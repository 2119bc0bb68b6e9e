from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.training.crops import areas_of, random_crops
from netcodecs.training.recipe import Recipe
from netcodecs.training.steps import Spikes
from netcodecs.training.trainer import Trainer, network_of
from torch import Tensor

from netsim.errors import InputError

SMALL = Recipe(widths=(12, 48, 128), crop=64)


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    states = {"model": trainer.backbone.state_dict(), "average": trainer.average.state_dict()}
    return {f"{kind}/{name}": tensor for kind, state in states.items() for name, tensor in state.items()}


@pytest.mark.parametrize(("method", "shares"), [("mbt-mean", (0.0, 0.3, 0.7)), ("scr-mca-ge", (0.05, 0.4, 0.6))])
def test_resumed_run_equals_an_uninterrupted_one(
    method: str, shares: tuple[float, ...], photos: list[Tensor], tmp_path: Path
) -> None:
    recipe = replace(SMALL, method=method, hyper_first=0.35)
    whole = Trainer(recipe, photos)
    for share in shares[:2]:
        whole.step(share)
    whole.save(tmp_path / "at2.safetensors", {"active_s": 2.0})
    last = whole.step(shares[2])
    resumed = Trainer(recipe, photos, start=network_of(recipe), own=True)
    assert resumed.load(tmp_path / "at2.safetensors")["active_s"] == 2.0
    again = resumed.step(shares[2])
    assert whole.step_count == resumed.step_count == 3
    for a, b in zip(last, again, strict=True):
        assert torch.equal(a, b)
    other = _tensors(resumed)
    for name, tensor in _tensors(whole).items():
        assert torch.equal(tensor, other[name]), name
    assert not list(tmp_path.glob("*.partial"))


def test_checkpoint_of_another_recipe_is_refused(photos: list[Tensor], started: Backbone, tmp_path: Path) -> None:
    Trainer(SMALL, photos, start=started).save(tmp_path / "a.safetensors", {})
    other = Trainer(replace(SMALL, method="random", batch=8), photos, start=started)
    with pytest.raises(InputError, match="method mbt-mean, not random, batch 4, not 8"):
        other.load(tmp_path / "a.safetensors")


def test_hyperprior_learns_alone_at_first_where_channels_were_mixed(photos: list[Tensor], started: Backbone) -> None:
    trainer = Trainer(replace(SMALL, method="scr-mca-ge", hyper_first=0.15), photos, start=started)
    before = {name: p.detach().clone() for name, p in trainer.backbone.named_parameters()}
    losses = trainer.step(0.05)
    assert len(losses[0]) == 4 * SMALL.batch
    trainer.step(0.1)
    changed = {n.split(".")[1] for n, p in trainer.backbone.named_parameters() if not torch.equal(before[n], p)}
    assert changed == {"h_a", "h_s", "entropy_bottleneck"}
    assert bool((losses[2] == 0).all())
    trainer.step(trainer.recipe.hyper_first)
    changed = {n for n, p in trainer.backbone.named_parameters() if not torch.equal(before[n], p)}
    assert {"aggregation.fusion.bias", "model.g_a.0.bias", "log_gain"} < changed


def test_channels_come_in_order_with_tail_drop_alone(photos: list[Tensor], started: Backbone) -> None:
    """progdtd has no module that tells it from the baseline; its own networks stay in the order that they learned."""
    recipe, before = replace(SMALL, method="progdtd"), started.model.g_a[-1].weight
    begun = Trainer(recipe, photos, start=started).backbone.model.g_a[-1].weight
    assert not torch.equal(begun, before)
    assert torch.equal(begun.flatten(1).abs().sum(1).sort()[0], before.flatten(1).abs().sum(1).sort()[0])
    assert torch.equal(Trainer(recipe, photos, start=started, own=True).backbone.model.g_a[-1].weight, before)


def test_the_masks_layers_learn_slowly(photos: list[Tensor], started: Backbone) -> None:
    """Steps of the 1,728 weights that hear a mask add up; what MCA begins with must not be lost in the first ones."""
    trainer = Trainer(replace(SMALL, method="scr-mca-u", hyper_first=0.0, rate=1e-3), photos, start=started)
    module = trainer.backbone.aggregation
    assert module is not None
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    losses = [float(trainer.step(0.5)[0].mean()) for _ in range(4)]
    assert max(losses) < 30
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in module.named_parameters()}
    assert 0 < moved["first.weight"] < 0.05 * moved["fusion.weight"]


def test_hyperprior_alone_to_the_end(photos: list[Tensor], started: Backbone) -> None:
    """On latents as g_a makes them: the first loss is what the network says of the same crops."""
    trainer = Trainer(replace(SMALL, hyper_first=1.0, crop=256), photos[:1], start=started)
    _, bpp, mse = trainer.step(1.0)
    assert not mse.any()
    with torch.no_grad():
        whole = photos[0][None, :, :256, :256].float() / 255
        expected = [float(started.train()(whole, torch.tensor([lam])).bits) / 256**2 for lam in LAMBDAS]
    started.eval()
    assert bpp.view(-1, len(LAMBDAS)).mean(0).tolist() == pytest.approx(expected, rel=0.5)
    before = started.state_dict()
    changed = {n.split(".")[1] for n, t in trainer.backbone.state_dict().items() if not torch.equal(before[n], t)}
    assert changed == {"h_a", "h_s", "entropy_bottleneck"}


def test_bfloat16_step_is_about_the_same_step(photos: list[Tensor], started: Backbone) -> None:
    """GDN, the hyperprior and the rate stay in single precision, also while the hyperprior learns alone."""
    recipe = replace(SMALL, method="scr-mca-ge", hyper_first=0.15)
    single, half = (Trainer(replace(recipe, bf16=bf16), photos, start=started) for bf16 in (False, True))
    dtypes: list[torch.dtype] = []
    for layer in (half.backbone.model.g_a[1], half.backbone.model.h_a[0]):
        layer.register_forward_hook(lambda _, __, output: dtypes.append(output.dtype))
    for ours, theirs in zip(half.step(0.5), single.step(0.5), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.2, atol=0)  # a symbol that rounds the other way is a step
    half.step(0.05)
    assert dtypes == (2 + len(photos) + 1) * [torch.float32]  # the latents of all pictures are made anew
    assert half.skipped == 0


def test_training_lowers_the_loss_at_every_rate(photos: list[Tensor]) -> None:
    """The same crops before and after some steps: the start is good, training makes it better."""
    trainer = Trainer(
        Recipe(widths=(12, 48, 128), crop=128, rate=2e-4, hyper_rate=2e-4, warm=0.0001, average=0.5), photos[:1]
    )
    crops = torch.stack([photos[0][:, 64:192, 128:256], photos[0][:, 256:384, 256:384]]).float() / 255

    def loss(lam: float) -> float:
        with torch.no_grad():
            coded = trainer.average.eval()(crops, torch.full((2,), lam))
        mse = float(((coded.picture - crops) ** 2).mean())
        return lam * 255**2 * mse + float(coded.bits.mean()) / 128**2

    before = [loss(lam) for lam in LAMBDAS]
    for _ in range(7):
        trainer.step(0.1)
    assert all(loss(lam) < 0.97 * first for lam, first in zip(LAMBDAS, before, strict=True))


def test_spike_is_skipped(photos: list[Tensor]) -> None:
    trainer = Trainer(SMALL, photos)
    before = {name: tensor.clone() for name, tensor in trainer.backbone.model.g_a.state_dict().items()}
    with torch.no_grad():
        trainer.backbone.log_gain.fill_(float("nan"))
    trainer.step(0.5)
    assert trainer.skipped == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.backbone.model.g_a.state_dict().items())


def test_gradients_that_have_grown_for_good_stop_being_spikes() -> None:
    spikes = Spikes()
    spikes.usual_norm = 1.0
    while spikes.is_one(30.0, steps=101):
        assert spikes.usual_norm < 30
    assert spikes.skipped == 7  # 1.2⁷ > 3
    assert not spikes.is_one(1000.0, steps=100)  # too early to know what is usual


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch": 6}, "batch 6"),
        ({"batch": 0}, "batch 0"),
        ({"crop": 100}, "crop 100"),
        ({"widths": (12, 48, 256)}, "widths 12 48 256"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"hyper_rate": float("nan")}, "hyper_rate nan"),
        ({"hyper_first": 1.1}, "hyper_first 1.1"),
        ({"method": "scr"}, "no method `scr`"),
    ],
    ids=str,
)
def test_recipe_that_cannot_be_run_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Recipe(**settings).checked()


def test_no_crop_waits_for_a_gpu(photos: list[Tensor]) -> None:
    """Pictures without contents: any look at one of their pixels from the processor would raise."""
    crops = random_crops([p.to("meta") for p in photos], 24, 64, torch.Generator().manual_seed(0))
    assert crops.shape == (24, 3, 64, 64)
    assert crops.device.type == "meta"


def test_crops_are_parts_of_the_pictures_and_the_same_with_known_areas(photos: list[Tensor]) -> None:
    marked = [torch.full_like(p, 50 * i) for i, p in enumerate(photos, 1)]
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    crops = random_crops(marked, 60, 64, generators[0])
    assert torch.equal(crops, random_crops(marked, 60, 64, generators[1], areas_of(marked)))
    found = (255 * crops).round().flatten(1)
    assert bool((found == found[:, :1]).all())
    assert set(found[:, 0].int().tolist()) == {50, 100, 150}

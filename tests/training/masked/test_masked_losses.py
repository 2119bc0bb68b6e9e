"""Rate and concealment are of masked tokens, and of these alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from netcodecs.progressive.backbone import Backbone, M
from netcodecs.resicomp.transformer import MIDDLE_RATE, DualTransformer, Size
from netcodecs.training.latents import latents_of, random_tokens
from netcodecs.training.masked.latents import error_factor, known_tokens, usual_spread
from netcodecs.training.masked.losses import masked_losses, picture_losses
from torch import Tensor


@pytest.fixture
def network(tiny: Size) -> DualTransformer:
    torch.manual_seed(3)
    made = DualTransformer(M, tiny)
    for parameter in made.parameters():  # beyond its careful beginning, so that everything depends on everything
        parameter.data += 0.05 * torch.randn_like(parameter)
    return made


def _case(seed: int = 0) -> dict[str, Any]:
    """Two latents of 8 × 4 tokens, the second one all masked."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(M, generator=generator) + 0.5
    latent = torch.randn(2, 8, 4, M, generator=generator) * spread
    known = known_tokens(torch.tensor([0.4, 1.0]), 8, 4, generator)
    lam = torch.tensor([0.0035, 0.001])
    return {"latent": latent, "known": known, "gain": torch.ones(2, M), "spread": spread, "lam": lam, "factor": 2.0}


@torch.no_grad()
def test_known_tokens_cost_nothing_and_need_no_concealment(network: DualTransformer) -> None:
    """A network that hears nothing: the known tokens' values then change neither their own bits nor others'."""
    case = _case()
    network.embedding.weight.zero_()
    first = masked_losses(network, **case)
    case["latent"] = torch.where(case["known"][..., None], 30 + 5 * case["latent"], case["latent"])
    again = masked_losses(network, **case)
    assert torch.equal(first.bpp, again.bpp)
    assert torch.equal(first.concealed, again.concealed)
    case["latent"] = torch.where(case["known"][..., None], case["latent"], 5 * case["latent"])
    assert bool((masked_losses(network, **case).bpp > first.bpp).all())


@torch.no_grad()
def test_known_tokens_are_context(network: DualTransformer) -> None:
    case = _case()
    first = masked_losses(network, **case)
    case["latent"] = torch.where(case["known"][..., None], 3 + case["latent"], case["latent"])
    again = masked_losses(network, **case)
    assert first.bpp[0] != again.bpp[0]
    assert first.concealed[0] != again.concealed[0]
    assert torch.equal(first.bpp[1], again.bpp[1])  # nothing was known of it


@torch.no_grad()
def test_masked_tokens_are_not_seen(network: DualTransformer) -> None:
    """The guess is the same whatever the masked tokens are: the error is then a parabola of one of them."""
    case = _case()
    row, column = (int(v) for v in torch.nonzero(~case["known"][0])[0])
    errors = []
    for value in (-1.0, 0.0, 1.0):
        case["latent"][0, row, column, 7] = value
        errors.append(float(masked_losses(network, **case).concealed[0].double()))
    masked = int((~case["known"][0]).sum())
    assert errors[0] - 2 * errors[1] + errors[2] == pytest.approx(2 * case["factor"] / masked, rel=0.01)


@torch.no_grad()
def test_rate_is_the_mean_of_what_each_token_costs(network: DualTransformer) -> None:
    case = _case()
    whole = masked_losses(network, **case)
    hidden = network.hidden(
        torch.round(case["latent"]) / case["spread"], case["known"], torch.log(case["lam"] / MIDDLE_RATE)
    )
    logits, means, scales = (part[1] for part in network.densities(hidden))
    spread, symbols = case["spread"], torch.round(case["latent"][1]).unsqueeze(-2)
    normal = torch.distributions.Normal(means * spread, scales * spread)
    mass = (logits.softmax(-2) * (normal.cdf(symbols + 0.5) - normal.cdf(symbols - 0.5))).sum(-2)
    bits = -torch.log2(mass).sum() / (8 * 4 * 256)
    assert float(whole.bpp[1]) == pytest.approx(float(bits), rel=1e-3)


def test_one_head_alone_leaves_the_other_out(network: DualTransformer) -> None:
    case = _case()
    both = masked_losses(network, **case)
    density, value = (masked_losses(network, **case, heads=heads) for heads in ("density", "value"))
    assert torch.equal(density.bpp, both.bpp)
    assert torch.equal(value.concealed, both.concealed)
    for missing in (density.concealed, value.bpp, both.mse):
        assert bool(missing.isnan().all())
    density.bpp.sum().backward()
    assert network.value[0].weight.grad is None


def test_pictures_teach_the_transforms(network: DualTransformer, started: Backbone, pictures: list[Tensor]) -> None:
    """Gradients reach g_a from the rate and from both pictures; all known: the concealed picture is the loss-free."""
    backbone = Backbone(started.widths)
    backbone.load_state_dict(started.state_dict())
    spread = usual_spread(latents_of(backbone, pictures))
    picture = torch.stack([p[:, :64, :64] for p in pictures]).float() / 255
    lam, noise = torch.tensor([0.0035, 0.002]), torch.rand(2, 4, 4, M) - 0.5
    known = known_tokens(torch.tensor([0.0, 0.5]), 4, 4, torch.Generator().manual_seed(0))
    measured = picture_losses(network, backbone, picture, known, spread, lam, noise)
    assert float(measured.bpp[0]) == 0
    assert float(measured.concealed[0]) == pytest.approx(float(measured.mse[0]), rel=1e-4)
    assert float(measured.concealed[1]) > float(measured.mse[1])
    first = backbone.model.g_a[0].weight
    for part in (measured.bpp, measured.mse, measured.concealed):
        first.grad = None
        part[1].backward(retain_graph=True)
        assert float(first.grad.abs().max()) > 0
    shown = picture_losses(network, backbone, picture, known, spread, lam, None)
    gain, inverse = backbone.gains(lam)
    decoded = backbone.model.g_s(torch.round(backbone.model.g_a(picture) * gain) * inverse)
    error = ((decoded.clamp(0, 1) * 255).round() / 255 - picture).square().flatten(1).mean(1)
    torch.testing.assert_close(shown.mse, error.detach(), rtol=1e-3, atol=0)


def test_share_of_known_tokens() -> None:
    """⌈N·r⌉ are masked (ResiComp, §III-B), other ones each time."""
    generator = torch.Generator().manual_seed(1)
    shares = torch.tensor([0.0, 0.01, 0.5, 0.9999, 1.0])
    known = known_tokens(shares, 8, 12, generator)
    assert known.flatten(1).sum(1).tolist() == [96 - math.ceil(96 * r) for r in (0.0, 0.01, 0.5, 0.9999, 1.0)]
    assert not torch.equal(known[2], known_tokens(shares, 8, 12, generator)[2])


def test_crops_are_parts_of_the_latents() -> None:
    latents = [torch.full((4, 4, 2), 1.0), torch.full((8, 12, 2), 2.0)]
    areas = torch.tensor([16.0, 96.0])
    crops = random_tokens(latents, 40, 4, torch.Generator().manual_seed(0), areas)
    assert crops.shape == (40, 4, 4, 2)
    assert set(crops.flatten(1)[:, 0].tolist()) == {1.0, 2.0}
    assert torch.equal(crops.flatten(1).amin(1), crops.flatten(1).amax(1))


def test_factor_brings_a_latents_error_to_the_pictures(started: Backbone, pictures: list[Tensor]) -> None:
    """Measured on noise, it foretells the error of another noise."""
    latents = latents_of(started, pictures)
    factor = error_factor(started, latents)
    assert factor == pytest.approx(error_factor(started, latents, seed=1), rel=0.2)
    assert factor > 0

from __future__ import annotations

import copy

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.progressive.methods import method_named
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.training.begin import begun
from netcodecs.training.means import tell_means
from torch import Tensor

LUMA = 0  # the lowest band of the start, with the largest variance


@pytest.fixture
def smooth(photos: list[Tensor]) -> Tensor:
    """A picture that changes slowly, (1, 3, 256, 256), 0…1, and has details, too."""
    picture = torch.nn.functional.interpolate(photos[0][None].float() / 255, scale_factor=0.5, mode="area")
    return picture[:, :, :256, :256]


def left(backbone: Backbone, latent: Tensor, lam: float) -> float:
    """Squared error of the first channel's means, as a share of its variance."""
    with torch.no_grad():
        gained = latent * backbone.gains(torch.tensor([lam]))[0]
        coded = rearranged(gained) if backbone.scr else gained
        means = backbone.entropy_parameters(backbone.model.h_a(coded))[1]
        means = rearranged(means) if backbone.scr else means
        return float((gained - means)[:, LUMA].square().mean() / gained[:, LUMA].var())


@pytest.mark.parametrize("method", ["mbt-mean", "scr-mca-ge"])
def test_means_that_the_hyperprior_did_not_know(method: str, started: Backbone, smooth: Tensor) -> None:
    backbone = copy.deepcopy(started if method == "mbt-mean" else begun(started, method_named(method), [smooth]))
    with torch.no_grad():
        latent = backbone.model.g_a(smooth)
        rates = [float(backbone.eval()(smooth, torch.tensor([lam])).bits) for lam in LAMBDAS]
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    errors = [left(backbone, latent, lam) for lam in LAMBDAS]
    told = tell_means(backbone, [latent])
    assert LUMA in told
    shares = [left(backbone, latent, lam) / error for lam, error in zip(LAMBDAS, errors, strict=True)]
    assert max(shares) < 0.75  # at the lowest rate, where the same step is a coarse one
    assert min(shares) < 0.5
    changed = {n.split(".")[1] for n, t in backbone.state_dict().items() if not torch.equal(before[n], t)}
    assert changed == {"h_a", "h_s", "entropy_bottleneck"}
    with torch.no_grad():
        again = [float(backbone(smooth, torch.tensor([lam])).bits) for lam in LAMBDAS]
    ratios = [now / then for now, then in zip(again, rates, strict=True)]
    assert ratios[0] < 0.97  # the more a mean is of the rate, the more it helps
    assert max(ratios) < 1.03


def test_a_hyperprior_that_predicts_well_is_left_alone(started: Backbone, smooth: Tensor) -> None:
    backbone = copy.deepcopy(started)
    with torch.no_grad():
        latent = backbone.model.g_a(smooth)
    assert tell_means(backbone, [latent])
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    assert not tell_means(backbone, [latent])
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())


@torch.no_grad()
def test_a_silent_channel_has_nothing_to_tell(started: Backbone, smooth: Tensor) -> None:
    backbone = copy.deepcopy(started)
    backbone.model.g_a[-1].weight[LUMA] = 0
    backbone.model.g_a[-1].bias[LUMA] = 0
    assert LUMA not in tell_means(backbone, [backbone.model.g_a(smooth)])

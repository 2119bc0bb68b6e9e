"""ELIC's transforms: CompressAI's own, at the paper's size, with the backbone's gains around them."""

from __future__ import annotations

import torch
from netcodecs.compressai_import import compressai
from netcodecs.transforms.elic import elic_analysis, elic_synthesis
from netcodecs.transforms.gained import LATENT_CHANNELS as M
from netcodecs.transforms.gained import GainedTransforms, TransformKind
from torch import nn


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@torch.no_grad()
def test_paper_size_is_elic_with_256_channels_and_a_latent_of_192() -> None:
    widths = (256, 256, 256)
    analysis, synthesis = elic_analysis(widths, M), elic_synthesis(widths, M)
    theirs = compressai.models.sensetime.Elic2022Official(256, 192)
    theirs.g_a.load_state_dict(analysis.state_dict())  # the same layers in the same places
    theirs.g_s.load_state_dict(synthesis.state_dict())
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    latent = analysis(image)
    assert latent.shape == (1, 192, 4, 4)
    assert torch.equal(latent, theirs.g_a(image))
    shown = synthesis(latent)
    assert shown.shape == (1, 3, 64, 64)
    assert torch.equal(shown, theirs.g_s(latent))
    assert parameters(analysis, synthesis) == parameters(theirs.g_a, theirs.g_s)


def test_transforms_of_that_kind_have_gains() -> None:
    elic = GainedTransforms(TransformKind("elic", (12, 48, 128)))
    gain, inverse = elic.gains(torch.tensor([0.0035]))
    image = torch.rand(1, 3, 64, 64)
    latent = elic.analysed(image, gain)
    torch.testing.assert_close(latent, elic.g_a(image) * gain)
    assert elic.g_s(latent * inverse).shape == image.shape

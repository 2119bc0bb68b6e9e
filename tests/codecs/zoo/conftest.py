"""Small models of CompressAI with random weights, as checkpoints: untrained, but better than a grey image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.zoo.channels import Bmshj2018Factorized, Bmshj2018Hyperprior, Mbt2018Mean
from netcodecs.zoo.ladder import LadderCodec
from netcodecs.zoo.sequential import Cheng2020Anchor, Cheng2020Attention, Mbt2018
from netcodecs.zoo.sliced import Elic
from skimage import data
from torch import Tensor, nn

from netsim.codec import Image

IMAGE: Image = np.ascontiguousarray(data.coffee()[100:164, 200:328])
CODECS: dict[str, type[LadderCodec]] = {
    kind.name: kind
    for kind in (
        Bmshj2018Factorized,
        Bmshj2018Hyperprior,
        Mbt2018Mean,
        Mbt2018,
        Cheng2020Anchor,
        Cheng2020Attention,
        Elic,
    )
}
_models = compressai.models
_MAKERS: dict[str, Callable[[], Any]] = {
    "bmshj2018-factorized": lambda: _models.FactorizedPrior(8, 12),
    "bmshj2018-hyperprior": lambda: _models.ScaleHyperprior(8, 12),
    "mbt2018-mean": lambda: _models.MeanScaleHyperprior(8, 12),
    "mbt2018": lambda: _models.JointAutoregressiveHierarchicalPriors(8, 12),
    "cheng2020-anchor": lambda: _models.Cheng2020Anchor(12),
    "cheng2020-attn": lambda: _models.Cheng2020Attention(12),
    "elic": lambda: _models.Elic2022Official(N=8, M=20, groups=[2, 2, 4, 4, 8]),
}


def as_tensor(image: Image) -> Tensor:
    """(1, 3, H, W), 0…1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def small_model(name: str, spread: float = 3.0, seed: int = 0) -> Any:
    """A model whose latent has the given spread, so that there is something to code, and whose g_s shows it.

    Its images have the mean colour of ``IMAGE``.
    """
    torch.manual_seed(seed)
    model = _MAKERS[name]().eval()
    x = as_tensor(IMAGE)
    last = [layer for layer in model.g_a.modules() if isinstance(layer, nn.Conv2d)][-1]
    if name in ("cheng2020-attn", "elic"):  # behind the last attention nothing scales alone
        last = [layer for layer in model.g_a if isinstance(layer, nn.Conv2d)][-1]
    last.weight *= spread / float(model.g_a(x).std())
    y = model.g_a(x)
    shown = [layer for layer in model.g_s.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)][-1]
    deviation = model.g_s(torch.round(y)).std()
    shown.weight *= 0.02 / deviation
    shown.bias.zero_()
    colours = x.mean((0, 2, 3)) - model.g_s(torch.round(y)).mean((0, 2, 3))
    shown.bias.copy_(colours.repeat_interleave(len(shown.bias) // 3))
    _spread_scales(model, name)
    return model


def _spread_scales(model: Any, name: str) -> None:
    """Entropy parameters near the latent's spread, as trained ones have."""
    if name == "bmshj2018-factorized":
        return
    layers = model.h_s if name in ("bmshj2018-hyperprior", "mbt2018-mean") else None
    if layers is None and name != "elic":
        layers = model.entropy_parameters
    if layers is None:
        for group in model.latent_codec["y"].latent_codec.values():
            last = [layer for layer in group.entropy_parameters if isinstance(layer, nn.Conv2d)][-1]
            last.bias[: len(last.bias) // 2] = 2.0
        return
    last = [layer for layer in layers if isinstance(layer, nn.Conv2d)][-1]
    scales = len(last.bias) if name == "bmshj2018-hyperprior" else len(last.bias) // 2
    last.bias[:scales] = 2.0


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each model."""
    folder = tmp_path_factory.mktemp("zoo")
    made = {}
    for name in CODECS:
        made[name] = folder / f"{name}.pth.tar"
        torch.save(small_model(name).state_dict(), made[name])
    return made


@pytest.fixture
def codec_of(checkpoints: dict[str, Path]) -> Callable[..., LadderCodec]:
    """Makes a codec with its checkpoint as quality 1."""

    def make(name: str, **settings: Any) -> LadderCodec:
        kind = CODECS[name]
        return kind(kind.Settings(**{"weights": checkpoints[name], **settings}))

    return make


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

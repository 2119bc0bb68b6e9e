"""More blocks for the g_s of all methods of paper 1 together.

All else in the networks stays as it is, so the rates and the bytes of all streams do, too. The new blocks are the same
in all methods: they are stored once, with the baseline, and an ablation still compares nothing but its modules. A new
block begins as the identity, and a step asks how far the error has fallen against the network without the blocks, for
latents as each method receives them, a quarter of them with the losses that it is trained for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, ChannelMask, M, N
from netcodecs.progressive.methods import METHODS, Method
from netcodecs.training.core.crops import RandomCrops, centre_crop
from netcodecs.training.progressive.channel_masks import received_by, sample_channel_mask
from netcodecs.training.progressive.objective import grouping
from netcodecs.transforms.blocks import ResidualBlock, whiten
from netcodecs.transforms.residual import ResidualSize, step_size

__all__ = ["BASELINE", "DeeperSynthesis", "MoreBlocks"]

BASELINE = "mbt-mean"
_BASELINE_SHARE = 0.3  # of the steps; the other methods share the rest
_LOSSY_SHARE = 0.25  # of the other methods' steps: what is lost can't be learned here, and its error is noise
_FLOOR = 0.1  # of the distortion at high rates: crops that are better than that count no more than it
_MOST = 8.0  # times its former error that a crop may count


class MoreBlocks(nn.Module):
    """New residual blocks of g_s: behind the last one at stride 16, and behind the last one at stride 8.

    Args:
        size: Of the synthesis that gets ``more_16`` and ``more_8`` blocks.
    """

    def __init__(self, size: ResidualSize) -> None:
        super().__init__()
        self.at_16 = nn.Sequential(*(ResidualBlock(size.channels_16) for _ in range(size.more_16)))
        self.at_8 = nn.Sequential(*(ResidualBlock(size.channels_8) for _ in range(size.more_8)))


class _Parts(nn.Module):
    """A network's g_s, cut where new blocks come."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        layers = list(network.g_s.children())
        up = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.ConvTranspose2d))
        self.at_16, self.at_8, self.last = nn.Sequential(*layers[:up]), nn.Sequential(*layers[up:-1]), layers[-1]


class DeeperSynthesis:
    """The error of all methods with the new blocks, as a share of their error without.

    Args:
        networks: By method; they don't learn.
        size: Of the deeper synthesis.
        crops: Training images.
        held_out: Validation images, uint8 (H, W, 3).
        batch: Crops per step, all of one method.
        device: Of the networks.
    """

    statistics = ("error",)

    def __init__(
        self,
        networks: Mapping[str, Backbone],
        size: ResidualSize,
        crops: RandomCrops,
        held_out: Sequence[NDArray[np.uint8]],
        *,
        batch: int,
        device: str = "cpu",
    ) -> None:
        self._device = device
        self._networks = {name: network.eval().requires_grad_(False).to(device) for name, network in networks.items()}
        self._parts = {name: _Parts(network) for name, network in networks.items()}
        self._crops, self._batch = crops, batch
        self._held_out = [centre_crop(image).to(device) for image in held_out]
        self.network = MoreBlocks(size).to(device)
        self._whiten()

    def grouping(self, name: str, parameter: nn.Parameter) -> tuple[str, float]:
        """See ``netcodecs.training.progressive.objective.grouping``."""
        return grouping(name, parameter)

    def loss(self, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        """Mean over a batch, whose λ take turns, of a crop's squared error over what it was."""
        name = self._draw_method(rng)
        lambdas = self._networks[name].lambdas
        first = int(rng.integers(len(lambdas)))
        lam = torch.tensor([lambdas[(first + i) % len(lambdas)] for i in range(self._batch)], device=self._device)
        image = self._crops.draw(self._batch, rng).to(self._device)
        mask = sample_channel_mask(METHODS[name], self._batch, rng) if rng.random() < _LOSSY_SHARE else None
        features, before = self._before(name, image, lam, mask)
        floor = torch.tensor([_FLOOR * step_size(float(one)) ** 2 / 12 for one in lam], device=self._device)
        after = self._shown(self.network, name, features)
        error = (_mse(after, image) / (_mse(before, image) + floor)).clamp(max=_MOST).mean()
        return error, error[None]

    def validate(self, network: nn.Module) -> list[dict[str, float]]:
        """Mean gain in dB over images, clamped and rounded: of the baseline at each λ, of the others at the middle one.

        Each with the losses that it is trained for. ``method`` is the method's place among the networks.
        """
        assert isinstance(network, MoreBlocks)
        rows = []
        for place, (name, of) in enumerate(self._networks.items()):
            for lam in of.lambdas if name == BASELINE else of.lambdas[len(of.lambdas) // 2 :][:1]:
                gains = [
                    self._gain_db(network, name, image, lam, _losses(METHODS[name], number))
                    for number, image in enumerate(self._held_out)
                ]
                rows.append({"method": float(place), "lambda": lam, "gain_db": float(np.mean(gains))})
        return rows

    @torch.no_grad()
    def _gain_db(self, more: MoreBlocks, name: str, image: Tensor, lam: float, mask: ChannelMask | None) -> float:
        features, before = self._before(name, image, torch.tensor([lam], device=self._device), mask)
        shown = [(part.clamp(0, 1) * 255).round() / 255 for part in (before, self._shown(more, name, features))]
        return float(10 * torch.log10(_mse(shown[0], image) / _mse(shown[1], image)))

    @torch.no_grad()
    def _before(self, name: str, image: Tensor, lam: Tensor, mask: ChannelMask | None) -> tuple[Tensor, Tensor]:
        """Features (B, C, h, w) in front of the new blocks at stride 16, and images without new blocks."""
        kept: list[Tensor] = []
        hook = self._parts[name].at_16[-1].register_forward_hook(lambda layer, given, made: kept.append(made))
        try:
            before = self._networks[name](image, lam, None if mask is None else mask.to(self._device)).image
        finally:
            hook.remove()
        return kept[0], before

    def _shown(self, more: MoreBlocks, name: str, features: Tensor) -> Tensor:
        """Images (B, 3, H, W) through the new blocks."""
        network, parts = self._networks[name], self._parts[name]
        images: Tensor = network.g_s.pixels(parts.last(more.at_8(parts.at_8(more.at_16(features)))))  # type: ignore[operator]
        return images

    def _draw_method(self, rng: np.random.Generator) -> str:
        others = [name for name in self._networks if name != BASELINE]
        if not others or (BASELINE in self._networks and rng.random() < _BASELINE_SHARE):
            return BASELINE
        return others[int(rng.integers(len(others)))]

    @torch.no_grad()
    def _whiten(self) -> None:
        """Scales the new blocks' first layers to the baseline's features."""
        name = next(iter(self._networks))
        image = self._crops.draw(self._batch, np.random.default_rng(0)).to(self._device)
        lambdas = self._networks[name].lambdas
        lam = torch.full((self._batch,), lambdas[len(lambdas) // 2], device=self._device)
        features, _ = self._before(name, image, lam, None)
        for given, blocks in ((features, self.network.at_16), (self._parts[name].at_8(features), self.network.at_8)):
            for block in blocks:
                whiten(block, given)  # type: ignore[arg-type]


def _losses(method: Method, number: int) -> ChannelMask | None:
    """The losses of validation image ``number``: those that a method is trained for; None if for none."""
    if method.losses == "none":
        return None
    received = received_by(method.losses, 1, np.random.default_rng(number), lossless_share=0.0)
    return ChannelMask(torch.ones(1, M, dtype=torch.bool), torch.ones(1, N, dtype=torch.bool), received)


def _mse(shown: Tensor, image: Tensor) -> Tensor:
    return (shown.float() - image).square().flatten(1).mean(1)

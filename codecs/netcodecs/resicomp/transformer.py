"""The dual-functional masked Transformer: from some tokens of a latent to distributions and estimates of the others.

Swin blocks (Liu et al., ICCV 2021) over the latent's H/16 × W/16 tokens. Tokens that are not known are replaced by a
learned mask token. Two heads: densities, for entropy coding, and values, for concealing losses (ResiComp, §IV).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.resicomp.neighbours import neighbour_statistics, statistics_of
from netcodecs.resicomp.sizes import COMPACT, Size
from netcodecs.resicomp.windows import WindowPartition, relative_positions, window_partition

__all__ = ["MIDDLE_RATE", "Block", "DualTransformer", "Given"]

MIDDLE_RATE = 0.0035  # the λ at which the rate that the network reads is zero
_MASKED_OUT = -100.0  # before a softmax: no attention


@dataclass(frozen=True)
class Given:
    """What does not depend on which tokens are known.

    Attributes:
        tokens: (B, H, W, C).
        features: Of a known token, (B, H, W, width).
        absent: Of an unknown one without known neighbours, (B, 1, 1, width).
    """

    tokens: Tensor
    features: Tensor
    absent: Tensor


class DualTransformer(nn.Module):
    """One Transformer, two heads.

    ::

        known tokens ─► embedding ──────────┐
        others ─► mask token + neighbours ──┴─► + rate ─► Swin blocks ─► norm ─┬─► density: 3·K·C per token
                                                                               └─► value: C per token

    A token is embedded with the magnitudes of its elements, and an unknown one with means over its known neighbours:
    where neighbours are large, large values are likely. Tokens and values are in units of each channel's usual spread,
    so that rates differ in little but how finely they are quantised; the network also reads the rate (the logarithm of
    λ).

    Args:
        channels: C, of a token.
        size: Of the network.
    """

    def __init__(self, channels: int, size: Size = COMPACT) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Linear(2 * channels, size.width)  # values and magnitudes
        self.neighbours = nn.Linear(statistics_of(channels), size.width)
        self.mask_token = nn.Parameter(torch.zeros(channels))
        self.rate = nn.Linear(1, size.width)
        self.blocks = nn.ModuleList(Block(size, shifted=layer % 2 == 1) for layer in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.density = nn.Sequential(
            nn.Linear(size.width, size.width), nn.GELU(), nn.Linear(size.width, 3 * size.mixtures * channels)
        )
        self.value = nn.Sequential(nn.Linear(size.width, size.width), nn.GELU(), nn.Linear(size.width, channels))
        self._initialise(channels)

    @torch.no_grad()
    def _initialise(self, channels: int) -> None:
        """Densities start as mixtures of three widths around zero, values at zero."""
        last, value = self.density[-1], self.value[-1]
        assert isinstance(last, nn.Linear)
        assert isinstance(value, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.normal_(value.weight, std=0.01)
        value.bias.zero_()
        widths = torch.linspace(-2.5, 1.0, self.size.mixtures)  # before softplus: .08 … 1.3
        bias = last.bias.view(3, self.size.mixtures, channels)
        bias.zero_()
        bias[2] = widths[:, None]

    def hidden(self, tokens: Tensor, known: Tensor, log_rate: Tensor) -> Tensor:
        """What both heads read of the unknown tokens, in order of ``known``: (number of False in known, width).

        Args:
            tokens: (B, H, W, C), height and width multiples of the window; ignored where not known.
            known: bool (B, H, W).
            log_rate: ln(λ / ``MIDDLE_RATE``), (B,).
        """
        return self._hidden(self.given(tokens, log_rate), known)

    def given(self, tokens: Tensor, log_rate: Tensor) -> Given:
        """What does not depend on which tokens are known. Arguments as in :meth:`hidden`."""
        rate = self.rate(log_rate[:, None])[:, None, None]
        return Given(tokens, self._embedded(tokens) + rate, self._embedded(self.mask_token) + rate)

    def _embedded(self, tokens: Tensor) -> Tensor:
        made: Tensor = self.embedding(torch.cat([tokens, tokens.abs()], -1))
        return made

    def concealed(self, given: Given, known: Tensor) -> Tensor:
        """Tokens where known, values elsewhere, (B, H, W, C).

        Args:
            given: Of one image, or of as many as there are masks.
            known: bool (B, H, W).
        """
        filled = given.tokens.expand(*known.shape, -1).clone()
        filled[~known] = self.values(self._hidden(given, known)).to(filled.dtype)
        return filled

    def _hidden(self, given: Given, known: Tensor) -> Tensor:
        """After the last attention, only unknown tokens are computed."""
        statistics = neighbour_statistics(given.tokens, known)
        with torch.autocast(statistics.device.type, enabled=False):  # magnitudes need more than eight bits
            absent = given.absent + self.neighbours(statistics.to(self.neighbours.weight.dtype))
        features = torch.where(known[..., None], given.features, absent)
        for number in range(len(self.blocks)):
            block = self._block(number)
            if number:
                features = features + self._block(number - 1).transformed(features)
            projected = block.projected(block.partition(features).split(features))
            features = features + block.attended(projected, *known.shape[1:])
        wanted = features.flatten(0, 2)[torch.nonzero(~known.flatten())[:, 0]]
        normed: Tensor = self.norm(wanted + self._block(-1).transformed(wanted))
        return normed

    def _block(self, number: int) -> Block:
        block = self.blocks[number]
        assert isinstance(block, Block)
        return block

    def densities(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and scales of the mixtures, (..., mixtures, C) each."""
        logits, means, scales = self.density(hidden).unflatten(-1, (3, self.size.mixtures, -1)).unbind(-3)
        return logits, means, functional.softplus(scales)

    def values(self, hidden: Tensor) -> Tensor:
        """An estimate of each token, (..., C)."""
        estimate: Tensor = self.value(hidden)
        return estimate


class Block(nn.Module):
    """Attention inside windows, then an MLP; the caller adds each to its input."""

    offsets: Tensor

    def __init__(self, size: Size, *, shifted: bool) -> None:
        super().__init__()
        self.heads, self.window, self.shifted = size.heads, size.window, shifted
        self.before_attention, self.before_mlp = nn.LayerNorm(size.width), nn.LayerNorm(size.width)
        self.queries_keys_values = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, 4 * size.width), nn.GELU(), nn.Linear(4 * size.width, size.width)
        )
        self.position_bias = nn.Parameter(torch.zeros((2 * size.window - 1) ** 2, size.heads))
        self.register_buffer("offsets", relative_positions(size.window), persistent=False)

    def partition(self, grid: Tensor) -> WindowPartition:
        """The windows of a grid (B, H, W, ...) in this layer."""
        return window_partition(grid.shape[1], grid.shape[2], self.window, shifted=self.shifted)

    def projected(self, features: Tensor) -> Tensor:
        """Each token's query, key and value, (..., 3·width)."""
        made: Tensor = self.queries_keys_values(self.before_attention(features))
        return made

    def attended(self, projected: Tensor, height: int, width: int) -> Tensor:
        """What attention adds, (B, H, W, width). projected: (B, windows, w², 3·width)."""
        partition = window_partition(height, width, self.window, shifted=self.shifted)
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self.position_bias[self.offsets].permute(2, 0, 1)
        if partition.separated is not None:
            bias = bias + _MASKED_OUT * partition.separated.to(bias.device)[:, None]
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias  # (B, windows, heads, w², w²)
        mixed: Tensor = self.out((scores.softmax(-1).to(value.dtype) @ value).transpose(2, 3).flatten(3))
        return partition.merge(mixed, height, width)

    def transformed(self, features: Tensor) -> Tensor:
        """What the MLP adds to each token, of any shape (..., width)."""
        made: Tensor = self.mlp(self.before_mlp(features))
        return made

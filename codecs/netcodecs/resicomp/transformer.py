"""The dual-functional masked Transformer: from some tokens of a latent to the distribution and a guess of the others.

Swin blocks (Liu et al., ICCV 2021) over the latent's H/16 × W/16 tokens. Tokens that are not known are replaced by a
learned mask token. Two heads: densities, for entropy coding, and values, for concealing losses (ResiComp, §IV).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["COMPACT", "MIDDLE_RATE", "PAPER", "Block", "DualTransformer", "Given", "Size"]

WINDOW, SHIFT = 4, 2
MIDDLE_RATE = 0.0035  # the λ at which the network is told zero
_MASKED_OUT = -100.0  # in front of a softmax: attention between tokens that only the cyclic shift made neighbours


@dataclass(frozen=True)
class Size:
    """layers: Swin blocks. width: of a token inside; heads: of attention; mixtures: Gaussians per element."""

    layers: int
    width: int
    heads: int
    mixtures: int = 3


PAPER = Size(layers=12, width=768, heads=8)  # about 128 M parameters
COMPACT = Size(layers=6, width=256, heads=8)


@dataclass(frozen=True)
class Given:
    """Tokens in front of the first attention, which are the same whichever of them are known.

    tokens: (B, H, W, C). features, absent: what takes a known token's place, (B, H, W, width), and a lost one's,
    (B, 1, 1, width). projected, absent_projected: their queries, keys and values, (B, windows, 16, 3 · width) and
    (B, 1, 1, 3 · width).
    """

    tokens: Tensor
    features: Tensor
    absent: Tensor
    projected: Tensor
    absent_projected: Tensor


class DualTransformer(nn.Module):
    """channels: C of a token. Height and width of what it is given are multiples of 4.

    Everything goes in and comes out in units of each channel's usual spread, so that rates differ in little but how
    finely they are quantised; which rate it is, it is told (the logarithm of λ).
    """

    def __init__(self, channels: int, size: Size = COMPACT) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Linear(channels, size.width)
        self.mask_token = nn.Parameter(torch.zeros(channels))
        self.rate = nn.Linear(1, size.width)
        self.blocks = nn.ModuleList(Block(size, shifted=layer % 2 == 1) for layer in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.density = nn.Sequential(
            nn.Linear(size.width, size.width), nn.GELU(), nn.Linear(size.width, 3 * size.mixtures * channels)
        )
        self.value = nn.Sequential(nn.Linear(size.width, size.width), nn.GELU(), nn.Linear(size.width, channels))
        self._begin(channels)

    @torch.no_grad()
    def _begin(self, channels: int) -> None:
        """Heads begin at mixtures of three widths around zero and at the value zero."""
        last, value = self.density[-1], self.value[-1]
        assert isinstance(last, nn.Linear)
        assert isinstance(value, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.normal_(value.weight, std=0.01)
        value.bias.zero_()
        widths = torch.linspace(-2.5, 1.0, self.size.mixtures)  # in front of softplus: .08 … 1.3
        bias = last.bias.view(3, self.size.mixtures, channels)
        bias.zero_()
        bias[2] = widths[:, None]

    def hidden(self, tokens: Tensor, known: Tensor, log_rate: Tensor) -> Tensor:
        """What both heads read, (B, H, W, width).

        tokens: (B, H, W, C), whatever where not known. known: bool (B, H, W). log_rate: ln(λ / .0035), (B,).
        """
        return self._read(self._attended(self.given(tokens, log_rate), known))

    def given(self, tokens: Tensor, log_rate: Tensor) -> Given:
        """What does not depend on which tokens are known. Arguments as in :meth:`hidden`."""
        rate, first = self.rate(log_rate[:, None])[:, None, None], self._block(0)
        features, absent = self.embedding(tokens) + rate, self.embedding(self.mask_token) + rate
        return Given(tokens, features, absent, first.projected(_windows(features)), first.projected(absent))

    def concealed(self, given: Given, known: Tensor) -> Tensor:
        """Tokens where known, elsewhere a guess: ``values(hidden(...))``, but behind the last attention only unknown
        tokens are worked on. known: bool (B, H, W), also of many masks of one picture's tokens."""
        unknown, filled = ~known, given.tokens.expand(*known.shape, -1).clone()
        filled[unknown] = self.values(self._read(self._attended(given, known)[unknown]))
        return filled

    def _attended(self, given: Given, known: Tensor) -> Tensor:
        """All up to the last block's attention; what follows is each token's own."""
        apart = _apart(*known.shape[1:]).to(known.device)
        here = known[..., None]
        features = torch.where(here, given.features, given.absent)
        projected = torch.where(_windows(here), given.projected, given.absent_projected)
        for number in range(len(self.blocks)):
            block = self._block(number)
            if number:
                features = self._block(number - 1).worked(features)
                projected = block.projected(block.windows(features))
            features = block.attended(features, projected, apart)
        return features

    def _read(self, attended: Tensor) -> Tensor:
        """What heads read, from what the last block's attention gave; (..., width)."""
        normed: Tensor = self.norm(self._block(-1).worked(attended))
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
        """A guess of each token, (..., C)."""
        guess: Tensor = self.value(hidden)
        return guess


class Block(nn.Module):
    """Attention inside windows of 4×4, then an MLP, each behind a norm and beside the identity."""

    offsets: Tensor

    def __init__(self, size: Size, *, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shifted = size.heads, shifted
        self.before_attention, self.before_mlp = nn.LayerNorm(size.width), nn.LayerNorm(size.width)
        self.queries_keys_values = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, 4 * size.width), nn.GELU(), nn.Linear(4 * size.width, size.width)
        )
        self.position_bias = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, size.heads))
        self.register_buffer("offsets", _offsets(), persistent=False)

    def windows(self, features: Tensor) -> Tensor:
        """(B, H, W, width) → (B, windows, 16, width)"""
        return _windows(features.roll((-SHIFT, -SHIFT), (1, 2)) if self.shifted else features)

    def projected(self, features: Tensor) -> Tensor:
        """Each token's query, key and value, (..., 3 · width)."""
        made: Tensor = self.queries_keys_values(self.before_attention(features))
        return made

    def attended(self, features: Tensor, projected: Tensor, apart: Tensor) -> Tensor:
        """features: (B, H, W, width). projected: (B, windows, 16, 3 · width)."""
        mixed = _whole(self._attention(projected, apart), *features.shape[1:3])
        return features + (mixed.roll((SHIFT, SHIFT), (1, 2)) if self.shifted else mixed)

    def worked(self, features: Tensor) -> Tensor:
        """Each token by itself: features of any shape (..., width)."""
        mixed: Tensor = self.mlp(self.before_mlp(features))
        return features + mixed

    def _attention(self, projected: Tensor, apart: Tensor) -> Tensor:
        """Written out: for windows this small a ready-made attention takes twice the time."""
        width = projected.shape[-1] // (3 * self.heads)
        query, key, value = projected.unflatten(-1, (3, self.heads, width)).permute(3, 0, 1, 4, 2, 5)
        bias = self.position_bias[self.offsets].permute(2, 0, 1)
        bias = bias + apart[:, None] if self.shifted else bias
        scores = (query * width**-0.5) @ key.transpose(-1, -2) + bias  # (B, windows, heads, 16, 16)
        heard = scores.softmax(-1) @ value
        mixed: Tensor = self.out(heard.transpose(2, 3).flatten(3))
        return mixed


def _windows(features: Tensor) -> Tensor:
    """(B, H, W, C) → (B, windows, 16, C)"""
    count, height, width, channels = features.shape
    split = features.view(count, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return split.transpose(2, 3).reshape(count, -1, WINDOW**2, channels)


def _whole(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of :func:`_windows`."""
    count, _, _, channels = windows.shape
    split = windows.view(count, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
    return split.transpose(2, 3).reshape(count, height, width, channels)


def _offsets() -> Tensor:
    """Which position bias each pair of a window's 16 tokens has, (16, 16)."""
    rows, columns = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    apart = places[:, :, None] - places[:, None] + WINDOW - 1
    return apart[0] * (2 * WINDOW - 1) + apart[1]


def _apart(height: int, width: int) -> Tensor:
    """For shifted windows, (windows, 16, 16): 0 between neighbours, else what keeps attention away."""
    regions = torch.zeros(1, height, width, 1)
    cuts = (slice(0, -WINDOW), slice(-WINDOW, -SHIFT), slice(-SHIFT, None))
    for number, (row, column) in enumerate((r, c) for r in cuts for c in cuts):
        regions[:, row, column] = number
    labels = _windows(regions)[0, :, :, 0]
    return (labels[:, :, None] != labels[:, None]).float() * _MASKED_OUT


def parameters_of(size: Size, channels: int) -> int:
    """Number of trained parameters.

    >>> round(parameters_of(COMPACT, 192) / 1e6, 1)
    5.4
    """
    return sum(math.prod(p.shape) for p in DualTransformer(channels, size).parameters())

"""The density half of the Transformer in fixed point: the same distributions to the last bit, everywhere.

A receiver needs exactly the probabilities that the sender coded with, on any machine, device and number of threads.
Floating-point sums depend on the order of adding. Here no sum is rounded: weights and activations are multiples of 2⁻¹⁶
and bounded such that each sum fits into float64's 53 bits (after Ballé, Johnston & Minnen, "Integer networks for data
compression with latent-variable models", ICLR 2019, whose networks are trained for it; here a trained one is rounded).
All other operations are single IEEE operations per element (division, square root), which are the same everywhere, or
read a table made of integers (``netcodecs.resicomp.fixed_point_tables``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.resicomp.fixed_point_functions import GRID_BITS, Functions, functions_of, to_grid
from netcodecs.resicomp.neighbours import neighbour_statistics
from netcodecs.resicomp.transformer import Block, DualTransformer
from netcodecs.resicomp.windows import window_partition

__all__ = ["ExactTransformer"]

Floats = NDArray[np.float64]

_SUM_BITS = 53 - 2 * GRID_BITS - 1  # in front of the point, of a sum of products
_ROWS_AT_ONCE = 512
_SCORES_AT_ONCE = 8192  # of a head


def _floored(bound: float) -> float:
    return math.floor(bound * 2**GRID_BITS) / 2**GRID_BITS


def _by_rows(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """A function of each row, some rows at a time: intermediate values stay in the processor's cache."""
    if values.device.type != "cpu":
        return function(values)
    return torch.cat([function(part) for part in values.split(_ROWS_AT_ONCE)])


class _Linear:
    """A linear layer on the grid.

    Args:
        layer: The trained layer.
        norm: A layer norm in front of it, whose scale and shift are folded in.
        rows: Factor of each output.
    """

    def __init__(self, layer: nn.Linear, norm: nn.LayerNorm | None = None, rows: Tensor | None = None) -> None:
        weight, bias = layer.weight.detach().cpu().double(), layer.bias.detach().cpu().double()
        if norm is not None:
            shift = to_grid(norm.bias.detach().cpu().double().clone())
            bias = bias + to_grid(weight.clone()) @ shift
            weight = weight * norm.weight.detach().cpu().double()
        if rows is not None:
            weight, bias = weight * rows[:, None], bias * rows
        self.weight, self.bias = to_grid(weight.clone()).t().contiguous(), to_grid(bias.clone())
        heaviest = float(self.weight.abs().sum(0).max().clamp(min=1.0))
        self.bound = _floored(2.0**_SUM_BITS / heaviest)

    def to(self, device: torch.device) -> _Linear:
        self.weight, self.bias = self.weight.to(device), self.bias.to(device)
        return self

    def __call__(self, values: Tensor) -> Tensor:
        """values: (n, in), on the grid. Returns (n, out), on the grid."""
        return self.of_bounded(values.clamp(-self.bound, self.bound))

    def of_bounded(self, values: Tensor) -> Tensor:
        """The same of values that keep to the bound."""
        return to_grid((values @ self.weight).add_(self.bias))


def _by_two(functions: Functions, first: _Linear, second: _Linear, features: Tensor) -> Tensor:
    """Layer norm, a linear layer, GELU, another linear layer."""
    inner = functions.normed(features, first.bound) @ first.weight
    return second.of_bounded(functions.gelu(inner, first.bias, second.bound))


def _layer(layers: nn.Sequential, place: int) -> nn.Linear:
    layer = layers[place]
    assert isinstance(layer, nn.Linear)
    return layer


class ExactTransformer:
    """From known tokens to mixtures, one image at a time.

    Args:
        network: The trained Transformer.
        device: Where it runs.
    """

    def __init__(self, network: DualTransformer, device: str | torch.device = "cpu") -> None:
        self.size, self._device = network.size, torch.device(device)
        self._mask_token = to_grid(network.mask_token.detach().cpu().double().clone()).to(self._device)
        self._embedding = _Linear(network.embedding).to(self._device)
        self._neighbours = _Linear(network.neighbours).to(self._device)
        self._rate = _Linear(network.rate).to(self._device)
        self._blocks = [_Block(block, self._device) for block in network.blocks if isinstance(block, Block)]
        self._first = _Linear(_layer(network.density, 0), network.norm).to(self._device)
        self._last = _Linear(_layer(network.density, -1)).to(self._device)
        self._functions = functions_of(self._device)

    @torch.no_grad()
    def densities(self, tokens: Floats, known: NDArray[np.bool_], log_rate: float, cells: NDArray[np.int64]) -> Floats:
        """The mixtures at some cells.

        Args:
            tokens: float64 (H, W, C), in units of the channels' spread; anything where not known.
            known: bool (H, W).
            log_rate: ln(λ / .0035).
            cells: Numbers, row by row, of the tokens to predict, int64 (n,).

        Returns:
            Weights, means and scales, float64 (n, 3, mixtures, C).
        """
        height, width, channels = tokens.shape
        given = to_grid(torch.from_numpy(tokens).to(self._device).reshape(-1, channels).clone())
        here = torch.from_numpy(known).to(self._device).reshape(-1, 1)
        statistics = neighbour_statistics(given.view(1, height, width, channels), here.view(1, height, width))
        features = self._embedded(given, statistics.view(height * width, -1), here[:, 0])
        rate = to_grid(torch.tensor([[log_rate]], dtype=torch.float64, device=self._device))
        features += self._rate(rate)
        for block in self._blocks[:-1]:
            features = block(features, height, width, self._functions)
        wanted = torch.from_numpy(cells).to(self._device)  # only these are needed after the last attention
        features = self._blocks[-1](features, height, width, self._functions, wanted)
        made: Floats = _by_rows(self._head, features).cpu().numpy()
        return made

    def _embedded(self, given: Tensor, statistics: Tensor, known: Tensor) -> Tensor:
        """Features of the tokens, (n, width): known ones by themselves, the others by their neighbours."""
        features = given.new_empty((len(given), self.size.width))
        mine, nothing = given[known], self._mask_token[None]
        features[known] = self._embedding(torch.cat([mine, mine.abs()], 1))
        absent = self._embedding(torch.cat([nothing, nothing.abs()], 1))
        features[~known] = self._neighbours(to_grid(statistics[~known])).add_(absent)
        return features

    def _head(self, features: Tensor) -> Tensor:
        """Weights, means and scales, (n, 3, mixtures, C)."""
        functions = self._functions
        made = _by_two(functions, self._first, self._last, features).view(len(features), 3, self.size.mixtures, -1)
        made[:, 0] = functions.softmax(made[:, 0], 1)
        made[:, 2] = functions.softplus(made[:, 2])
        return made


class _Block:
    """A Swin block: attention inside windows, then an MLP, each added to its input."""

    def __init__(self, block: Block, device: torch.device) -> None:
        self.heads, self.window, self.shifted = block.heads, block.window, block.shifted
        self._device = device
        layer = block.queries_keys_values
        width = layer.in_features
        scores = torch.ones(3 * width, dtype=torch.float64)
        scores[:width] = 1 / math.sqrt(width // self.heads)  # a square root rounds alike everywhere, a power does not
        self._queries_keys_values = _Linear(layer, block.before_attention, scores).to(device)
        self._out = _Linear(block.out).to(device)
        self._wide = _Linear(_layer(block.mlp, 0), block.before_mlp).to(device)
        self._narrow = _Linear(_layer(block.mlp, -1)).to(device)
        bias = block.position_bias.detach().cpu().double()[block.offsets.cpu()].permute(2, 0, 1)
        self._bias = to_grid(bias.contiguous()).to(device)
        self._bound = _floored(math.sqrt(2.0**_SUM_BITS / (width // self.heads)))

    def __call__(
        self, features: Tensor, height: int, width: int, functions: Functions, wanted: Tensor | None = None
    ) -> Tensor:
        """Features (n, width) of the wanted tokens, or of all, from those of all."""
        places, mixed = self._attended(features, height, width, functions)
        rows = torch.argsort(places)
        if wanted is not None:
            features, rows = features[wanted], rows[wanted]
        features = features + _by_rows(self._out, mixed[rows])
        return features + _by_rows(partial(_by_two, functions, self._wide, self._narrow), features)

    def _attended(self, features: Tensor, height: int, width: int, functions: Functions) -> tuple[Tensor, Tensor]:
        """The token of each row, and the rows: attention's output before its last layer, (n, width)."""
        partition = window_partition(height, width, self.window, shifted=self.shifted)
        numbers = torch.arange(height * width).view(1, height, width, 1)
        places = partition.split(numbers).reshape(-1).to(self._device)
        layer = self._queries_keys_values
        projected = _by_rows(lambda some: layer.of_bounded(functions.normed(some, layer.bound)), features[places])
        each = features.shape[1] // self.heads
        projected = projected.clamp_(-self._bound, self._bound).view(-1, self.window**2, 3, self.heads, each)
        separated = partition.separated
        mixed = torch.empty(
            len(projected), self.window**2, features.shape[1], dtype=features.dtype, device=self._device
        )
        at_once = max(1, _SCORES_AT_ONCE // self.window**4) if self._device.type == "cpu" else len(projected)
        for start in range(0, len(projected), at_once):
            query, key, value = projected[start : start + at_once].permute(2, 0, 3, 1, 4)
            apart = None if separated is None else separated[start : start + at_once].to(self._device)
            shares = functions.attention(query @ key.transpose(-1, -2), self._bias, apart)
            mixed[start : start + at_once] = to_grid(shares @ value).transpose(1, 2).flatten(2)
        return places, mixed.view(len(places), -1)

"""The functions of the fixed-point Transformer beside its matrix products: rounding, layer norm, GELU, softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from netcodecs.resicomp import fixed_point_tables as tables

__all__ = ["ARGUMENT_BITS", "GRID_BITS", "CompiledFunctions", "Functions", "anchor", "functions_of", "to_grid"]

GRID_BITS = 16
ARGUMENT_BITS = tables.POINTS.bit_length() - 1
"""Fraction bits of the arguments of the tables."""

_NORM_BITS = 12  # fraction bits of what a norm squares: leaves room for large features
_NO_ATTENTION = -float(2**20)  # a score


def anchor(bits: int) -> float:
    """A float64 with a spacing of 2^-bits to the next one: added and subtracted, it rounds to multiples of 2^-bits.

    Args:
        bits: Fraction bits of the grid.

    >>> (0.3 + anchor(1)) - anchor(1)
    0.5
    """
    return 1.5 * 2.0 ** (52 - bits)


def to_grid(values: Tensor, bits: int = GRID_BITS) -> Tensor:
    """Rounds to multiples of 2^-bits, in place, half to even.

    Two passes through memory and no division.

    Args:
        values: float64, |values| < 2^(51-bits).
        bits: Fraction bits of the grid.

    >>> to_grid(torch.tensor([0.3, -0.75], dtype=torch.float64), 1)
    tensor([ 0.5000, -1.0000], dtype=torch.float64)
    """
    return values.add_(anchor(bits)).sub_(anchor(bits))


def _largest_squared(width: int) -> float:
    """What a norm squares is clamped to ± this: the squares' sum keeps to 53 bits."""
    return float(math.floor(math.sqrt(2.0 ** (52 - 2 * _NORM_BITS) / width)))


class Functions:
    """On any device.

    Args:
        device: Where the tables lie.
    """

    def __init__(self, device: torch.device) -> None:
        made = (tables.falling(), tables.gelu_rest(), tables.softplus_rest())
        self._falling, self._gelu, self._softplus = (torch.from_numpy(t.copy()).to(device) for t in made)

    def _looked_up(self, table: Tensor, arguments: Tensor) -> Tensor:
        """table[arguments · POINTS] for arguments ≥ 0; larger arguments get the last entry."""
        places = (arguments * tables.POINTS).clamp_(max=len(table) - 1).round_().to(torch.int32)
        return table.index_select(0, places.reshape(-1)).view(places.shape)

    def normed(self, features: Tensor, bound: float) -> Tensor:
        """Layer norm without scale and shift, of rows on the grid: (n, width), on the grid, clamped to ±bound."""
        width = features.shape[-1]  # multiplied: CUDA divides by a constant in another way than processors
        mean = to_grid(features.sum(-1, keepdim=True).mul_(1 / width))
        off = features - mean
        largest = _largest_squared(width)
        rough = to_grid(off.clamp(-largest, largest), _NORM_BITS)
        variance = rough.square_().sum(-1, keepdim=True).mul_(1 / width)
        return to_grid(off.div_(variance.add_(1e-5).sqrt_())).clamp_(-bound, bound)

    def gelu(self, values: Tensor, bias: Tensor, bound: float) -> Tensor:
        """GELU of values + bias rounded to the grid of the tables, clamped to ±bound; may be in place."""
        values = to_grid(values.add_(bias), ARGUMENT_BITS)
        return values.clamp(min=0).sub_(self._looked_up(self._gelu, values.abs())).clamp_(-bound, bound)

    def attention(self, scores: Tensor, bias: Tensor, apart: Tensor | None) -> Tensor:
        """Softmax of scores, rounded to the grid of the tables, + bias, on the grid; may be in place.

        Args:
            scores: (windows, heads, n, n).
            bias: (heads, n, n).
            apart: Pairs without attention, bool (windows, n, n).
        """
        scores = to_grid(scores, ARGUMENT_BITS) + bias
        if apart is not None:
            scores.masked_fill_(apart[:, None], _NO_ATTENTION)
        return to_grid(self.softmax(scores, -1))

    def softplus(self, values: Tensor) -> Tensor:
        return values.clamp(min=0).add_(self._looked_up(self._softplus, values.abs()))

    def softmax(self, values: Tensor, axis: int) -> Tensor:
        """Not on any grid: rounded by one division each."""
        powers = self._looked_up(self._falling, values.amax(axis, keepdim=True) - values)
        return powers.div_(powers.sum(axis, keepdim=True))


class CompiledFunctions(Functions):
    """On processors: the same bits, in one pass through memory each."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        from netcodecs.resicomp import fixed_point_compiled

        self._compiled = fixed_point_compiled

    def normed(self, features: Tensor, bound: float) -> Tensor:
        made = torch.empty_like(features)
        largest = _largest_squared(features.shape[-1])
        self._compiled.normed(
            features.numpy(), made.numpy(), anchor(_NORM_BITS), anchor(GRID_BITS), largest, float(bound)
        )
        return made

    def gelu(self, values: Tensor, bias: Tensor, bound: float) -> Tensor:
        grid, points = anchor(ARGUMENT_BITS), float(tables.POINTS)
        self._compiled.gelu(values.numpy(), bias.numpy(), grid, self._gelu.numpy(), points, float(bound))
        return values

    def attention(self, scores: Tensor, bias: Tensor, apart: Tensor | None) -> Tensor:
        pairs = scores.new_empty((0, 0, 0), dtype=torch.bool) if apart is None else apart.contiguous()
        grids, points = (anchor(ARGUMENT_BITS), anchor(GRID_BITS)), float(tables.POINTS)
        self._compiled.softmax(
            scores.numpy(), bias.numpy(), pairs.numpy(), _NO_ATTENTION, *grids, self._falling.numpy(), points
        )
        return scores


def functions_of(device: torch.device) -> Functions:
    """The functions for a device."""
    return CompiledFunctions() if device.type == "cpu" else Functions(device)

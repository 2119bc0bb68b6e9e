"""One picture's slices: which tokens they hold, in what passes they are predicted, and the quality for a rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.rate import TOO_FAR
from netcodecs.resicomp.modes import decoding_rounds
from netcodecs.resicomp.packets import QUALITY_STEP, Head
from netcodecs.resicomp.slices import slice_cells, slice_map, slice_sizes
from netsim.errors import InputError

if TYPE_CHECKING:  # torch is loaded with the first picture
    from netcodecs.resicomp.coding import Mixtures
    from netcodecs.resicomp.networks import Networks

__all__ = ["Coded", "Coder", "Layout", "in_steps", "layout_of", "rounds"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATE_TOLERANCE = 0.004
FULL_TRIES = 4  # whole codings in a search for a rate
_KNOTS = 4  # qualities at which the search estimates rates
_SAMPLED = 3  # one token in so many is looked at for that


@dataclass(frozen=True)
class Layout:
    """Where a stream's tokens are: the contexts, the cells of each slice, and the slice of each cell of the grid."""

    contexts: BoolArray
    cells: tuple[Ints, ...]
    slices: Ints

    def known(self, slices: BoolArray) -> BoolArray:
        """bool (..., h, w): tokens of these slices. slices: bool (..., L)."""
        return slices[..., self.slices]


@dataclass(frozen=True)
class Coded:
    """All slices at one quality: their codes."""

    quality: float
    codes: tuple[bytes, ...]

    @property
    def bytes_total(self) -> int:
        return sum(len(code) + 4 for code in self.codes)


def layout_of(head: Head) -> Layout:
    """The layout of a stream. Raises InputError if its picture has fewer tokens than slices."""
    from netcodecs.resicomp.networks import STRIDE

    contexts = head.contexts
    grid = -(-head.height // STRIDE), -(-head.width // STRIDE)
    sizes = slice_sizes(grid[0] * grid[1], contexts, head.beta)
    return Layout(contexts, slice_cells(*grid, sizes), slice_map(*grid, sizes))


def rounds(
    networks: Networks, layout: Layout, symbols: Ints, quality: float, wanted: BoolArray | None = None
) -> Iterator[tuple[int, Mixtures]]:
    """Each slice with its symbols' distributions, slices that share their contexts in one pass of the Transformer.

    symbols: read as each pass begins; what a decoder finds until then is context.
    """
    for one in decoding_rounds(layout.contexts, wanted):
        cells = np.concatenate([layout.cells[number] for number in one.slices])
        known = layout.known(layout.contexts[one.slices[0]])
        together = networks.densities(symbols, known, quality, cells)
        start = 0
        for number in one.slices:
            end = start + len(layout.cells[number]) * symbols.shape[2]
            yield number, together.part(start, end)
            start = end


class Coder:
    """One picture's latent, to be coded at one quality or more."""

    def __init__(self, networks: Networks, layout: Layout, latent: Floats) -> None:
        self._networks, self._layout, self._latent = networks, layout, latent

    def _slices(self, quality: float) -> Iterator[tuple[int, Ints, Mixtures]]:
        """Each slice's number, its symbols and their distributions."""
        symbols = self._networks.symbols(self._latent, quality)
        flat = symbols.reshape(-1, symbols.shape[2])
        for number, mixtures in rounds(self._networks, self._layout, symbols, quality):
            yield number, flat[self._layout.cells[number]].reshape(-1), mixtures

    def coded(self, quality: float) -> Coded:
        from netcodecs.resicomp.coding import encode

        codes = {number: encode(chosen, mixtures) for number, chosen, mixtures in self._slices(quality)}
        return Coded(quality, tuple(codes[number] for number in range(len(codes))))

    def token_bits(self, quality: float) -> Floats:
        """Bits of each token in order of slices, (N,)."""
        from netcodecs.resicomp.coding import coded_bits

        cells = self._layout.cells
        bits = {n: coded_bits(chosen, mixtures) for n, chosen, mixtures in self._slices(quality)}
        return np.concatenate([bits[n].reshape(len(cells[n]), -1).sum(axis=1) for n in range(len(cells))])

    def near(self, target_bytes: float) -> Coded:
        """The coding whose bytes are nearest to the target.

        A coding takes a pass of the Transformer a round, all tokens from mask tokens alone take one that is
        remembered: their bits say where to begin and how steeply the rate rises; the rest is false position.
        Raises InputError if the lowest quality has more than a tenth too many.
        """
        low, high = (in_steps(bound, *self._networks.qualities) for bound in self._networks.qualities)
        goal = math.log(max(target_bytes, 1.0))
        knots = np.linspace(low, high, _KNOTS)
        alone = np.maximum.accumulate([self._alone(in_steps(knot, low, high)) for knot in knots])
        quality = in_steps(float(np.interp(goal, alone, knots)), low, high)
        steepness = max((alone[-1] - alone[0]) / max(high - low, QUALITY_STEP), 0.1)
        known: dict[float, tuple[float, Coded]] = {}
        while quality not in known and len(known) < FULL_TRIES:
            coded = self.coded(quality)
            off = math.log(coded.bytes_total) - goal
            known[quality] = off, coded
            if abs(off) <= RATE_TOLERANCE:
                break
            quality = in_steps(_next_try([(q, o) for q, (o, _) in known.items()], steepness), low, high)
        off, best = min(known.values(), key=lambda pair: abs(pair[0]))
        if best.quality == low and math.exp(off) > TOO_FAR:
            hint = f"the smallest stream has {math.exp(off):.3g} times as many bytes"
            raise InputError(f"resicomp: {target_bytes:.0f} bytes can't be reached", hint=hint)
        return best

    def _alone(self, quality: float) -> float:
        """Natural log of the bytes of all tokens, each from mask tokens alone, by a sample of them."""
        from netcodecs.resicomp.coding import coded_bits

        symbols = self._networks.symbols(self._latent, quality)
        cells = np.concatenate(self._layout.cells)[::_SAMPLED]
        mixtures = self._networks.densities(symbols, np.zeros(symbols.shape[:2], bool), quality, cells)
        bits = coded_bits(symbols.reshape(-1, symbols.shape[2])[cells].reshape(-1), mixtures).sum()
        return math.log(max(bits / 8 * symbols[..., 0].size / len(cells), 1.0))


def _next_try(known: Sequence[tuple[float, float]], steepness: float) -> float:
    """The quality to try after these, by their distances from the goal: between two that enclose it, else as steep.

    >>> _next_try([(1.0, -0.2)], 2.0), _next_try([(1.0, -0.2), (1.2, 0.2)], 2.0)
    (1.1, 1.1)
    """
    below, above = ([pair for pair in known if (pair[1] > 0) == side] for side in (False, True))
    if below and above:
        (low, less), (high, more) = max(below, key=lambda p: p[1]), min(above, key=lambda p: p[1])
        return low + (high - low) * less / (less - more)
    quality, off = min(known, key=lambda pair: abs(pair[1]))
    return quality - off / steepness


def in_steps(quality: float, low: float, high: float) -> float:
    """The nearest quality that the head can say and the weights were trained for."""
    steps = round(quality / QUALITY_STEP)
    return max(math.ceil(low / QUALITY_STEP - 1e-9), min(math.floor(high / QUALITY_STEP + 1e-9), steps)) * QUALITY_STEP

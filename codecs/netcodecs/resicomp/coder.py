"""One picture's slices: which tokens they hold, in what passes they are predicted, and the quality for a rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.rate import TOO_FAR
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

RATE_TOLERANCE = 0.01
FULL_TRIES = 3  # whole codings in a search for a rate; one or two are the rule
_KNOTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)  # qualities where a search looks first: gains bend at whole ones
_LOOKS = 3  # at the rate without contexts, before a coding
_SLICE_BYTES = 4.5  # of a packet beside its bits: checksum, the last byte's empty half


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
    from netcodecs.transforms.gained import STRIDE

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
        """A coding within ``RATE_TOLERANCE`` of the target, or the nearest of those tried.

        What tokens take without any context is known at every quality: one distribution a channel. How much
        contexts save depends on the picture and hardly on the quality: one pass tells it nearly, a coding exactly,
        if it was not near enough, and then the next is. Deterministic: nothing here is rounded by chance.
        Raises InputError if the lowest quality has more than a tenth too many.
        """
        low, high = (in_steps(bound, *self._networks.qualities) for bound in self._networks.qualities)
        goal = math.log(max(target_bytes, 1.0))
        alone = {knot: self._alone(knot) for knot in (low, *(knot for knot in _KNOTS if low < knot < high), high)}

        def guess(saved: float) -> float:
            for _ in range(_LOOKS):
                knots = sorted(alone)
                rates = np.maximum.accumulate([alone[knot] for knot in knots])
                quality = in_steps(float(np.interp(goal - saved, rates, knots)), low, high)
                if quality in alone:
                    break
                alone[quality] = self._alone(quality)
            return quality

        saved = self._saved(guess(0.0))
        known: dict[float, tuple[float, Coded]] = {}
        while (quality := guess(saved)) not in known and len(known) < FULL_TRIES:
            coded = self.coded(quality)
            off = math.log(coded.bytes_total) - goal
            known[quality] = off, coded
            if abs(off) <= RATE_TOLERANCE:
                break
            saved = goal + off - alone[quality]
        off, best = min(known.values(), key=lambda pair: abs(pair[0]))
        if best.quality == low and math.exp(off) > TOO_FAR:
            hint = f"the smallest stream has {math.exp(off):.3g} times as many bytes"
            raise InputError(f"resicomp: {target_bytes:.0f} bytes can't be reached", hint=hint)
        return best

    def _alone(self, quality: float) -> float:
        """Natural log of the bytes of all slices, each token from nothing."""
        from netcodecs.resicomp.coding import counted_bits

        bits = counted_bits(self._networks.symbols(self._latent, quality), self._networks.blank(quality))
        return math.log(bits / 8 + _SLICE_BYTES * len(self._layout.cells))

    def _saved(self, quality: float) -> float:
        """About the natural log of the bytes with contexts over those without: as if every slice that has contexts
        were predicted as all tokens are from those of the slice in the middle."""
        from netcodecs.resicomp.coding import coded_bits, counted_bits

        contexts = self._layout.contexts
        sizes = np.array([len(cells) for cells in self._layout.cells])
        with_contexts = np.flatnonzero(contexts.any(axis=1))
        if len(with_contexts) == 0:
            return 0.0
        known_tokens = contexts @ sizes
        middle = sorted(with_contexts, key=lambda number: int(known_tokens[number]))[len(with_contexts) // 3]
        symbols = self._networks.symbols(self._latent, quality)
        known = self._layout.known(contexts[middle])
        cells = np.flatnonzero(~known)
        asked = symbols.reshape(-1, symbols.shape[2])[cells]
        bits = coded_bits(asked.reshape(-1), self._networks.densities(symbols, known, quality, cells)).sum()
        share = float(bits) / counted_bits(asked, self._networks.blank(quality))
        return math.log(1 - float(sizes[with_contexts].sum() / sizes.sum()) * (1 - share))


def in_steps(quality: float, low: float, high: float) -> float:
    """The nearest quality that the head can say and the weights were trained for."""
    steps = round(quality / QUALITY_STEP)
    return max(math.ceil(low / QUALITY_STEP - 1e-9), min(math.floor(high / QUALITY_STEP + 1e-9), steps)) * QUALITY_STEP

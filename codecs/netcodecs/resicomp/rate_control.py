"""Coding one image's slices at a quality, and the search for the quality of a rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.rate import TOO_FAR
from netcodecs.common.seal import CRC_BYTES
from netcodecs.resicomp.modes import decoding_passes
from netcodecs.resicomp.packets import QUALITY_STEP, ResiCompHeader
from netcodecs.resicomp.slices import slice_cells, slice_map, slice_sizes
from netsim.errors import InputError

if TYPE_CHECKING:  # torch is loaded with the first image
    from netcodecs.resicomp.networks import Networks
    from netcodecs.resicomp.token_coder import Mixtures

__all__ = ["EncodedSlices", "SliceEncoder", "SliceLayout", "layout_of", "nearest_quality", "predicted_slices"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATE_TOLERANCE = 0.01
FULL_TRIES = 3  # whole codings in a search for a rate; one or two are usual
_KNOTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)  # qualities where a search begins: gains have their knots at whole ones
_LOOKS = 3  # estimates without contexts before a coding
_SLICE_BYTES = 4.3  # of a packet beside its bits: checksum, and a third of a byte at the end


@dataclass(frozen=True)
class SliceLayout:
    """Where a stream's tokens are.

    Attributes:
        contexts: Context matrix, bool (L, L).
        cells: Cells of the grid in each slice, L arrays int64 (N_l,).
        slices: Slice of each cell, int64 (h, w).
    """

    contexts: BoolArray
    cells: tuple[Ints, ...]
    slices: Ints

    def known(self, slices: BoolArray) -> BoolArray:
        """Tokens of some slices, bool (..., h, w). slices: bool (..., L)."""
        return slices[..., self.slices]


@dataclass(frozen=True)
class EncodedSlices:
    """The code of each slice at one quality.

    Attributes:
        quality: Of the stream.
        codes: L codes.
        decoded: What the codes of some slices are decoded to, int16 (N_l, C) by slice. Each was decoded with the
            distributions that a decoder has: these depend on the slice's contexts, and all of them were decoded to the
            symbols that the encoder's distributions came from.
    """

    quality: float
    codes: tuple[bytes, ...]
    decoded: Mapping[int, NDArray[np.int16]]

    @property
    def bytes_total(self) -> int:
        """Payloads of all slices."""
        return sum(len(code) + CRC_BYTES for code in self.codes)


def layout_of(header: ResiCompHeader) -> SliceLayout:
    """The layout of a stream.

    Raises:
        InputError: The image has fewer tokens than slices.
    """
    from netcodecs.transforms.gained import STRIDE

    contexts = header.contexts
    grid = -(-header.height // STRIDE), -(-header.width // STRIDE)
    sizes = slice_sizes(grid[0] * grid[1], contexts, header.beta)
    return SliceLayout(contexts, slice_cells(*grid, sizes), slice_map(*grid, sizes))


def predicted_slices(
    networks: Networks, layout: SliceLayout, symbols: Ints, quality: float, wanted: BoolArray | None = None
) -> Iterator[tuple[int, Mixtures]]:
    """Each slice with the distributions of its symbols; slices that share their contexts take one Transformer pass.

    Args:
        networks: Of the codec.
        layout: Of the stream.
        symbols: int64 (h, w, C). They are read when a pass begins, so a decoder can fill in slices meanwhile.
        quality: Of the stream.
        wanted: bool (L,), slices to predict; None: all.
    """
    for one in decoding_passes(layout.contexts, wanted):
        cells = np.concatenate([layout.cells[number] for number in one.slices])
        known = layout.known(layout.contexts[one.slices[0]])
        together = networks.densities(symbols, known, quality, cells)
        start = 0
        for number in one.slices:
            end = start + len(layout.cells[number])
            yield number, together.part(start, end)
            start = end


class SliceEncoder:
    """One image's latent, to be coded at one quality or more.

    Args:
        networks: Of the codec.
        layout: Of the stream.
        latent: Before its gain, (h, w, C).
    """

    def __init__(self, networks: Networks, layout: SliceLayout, latent: Floats) -> None:
        self._networks, self._layout, self._latent = networks, layout, latent

    def _slices(self, quality: float) -> Iterator[tuple[int, Ints, Mixtures]]:
        """Each slice's number, its symbols and their distributions."""
        symbols = self._networks.symbols(self._latent, quality)
        flat = symbols.reshape(-1, symbols.shape[2])
        for number, mixtures in predicted_slices(self._networks, self._layout, symbols, quality):
            yield number, flat[self._layout.cells[number]], mixtures

    def encode(self, quality: float) -> EncodedSlices:
        """All slices at a quality."""
        coder, contexts = self._networks.coder, self._layout.contexts
        costly = contexts.any(axis=0) | contexts.any(axis=1)  # the others are decoded without a Transformer pass
        codes, decoded = dict[int, bytes](), dict[int, NDArray[np.int16]]()
        for number, chosen, mixtures in self._slices(quality):
            codes[number] = coder.encode(chosen, mixtures)
            if costly[number] and all(n in decoded for n in map(int, np.flatnonzero(contexts[number]))):
                symbols = coder.decode(codes[number], mixtures)
                if np.array_equal(symbols, chosen):
                    decoded[number] = symbols.astype(np.int16)
        return EncodedSlices(quality, tuple(codes[number] for number in range(len(codes))), decoded)

    def token_bits(self, quality: float) -> Floats:
        """Bits of each token in order of slices, (N,)."""
        bits = {n: self._networks.coder.bits(chosen, mixtures) for n, chosen, mixtures in self._slices(quality)}
        return np.concatenate([bits[n] for n in range(len(bits))])

    def encode_near(self, target_bytes: float, encode: Callable[[float], EncodedSlices] | None = None) -> EncodedSlices:
        """The slices within ``RATE_TOLERANCE`` of a size, or the nearest of those tried. Deterministic.

        The bits of symbols without any context are cheap to compute at every quality: one distribution per channel.
        What contexts save, and what a search for a better latent does, depends on the image and hardly on the quality.
        One Transformer pass estimates the former, and each coding gives both exactly.

        Args:
            target_bytes: Payloads of all slices.
            encode: Codes the image at a quality, after a search; None: :meth:`encode`.

        Raises:
            InputError: The lowest quality has more than a tenth too many bytes.
        """
        low, high = (nearest_quality(bound, *self._networks.qualities) for bound in self._networks.qualities)
        goal = math.log(max(target_bytes, 1.0))
        alone = {knot: self._alone(knot) for knot in (low, *(knot for knot in _KNOTS if low < knot < high), high)}

        def guess(saved: float) -> float:
            for _ in range(_LOOKS):
                knots = sorted(alone)
                rates = np.maximum.accumulate([alone[knot] for knot in knots])
                quality = nearest_quality(float(np.interp(goal - saved, rates, knots)), low, high)
                if quality in alone:
                    break
                alone[quality] = self._alone(quality)
            return quality

        saved = self._saved(guess(0.0))
        known: dict[float, tuple[float, EncodedSlices]] = {}
        while (quality := guess(saved)) not in known and len(known) < FULL_TRIES:
            coded = (encode or self.encode)(quality)
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
        """Natural log of the bytes of all slices, every symbol without any context."""
        bits = self._networks.blank(quality).counted_bits(self._networks.symbols(self._latent, quality))
        return math.log(bits / 8 + _SLICE_BYTES * len(self._layout.cells))

    def _saved(self, quality: float) -> float:
        """Estimate of the natural log of the bytes with contexts over those without.

        One slice in the middle stands for all slices that have contexts: all other tokens are predicted from its.
        """
        contexts, nothing = self._layout.contexts, np.zeros(self._layout.slices.shape, bool)
        sizes = np.array([len(cells) for cells in self._layout.cells])
        with_contexts = np.flatnonzero(contexts.any(axis=1))
        symbols = self._networks.symbols(self._latent, quality)
        first = self._share(symbols, nothing, quality)
        if len(with_contexts) == 0:
            return math.log(first)
        known_tokens = contexts @ sizes
        middle = sorted(with_contexts, key=lambda number: int(known_tokens[number]))[len(with_contexts) // 3]
        others = float(sizes[with_contexts].sum() / sizes.sum())
        share = self._share(symbols, self._layout.known(contexts[middle]), quality)
        return math.log((1 - others) * first + others * share)

    def _share(self, symbols: Ints, known: BoolArray, quality: float) -> float:
        """Bits of all tokens that are not known, over those without any context."""
        cells = np.flatnonzero(~known)
        asked = symbols.reshape(-1, symbols.shape[2])[cells]
        bits = self._networks.coder.bits(asked, self._networks.densities(symbols, known, quality, cells)).sum()
        return float(bits) / self._networks.blank(quality).counted_bits(asked)


def nearest_quality(quality: float, low: float, high: float) -> float:
    """The nearest quality that a header can hold and the weights were trained for."""
    steps = round(quality / QUALITY_STEP)
    return max(math.ceil(low / QUALITY_STEP - 1e-9), min(math.floor(high / QUALITY_STEP + 1e-9), steps)) * QUALITY_STEP

"""ELIC: five groups of channels, each in two halves of a checkerboard, make ten slices.

He et al., "ELIC: Efficient learned image compression with unevenly grouped space-channel contextual adaptive coding",
CVPR 2022, §3. A slice is predicted from the hyperprior and all slices before it. A decoder that has the first slices
only puts the predicted means in place of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.threads import one_thread
from netcodecs.transforms.entropy_tables import latent_tables
from netcodecs.transforms.fixed_point import ExactLayers, scale_indexes
from netcodecs.zoo.networks import HyperNetworks, ImageNetworks

__all__ = ["ElicNetworks"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]


class ElicNetworks(ImageNetworks):
    """CompressAI's ``Elic2022Official`` or ``Elic2022Chandelier``.

    Args:
        model: In eval mode; is moved to the device.
        device: For g_a, h_a and g_s; what predicts slices runs on the processor.
    """

    def __init__(self, model: Any, device: str) -> None:
        super().__init__(model, device)
        codec = model.latent_codec
        hyper = codec["hyper"]
        self.hyper = HyperNetworks(hyper.h_a, hyper.h_s, hyper.entropy_bottleneck, device)
        self.tables = latent_tables()
        groups = codec["y"]
        self._merged: Callable[..., Tensor] = groups.merge_y
        self._groups = [
            _Group(groups.channel_context[f"y{k}"] if k else None, groups.latent_codec[f"y{k}"], channels)
            for k, channels in enumerate(groups.groups)
        ]
        #: number of slices
        self.slices = 2 * len(self._groups)

    @one_thread()
    def encode(self, image: Image) -> tuple[Ints, list[bytes]]:
        """The hyperprior's symbols (N, h/4, w/4) and the code of each slice, of an image uint8 (H, W, 3)."""
        latent = self.analyse(image)
        hyper_symbols = self.hyper.symbols(latent)
        values = latent[0].double().cpu().numpy()
        codes = []

        def quantised(_: int, region: tuple[slice, BoolArray], indexes: Ints, means: Floats) -> Ints:
            symbols = np.rint(values[region[0]][:, region[1]] - means).astype(np.int64)
            codes.append(self.tables.encode(symbols, indexes))
            return symbols

        self._walk(hyper_symbols, quantised)
        return hyper_symbols, codes

    @one_thread()
    def decode(self, codes: Sequence[bytes], hyper_symbols: Ints) -> Floats:
        """The latent (M, h, w) of the first slices; means in place of the others.

        Args:
            codes: Of the first slices, none to all.
            hyper_symbols: (N, h/4, w/4).

        Raises:
            InputError: A code has too few bits, or symbols that no image has.
        """

        def read(number: int, _: tuple[slice, BoolArray], indexes: Ints, means: Floats) -> Ints:
            return self.tables.decode(codes[number], indexes) if number < len(codes) else np.zeros_like(indexes)

        return self._walk(hyper_symbols, read)

    def _walk(
        self, hyper_symbols: Ints, symbols_of: Callable[[int, tuple[slice, BoolArray], Ints, Floats], Ints]
    ) -> Floats:
        """The latent, slice by slice.

        ``symbols_of`` gives a slice's symbols (channels, positions) from its number, the place of its symbols in the
        latent, and the table and the mean of each.
        """
        side = self.hyper.synthesise(hyper_symbols)
        rows, columns = side.shape[2:]
        even = np.indices((rows, columns)).sum(0) % 2 == 0  # the first half of the checkerboard
        known: list[Tensor] = []
        start = 0
        for number, group in enumerate(self._groups):
            here = slice(start, start := start + group.channels)
            given = side if not known else torch.cat([group.context(self._merged(*known)), side], 1)
            made = torch.zeros(1, group.channels, rows, columns, dtype=torch.float64)
            for half, chosen in enumerate((even, ~even)):
                scales, means = group.parameters(made if half else None, given)
                scales, means = scales[:, chosen], means[:, chosen]
                symbols = symbols_of(2 * number + half, (here, chosen), scale_indexes(scales), means)
                made[0, :, torch.from_numpy(chosen)] = torch.from_numpy(symbols + means)
            known.append(made)
        return torch.cat(known, 1)[0].numpy()


class _Group:
    """What predicts a group of channels, in fixed point."""

    def __init__(self, channel_context: nn.Module | None, codec: Any, channels: int) -> None:
        self.channels = channels
        self._channel_context = None if channel_context is None else ExactLayers(channel_context)
        masked = codec.context_prediction
        layer = nn.Conv2d(channels, 2 * channels, masked.kernel_size, padding=masked.padding)
        layer.weight.data = (masked.weight * masked.mask).detach().clone()
        layer.bias = nn.Parameter(masked.bias.detach().clone())
        self._position_context = ExactLayers(layer)
        self._parameters = ExactLayers(codec.entropy_parameters)
        self._scales_first = codec.latent_codec["y"].chunks == ("scales", "means")

    def context(self, known: Tensor) -> Tensor:
        """What the groups before this one tell about it."""
        assert self._channel_context is not None
        return self._channel_context(known)

    def parameters(self, first_half: Tensor | None, given: Tensor) -> tuple[Floats, Floats]:
        """Scales and means (channels, h, w).

        Args:
            first_half: (1, channels, h, w), zero on the other half; None for the first half, which has no context.
            given: What hyperprior and earlier groups tell, (1, C, h, w).
        """
        rows, columns = given.shape[2:]
        if first_half is None:
            context = torch.zeros(1, 2 * self.channels, rows, columns, dtype=torch.float64)
        else:
            context = self._position_context(first_half)
        first, second = self._parameters(torch.cat([context, given], 1))[0].chunk(2, 0)
        scales, means = (first, second) if self._scales_first else (second, first)
        return scales.numpy(), means.numpy()

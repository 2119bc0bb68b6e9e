"""mbt2018 and cheng2020: every position of the latent is predicted from those above it and to its left.

CompressAI visits one position after the other. The context is a 5×5 neighbourhood, so all positions with the same
``column + 3 · row`` are independent of each other; here they are computed together (a wavefront). In floating point
this would change the last bits of the entropy parameters. In fixed point (``netcodecs.transforms.fixed_point``) it
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.threads import one_thread
from netcodecs.transforms.entropy_tables import StreamDecoder, latent_tables
from netcodecs.transforms.fixed_point import ExactLayers, scale_indexes
from netcodecs.zoo.networks import EncodedImage, HyperNetworks, ImageNetworks, latent_grid

__all__ = ["AutoregressiveNetworks", "wavefronts"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]

_KERNEL = 5
_REACH = _KERNEL // 2


@lru_cache(maxsize=16)
def wavefronts(rows: int, columns: int) -> tuple[tuple[Ints, Ints], ...]:
    """Rows and columns of the positions that are coded together, in the order of coding.

    >>> [list(zip(r.tolist(), c.tolist())) for r, c in wavefronts(2, 4)]
    [[(0, 0)], [(0, 1)], [(0, 2)], [(0, 3), (1, 0)], [(1, 1)], [(1, 2)], [(1, 3)]]
    """
    row, column = (axis.reshape(-1) for axis in np.indices((rows, columns)))
    step = column + (_REACH + 1) * row
    return tuple((row[step == now], column[step == now]) for now in range(int(step.max()) + 1))


class AutoregressiveNetworks(ImageNetworks):
    """A model with a hyperprior and a context model over positions (Minnen et al. 2018; Cheng et al. 2020).

    Args:
        model: CompressAI's ``JointAutoregressiveHierarchicalPriors`` or a subclass.
        device: For g_a, h_a and g_s; the context model runs on the processor.
    """

    def __init__(self, model: Any, device: str) -> None:
        super().__init__(model, device)
        self.hyper = HyperNetworks(model.h_a, model.h_s, model.entropy_bottleneck, device)
        self.tables = latent_tables()
        self._context = _Context(model.context_prediction, model.entropy_parameters)

    @one_thread()
    def encode(self, image: Image) -> EncodedImage:
        """The symbols of an image uint8 (H, W, 3); ``symbols`` and ``indexes`` in coding order, (n,) each."""
        latent = self.analyse(image)
        hyper_symbols = self.hyper.symbols(latent)
        values = latent[0].double().cpu().numpy()
        symbols, indexes = [], []

        def quantised(place: tuple[Ints, Ints], index: Ints, means: Floats) -> Ints:
            found = np.rint(values[:, place[0], place[1]].T - means).astype(np.int64)
            symbols.append(found.reshape(-1))
            indexes.append(index.reshape(-1))
            return found

        self._walk(hyper_symbols, image.shape[0], image.shape[1], quantised)
        return EncodedImage(hyper_symbols, np.concatenate(symbols), np.concatenate(indexes))

    @one_thread()
    def decode(self, code: bytes, hyper_symbols: Ints, height: int, width: int) -> Floats:
        """The latent (M, h, w) from its code.

        Args:
            code: Of ``tables.encode``, of symbols in coding order.
            hyper_symbols: (N, h/4, w/4).
            height: Of the image, in pixels.
            width: Of the image, in pixels.

        Raises:
            InputError: The code has too few bits for that many symbols, or symbols that no image has.
        """
        decoder = StreamDecoder(self.tables, code)
        return self._walk(hyper_symbols, height, width, lambda place, index, means: decoder.decode(index))

    def _walk(
        self,
        hyper_symbols: Ints,
        height: int,
        width: int,
        symbols_at: Callable[[tuple[Ints, Ints], Ints, Floats], Ints],
    ) -> Floats:
        """The latent, wavefront by wavefront.

        ``symbols_at`` gives the symbols (n, M) of a wavefront's n positions from the table and the mean of each.
        """
        given = self.hyper.synthesise(hyper_symbols)[0]
        rows, columns = latent_grid(height, width)
        latent = np.zeros((rows + 2 * _REACH, columns + 2 * _REACH, self._context.channels))  # padded, channels last
        for place in wavefronts(rows, columns):
            scales, means = self._context.parameters(latent, place, given)
            symbols = symbols_at(place, scale_indexes(scales), means)
            latent[place[0] + _REACH, place[1] + _REACH] = symbols + means
        return np.ascontiguousarray(latent[_REACH:-_REACH, _REACH:-_REACH].transpose(2, 0, 1))


class _Context:
    """The masked convolution and the 1×1 layers behind it, at a few positions, in fixed point."""

    def __init__(self, masked: Any, entropy_parameters: nn.Module) -> None:
        taps = [(row, column) for row in range(_REACH + 1) for column in range(_KERNEL)][: _KERNEL * _REACH + _REACH]
        self._taps = taps
        weight: Tensor = masked.weight.detach()
        self.channels = weight.shape[1]
        chosen = torch.stack([weight[:, :, row, column] for row, column in taps], -1)  # (2M, M, taps)
        layer = nn.Conv2d(self.channels * len(taps), len(weight), 1)
        layer.weight.data = chosen.flatten(1)[:, :, None, None]
        layer.bias = nn.Parameter(masked.bias.detach().clone())
        self._prediction, self._parameters = ExactLayers(layer), ExactLayers(entropy_parameters)

    def parameters(self, latent: Floats, place: tuple[Ints, Ints], given: Tensor) -> tuple[Floats, Floats]:
        """Scales and means (n, M) at n positions.

        Args:
            latent: What is known, (h + 4, w + 4, M).
            place: Rows and columns, (n,) each.
            given: What h_s made, (C, h, w).
        """
        patches = np.stack([latent[place[0] + row, place[1] + column] for row, column in self._taps], -1)
        context = self._prediction(torch.from_numpy(patches.reshape(len(patches), -1)).T[None, :, :, None])
        here = given[:, torch.from_numpy(place[0]), torch.from_numpy(place[1])][None, :, :, None]
        scales, means = self._parameters(torch.cat([here, context], 1))[0, :, :, 0].T.chunk(2, 1)
        return scales.numpy(), means.numpy()

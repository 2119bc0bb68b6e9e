"""CompressAI's models around the packets: image → latent, received symbols → latent, latents → images.

What is range-coded must be the same at both ends. CompressAI computes scales and means in float32, whose last bits
depend on the processor and the number of threads. Here the entropy networks run in fixed point
(``netcodecs.transforms.fixed_point``), so that a stream decodes on any machine. The rounding to 2⁻¹⁶ is far below what
matters: streams have CompressAI's rate, but not its bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.common.devices import IMAGES_AT_ONCE
from netcodecs.common.latent_spans import channel_tables
from netcodecs.threads import one_thread
from netcodecs.transforms.entropy_tables import Tables, bottleneck_tables, latent_tables
from netcodecs.transforms.fixed_point import ExactLayers, scale_indexes

__all__ = ["ChannelNetworks", "EncodedImage", "HyperNetworks", "ImageNetworks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]

STRIDE = 16  # pixels of a side per position of the latent
PADDED = 64  # image sides are padded to multiples of it


def latent_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latent of an image."""
    return tuple(PADDED // STRIDE * -(-side // PADDED) for side in (height, width))  # type: ignore[return-value]


class ImageNetworks:
    """g_a and g_s of a model.

    Args:
        model: In eval mode; is moved to the device.
        device: For g_a, h_a and g_s, which code nothing.
    """

    def __init__(self, model: Any, device: str) -> None:
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self._device = torch.device(device)
        self._g_a, self._g_s = model.g_a.to(self._device), model.g_s.to(self._device)

    @torch.no_grad()
    @one_thread()
    def analyse(self, image: Image) -> Tensor:
        """The latent (1, M, h, w), float32. The image's right and bottom border is repeated to multiples of 64."""
        height, width = image.shape[:2]
        given = torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)[None].float() / 255
        latent: Tensor = self._g_a(functional.pad(given, (0, -width % PADDED, 0, -height % PADDED), mode="replicate"))
        return latent

    @torch.no_grad()
    @one_thread()
    def synthesise(self, latents: Floats, height: int, width: int) -> Image:
        """Images uint8 (B, height, width, 3) of latents (B, M, h, w)."""
        images = np.empty((len(latents), height, width, 3), np.uint8)
        at_once = IMAGES_AT_ONCE[self._device.type]
        for start in range(0, len(latents), at_once):
            part = torch.from_numpy(latents[start : start + at_once]).float().to(self._device)
            shown = self._g_s(part)[..., :height, :width].clamp(0, 1) * 255
            images[start : start + at_once] = shown.round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return images


class HyperNetworks:
    """The hyperprior of a model: h_a, its tables, and h_s in fixed point.

    Args:
        h_a: Analysis of the latent.
        h_s: Synthesis of what entropy coding reads.
        bottleneck: CompressAI's ``EntropyBottleneck``.
        device: For h_a.
        of_magnitudes: Whether h_a reads |y| (Ballé et al. 2018) in place of y.
    """

    def __init__(self, h_a: Any, h_s: Any, bottleneck: Any, device: str, *, of_magnitudes: bool = False) -> None:
        self._h_a, self._h_s = h_a.to(torch.device(device)), ExactLayers(h_s)
        self._of_magnitudes = of_magnitudes
        self._tables = bottleneck_tables(bottleneck)
        self._medians = _medians(bottleneck)

    @torch.no_grad()
    @one_thread()
    def symbols(self, latent: Tensor) -> Ints:
        """The hyperprior's symbols (N, h/4, w/4) of a latent (1, M, h, w)."""
        given = latent.abs() if self._of_magnitudes else latent
        return np.rint(self._h_a(given)[0].double().cpu().numpy() - self._medians).astype(np.int64)

    def encode(self, symbols: Ints) -> bytes:
        """One string."""
        return self._tables.encode(symbols, channel_tables(symbols.shape))

    def decode(self, code: bytes, height: int, width: int) -> Ints:
        """The symbols of a string. Raises InputError if it is not a code of that many symbols."""
        rows, columns = latent_grid(height, width)
        shape = len(self._tables.offsets), rows // 4, columns // 4
        return self._tables.decode(code, channel_tables(shape))

    def bits(self, symbols: Ints) -> float:
        """Information of the symbols."""
        return float(self._tables.bits(symbols, channel_tables(symbols.shape)).sum())

    def synthesise(self, symbols: Ints) -> Tensor:
        """What h_s makes of the symbols, (1, C, h, w), float64, multiples of 2⁻¹⁶."""
        with one_thread():
            return self._h_s(torch.from_numpy(symbols + self._medians)[None])


def _medians(bottleneck: Any) -> Floats:
    """The value of symbol zero in each channel, (C, 1, 1)."""
    quantiles: Tensor = bottleneck.quantiles
    return quantiles[:, 0, 1].detach().double().cpu().numpy()[:, None, None]


class EncodedImage:
    """An image's symbols, ready for packets.

    Attributes:
        hyper_symbols: (N, h/4, w/4); None without a hyperprior.
        symbols: (M, h, w).
        indexes: Table of each symbol, (M, h, w).
    """

    def __init__(self, hyper_symbols: Ints | None, symbols: Ints, indexes: Ints) -> None:
        self.hyper_symbols, self.symbols, self.indexes = hyper_symbols, symbols, indexes


class ChannelNetworks(ImageNetworks):
    """A model whose latent channels decode on their own: factorised prior, scale and mean-scale hyperprior.

    Args:
        model: CompressAI's ``FactorizedPrior``, ``ScaleHyperprior`` or ``MeanScaleHyperprior``.
        device: For g_a, h_a and g_s.
    """

    def __init__(self, model: Any, device: str) -> None:
        super().__init__(model, device)
        self._means_too = isinstance(model.h_s[-1], nn.Conv2d) if hasattr(model, "h_s") else False
        self.hyper: HyperNetworks | None = None
        if hasattr(model, "h_s"):
            self.hyper = HyperNetworks(
                model.h_a, model.h_s, model.entropy_bottleneck, device, of_magnitudes=not self._means_too
            )
            self.tables: Tables = latent_tables()
        else:
            self.tables, self._medians = bottleneck_tables(model.entropy_bottleneck), _medians(model.entropy_bottleneck)

    def encode(self, image: Image) -> EncodedImage:
        """The symbols of an image uint8 (H, W, 3)."""
        latent = self.analyse(image)
        hyper_symbols = None if self.hyper is None else self.hyper.symbols(latent)
        indexes, means = self.entropy_parameters(hyper_symbols, *image.shape[:2])
        symbols = np.rint(latent[0].double().cpu().numpy() - means).astype(np.int64)
        return EncodedImage(hyper_symbols, symbols, indexes)

    def hyper_code(self, encoded: EncodedImage) -> bytes:
        """The code of an image's hyperprior; empty without one."""
        if self.hyper is None or encoded.hyper_symbols is None:
            return b""
        return self.hyper.encode(encoded.hyper_symbols)

    def hyper_symbols(self, code: bytes, height: int, width: int) -> Ints | None:
        """The symbols (N, h/4, w/4) of a hyperprior's code; None without a hyperprior.

        Raises:
            InputError: The code has too few bits for an image of that height and width.
        """
        return None if self.hyper is None else self.hyper.decode(code, height, width)

    def entropy_parameters(self, hyper_symbols: Ints | None, height: int, width: int) -> tuple[Ints, Floats]:
        """Table and mean of each symbol of the latent, (M, h, w) each.

        Args:
            hyper_symbols: (N, h/4, w/4); None without a hyperprior.
            height: Of the image, in pixels.
            width: Of the image, in pixels.
        """
        if self.hyper is None or hyper_symbols is None:
            shape = (len(self.tables.offsets), *latent_grid(height, width))
            return channel_tables(shape), np.broadcast_to(self._medians, shape)
        made = self.hyper.synthesise(hyper_symbols)[0]
        if not self._means_too:
            return scale_indexes(made.numpy()), np.zeros(tuple(made.shape))
        scales, means = made.chunk(2, 0)
        return scale_indexes(scales.numpy()), means.numpy()

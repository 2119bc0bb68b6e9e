"""Multi-scale structural similarity, a metric plug-in (``netsim.metrics``: ms_ssim)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim as _ms_ssim

from netsim.errors import InputError

__all__ = ["ms_ssim"]

_SMALLEST = 161  # (11 - 1)·2⁴ + 1: an 11×11 window must fit into the fifth scale


def ms_ssim(reference: NDArray[np.uint8], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """MS-SSIM of each image against the reference: five scales, 11×11 Gaussian window, mean over R, G and B.

    Images are measured one at a time, so that the result does not depend on the batch.

    Args:
        reference: uint8 [H, W, 3], RGB.
        images: uint8 [m, H, W, 3].

    Returns:
        float64 [m], 1 for equal images.

    Raises:
        InputError: Shapes or types differ, or a side is shorter than 161 pixels.

    Source: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003.
    """
    if (
        images.ndim != 4
        or images.shape[1:] != reference.shape
        or {reference.dtype, images.dtype} != {np.dtype(np.uint8)}
    ):
        hint = "uint8 reference [H, W, 3] and images [m, H, W, 3] of the same size"
        raise InputError(f"shapes {reference.shape} and {images.shape} do not match", hint=hint)
    height, width = reference.shape[:2]
    if min(height, width) < _SMALLEST:
        hint = f"both sides at least {_SMALLEST} pixels: an 11×11 window over five scales; or leave ms_ssim out"
        raise InputError(f"an image of {width}×{height} pixels is too small for MS-SSIM", hint=hint)
    target = _planes(reference)
    with torch.inference_mode():
        values = [float(_ms_ssim(_planes(image), target, data_range=255.0)) for image in images]
    return np.array(values, dtype=np.float64)


ms_ssim.smallest_side_pixels = _SMALLEST  # type: ignore[attr-defined]  # a scenario is checked before anything is encoded


def _planes(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()

"""Peak signal-to-noise ratio of 8-bit RGB images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = ["psnr_db"]

_SAMPLES_AT_ONCE = 1 << 21  # an image of any size takes no more than this in float64


def psnr_db(reference: NDArray[np.uint8], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """PSNR of each image against the reference: 10·log10(255² / MSE), the MSE over all pixels and channels.

    Source: both papers measure on clamped, rounded 8-bit RGB and take the mean over images in dB.

    Args:
        reference: uint8 [H, W, 3], RGB, unpadded.
        images: uint8 [m, H, W, 3].

    Returns:
        float64 [m], in dB; infinite where an image equals the reference (the log keeps the infinity, summaries count
        it as a stated number of dB, see ``netsim.analysis.summary``). The squared errors are summed without rounding,
        so the result does not depend on batch, threads or machine.

    Raises:
        InputError: Shapes or types differ.

    >>> reference = np.zeros((2, 2, 3), np.uint8)
    >>> psnr_db(reference, np.stack([reference, reference + 255, reference + 1])).round(4)
    array([    inf,  0.    , 48.1308])
    """
    _check(reference, images)
    errors = np.zeros(len(images))
    target = reference.reshape(-1)
    for start in range(0, target.size, _SAMPLES_AT_ONCE):
        part = slice(start, start + _SAMPLES_AT_ONCE)
        wanted = target[part].astype(np.float64)
        for i, image in enumerate(images):
            difference = image.reshape(-1)[part] - wanted
            errors[i] += np.dot(difference, difference)  # whole numbers below 2**53: exact in any order
    most = 255.0**2 * reference.size
    # not np.log10, whose last digit depends on the processor's vector instructions
    return np.array([10 * math.log10(most / error) if error else math.inf for error in errors])


def _check(reference: NDArray[np.uint8], images: NDArray[np.uint8]) -> None:
    if reference.dtype != np.uint8 or images.dtype != np.uint8:
        raise InputError(f"images of {reference.dtype} and {images.dtype}", hint="8-bit (uint8) is compared")
    if images.ndim != 4 or images.shape[1:] != reference.shape or reference.size == 0:
        hint = "reference [H, W, 3] and images [m, H, W, 3] of the same size"
        raise InputError(f"shapes {reference.shape} and {images.shape} do not match", hint=hint)

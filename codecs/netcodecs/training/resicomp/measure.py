"""Rate and quality of ResiComp's weights on a folder of images, from the codec's own bytes and masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netcodecs.resicomp.codec import ResiComp, ResiCompSettings
from netcodecs.training.core.crops import load_folder
from netcodecs.transforms.gains import lambda_of
from netsim.codec import Image, OperatingPoint
from netsim.metrics.psnr import psnr_db

__all__ = ["ALPHA", "Measured", "mean_loss", "measure", "section_of", "table"]

ALPHA = 0.1  # usual weight of the concealed image's error
_IMAGES, _PATTERNS = 8, 2  # five minutes on a core that others use, too
_QUALITIES = (1.0, 3.0)  # λ = .0018 and .0067, as in validation
_LEAST_SIDE = 64  # an image with a token for each slice


@dataclass(frozen=True)
class Measured:
    """Means over images at one quality.

    Attributes:
        quality: Operating point.
        images: How many.
        bpp: Of all that ``LC`` sends.
        psnr_db: Without loss.
        concealed_db: PSNR with half of the tokens lost.
        mse: Without loss, range 0…1.
        concealed_mse: With half of the tokens lost.
    """

    quality: float
    images: int
    bpp: float
    psnr_db: float
    concealed_db: float
    mse: float
    concealed_mse: float


def measure(
    weights: Path, folder: Path, *, limit: int | None = _IMAGES, qualities: Sequence[float] = _QUALITIES
) -> list[Measured]:
    """Encodes and decodes images, whole and with half of the tokens lost.

    The rate is that of ``LC``. Losses are those of ``ISC``, whose slices are alike and don't need each other: five of
    its ten packets are lost, two random patterns per image, the same at every call.

    Args:
        weights: A file of weights of ResiComp.
        folder: Of images.
        limit: How many images, spread evenly over the folder; None: all.
        qualities: Operating points.

    Returns:
        A row per quality; PSNR on 8-bit RGB, its mean a mean of dB.
    """
    images = load_folder(folder, at_least=_LEAST_SIDE, limit=limit)
    layered, independent = (ResiComp(ResiCompSettings(mode=mode, weights=weights)) for mode in ("LC", "ISC"))
    rows = []
    for quality in qualities:
        point, cells = OperatingPoint("quality", quality), []
        for number, image in enumerate(images):
            stream = layered.encode(image, point)
            whole = psnr_db(image, layered.decode(stream, np.ones((1, len(stream)), bool)))
            lossy = _with_half_lost(independent, image, point, number)
            mse, concealed = (float(np.mean(10 ** (-levels / 10))) for levels in (whole, lossy))
            cells.append((stream.bpp, float(whole[0]), float(lossy.mean()), mse, concealed))
        rows.append(Measured(quality, len(images), *(float(value) for value in np.mean(cells, axis=0))))
    return rows


def _with_half_lost(codec: ResiComp, image: Image, point: OperatingPoint, seed: int) -> NDArray[np.float64]:
    """PSNR in dB under each loss pattern."""
    stream = codec.encode(image, point)
    slices = len(stream) - 1
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(slices), (_PATTERNS, 1)), axis=1)
    header = np.ones((_PATTERNS, 1), bool)
    return psnr_db(image, codec.decode(stream, np.concatenate([header, ranks >= slices // 2], axis=1)))


def mean_loss(rows: Sequence[Measured], *, alpha: float = ALPHA) -> float:
    """Mean over qualities of ln(bpp + λ·255²·(MSE + α · concealed MSE)): the training's loss, from real bytes.

    >>> row = Measured(3.0, 1, 0.4, 30.0, 20.0, mse=0.001, concealed_mse=0.01)
    >>> round(math.exp(mean_loss([row])), 4)  # .4 + .0067 · 65025 · .002
    1.2713
    """
    losses = []
    for row in rows:
        distortion = 255**2 * (row.mse + alpha * row.concealed_mse)
        losses.append(math.log(row.bpp + lambda_of(row.quality) * distortion))
    return float(np.mean(losses))


def table(rows: Sequence[Measured]) -> str:
    """Markdown, a row per quality."""
    lines = ["| quality | λ | LC, bpp | PSNR dB | half of the tokens lost |", "|---|---|---|---|---|"]
    for row in rows:
        cells = f"{row.quality:g} | {lambda_of(row.quality):.4g} | {row.bpp:.3f} | {row.psnr_db:.2f}"
        lines.append(f"| {cells} | {row.concealed_db:.2f} |")
    return "\n".join(lines)


def section_of(rows: Sequence[Measured]) -> str:
    """Of a model card."""
    measured = (
        f"**Test** ({rows[0].images} images, real bytes of all packets; five of ten packets of ISC lost, loss patterns "
        f"per image and rate: {_PATTERNS}):"
    )
    return f"{measured}\n\n{table(rows)}\n"

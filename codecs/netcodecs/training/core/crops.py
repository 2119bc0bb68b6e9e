"""Training images in memory, and random crops that depend on nothing but (seed, step, rank)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netsim.errors import InputError
from netsim.image_file import read_image_file

__all__ = ["RandomCrops", "centre_crop", "load_folder"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def load_folder(folder: Path, *, at_least: int, limit: int | None = None) -> list[NDArray[np.uint8]]:
    """Every image below a folder, uint8 (H, W, 3), in the order of their paths.

    Args:
        folder: Searched with its subfolders.
        at_least: Images with a shorter side, in pixels, are left out.
        limit: How many to take, spread evenly over the folder.

    Raises:
        InputError: There is no folder, no image large enough in it, or a file that ``netsim`` can't read as an image.
    """
    if not folder.is_dir():
        raise InputError(f"no folder of images at {folder}")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))
    if limit is not None and len(paths) > limit:
        paths = [paths[i * len(paths) // limit] for i in range(limit)]
    images = []
    for path in paths:
        image = read_image_file(path)
        if min(image.shape[:2]) >= at_least:
            images.append(image)
    if not images:
        raise InputError(f"no image of at least {at_least}×{at_least} in {folder}", hint="name another folder")
    return images


def centre_crop(image: NDArray[np.uint8], multiple: int = 64) -> Tensor:
    """The centre of an image, its sides cut to multiples of ``multiple`` pixels: (1, 3, h, w) float32, 0…1."""
    height, width = (n // multiple * multiple for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return _tensor(image[None, top : top + height, left : left + width])


class RandomCrops:
    """Random crops, mirrored and transposed at random; an image is drawn in proportion to its area.

    Args:
        images: uint8 (H, W, 3), each of at least ``side`` × ``side``.
        side: Of a crop, in pixels.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], side: int) -> None:
        self._images, self._side = images, side
        areas = np.array([image.shape[0] * image.shape[1] for image in images], float)
        self._shares = areas / areas.sum()

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """``count`` crops, (count, 3, side, side) float32, 0…1, channels last in memory."""
        return _tensor(np.stack([self._one(rng) for _ in range(count)]))

    def _one(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        image = self._images[rng.choice(len(self._images), p=self._shares)]
        top, left = (int(rng.integers(n - self._side + 1)) for n in image.shape[:2])
        crop = image[top : top + self._side, left : left + self._side]
        if rng.integers(2):
            crop = crop[:, ::-1]
        return crop.transpose(1, 0, 2) if rng.integers(2) else crop


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(images, order="C")).permute(0, 3, 1, 2).float() / 255

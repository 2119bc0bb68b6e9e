"""Training images in memory, and random crops that depend on nothing but (seed, step, rank)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from netsim.errors import InputError
from netsim.image_file import read_image_file

__all__ = ["RandomCrops", "centre_crop", "image_paths", "load_folder", "resized"]

_SMALLER = 0.6, 0.85  # of an image's sides
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def image_paths(folder: Path) -> list[Path]:
    """Files of images below a folder, sorted.

    Raises:
        InputError: There is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder of images at {folder}")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))


def load_folder(folder: Path, *, at_least: int, limit: int | None = None) -> list[NDArray[np.uint8]]:
    """Every image below a folder, uint8 (H, W, 3), in the order of their paths.

    Args:
        folder: Searched with its subfolders.
        at_least: Images with a shorter side, in pixels, are left out.
        limit: How many to take, spread evenly over the folder.

    Raises:
        InputError: There is no folder, no image large enough in it, or a file that ``netsim`` can't read as an image.
    """
    paths = image_paths(folder)
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
    return _tensor(torch.from_numpy(np.array(image[None, top : top + height, left : left + width], order="C")))


class RandomCrops:
    """Random crops, mirrored and transposed at random; an image is drawn in proportion to its area.

    Args:
        images: uint8 (H, W, 3), each of at least ``side`` × ``side``.
        side: Of a crop, in pixels.
        smaller_share: Share of crops that are cut from the same images made smaller, to .6 to .85 of their sides, but
            with no side shorter than a crop. Photos of many megapixels are smooth at the scale of a crop.
        device: Where images are kept and crops are cut.

    Attributes:
        images: How many there are.
        megapixels: Of all of them.
        smaller_share: As given.
    """

    def __init__(
        self, images: Sequence[NDArray[np.uint8]], side: int, *, smaller_share: float = 0.0, device: str = "cpu"
    ) -> None:
        self._side, self._device, self.smaller_share = side, device, smaller_share
        self.images = len(images)
        self.megapixels = round(sum(image.shape[0] * image.shape[1] for image in images) / 1e6, 1)
        smaller = _made_smaller(images, side) if smaller_share else []
        shares = np.repeat((1 - smaller_share, smaller_share), (len(images), len(smaller)))
        images = [*images, *smaller]
        self._pixels = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in images])).to(device)
        self._sizes = np.array([image.shape[:2] for image in images])
        areas = self._sizes.prod(1)
        self._starts = np.cumsum(areas) - areas
        given, made = areas[: self.images].sum(), areas[self.images :].sum()
        self._shares = shares * areas / np.repeat((given, made), (self.images, len(smaller)))

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """``count`` crops, (count, 3, side, side) float32, 0…1, channels last in memory."""
        which = rng.choice(len(self._shares), size=count, p=self._shares)
        top, left = rng.integers(self._sizes[which] - self._side + 1).T
        mirrored, transposed = rng.integers(2, size=(2, count)).astype(bool)
        row_steps = self._sizes[which, 1]
        first = self._starts[which] + top * row_steps + left + np.where(mirrored, self._side - 1, 0)
        column_steps = np.where(mirrored, -1, 1)
        down, across = np.where(transposed, [column_steps, row_steps], [row_steps, column_steps])
        starts = torch.from_numpy(np.stack([first, down, across], 1)).to(self._device)
        steps = torch.arange(self._side, device=self._device)
        first_at, down_at, across_at = starts[:, :, None, None].unbind(1)
        return _tensor(self._pixels[first_at + down_at * steps[:, None] + across_at * steps])


def _made_smaller(images: Sequence[NDArray[np.uint8]], least_side: int) -> list[NDArray[np.uint8]]:
    """Each image with its sides times a factor of its own, the same at every call."""
    factors = np.random.default_rng(0).uniform(*_SMALLER, size=len(images))
    return [
        resized(image, max(factor, least_side / min(image.shape[:2])))
        for image, factor in zip(images, factors, strict=True)
    ]


def resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """An image (H, W, 3) with its sides times ``factor``, rounded; the image itself for 1."""
    if factor == 1:
        return image
    height, width = (round(side * factor) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _tensor(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W), 0…1, channels last in memory."""
    return images.permute(0, 3, 1, 2).float() / 255

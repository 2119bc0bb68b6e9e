"""Training pictures, held in memory as uint8, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netsim.errors import InputError

__all__ = ["areas_of", "centre_crops", "load_folder", "random_crops"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def load_folder(folder: Path, *, at_least: int, limit: int | None = None) -> list[Tensor]:
    """Every picture below a folder as uint8 (3, H, W), in the order of their paths.

    at_least: pictures with a shorter side are left out. limit: how many to take, spread evenly over the folder.
    Raises InputError if there is no folder, no picture large enough in it, or one that can't be read.
    """
    if not folder.is_dir():
        raise InputError(f"no folder of pictures at {folder}")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if limit is not None and len(paths) > limit:
        paths = [paths[i * len(paths) // limit] for i in range(limit)]
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as file:
                if min(file.size) >= at_least:
                    pictures.append(torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).contiguous())
        except OSError as error:
            raise InputError(f"{path} can't be read as a picture", hint=str(error)) from None
    if not pictures:
        raise InputError(f"no picture of at least {at_least}×{at_least} in {folder}", hint="give another --images")
    return pictures


def areas_of(pictures: Sequence[Tensor]) -> Tensor:
    """Pixels of each picture, float32."""
    return torch.tensor([float(p.shape[1] * p.shape[2]) for p in pictures])


def random_crops(
    pictures: Sequence[Tensor], count: int, size: int, generator: torch.Generator, areas: Tensor | None = None
) -> Tensor:
    """``count`` random crops, mirrored and transposed at random: (count, 3, size, size) float32, 0…1.

    A picture is drawn with a probability that grows with its area. Crops are cut on the device where the pictures lie;
    every number is drawn by ``generator``, on the processor, so that a GPU is never waited for.
    areas: :func:`areas_of` the pictures, where many calls share them.
    """
    areas = areas_of(pictures) if areas is None else areas
    crops = []
    for index in torch.multinomial(areas, count, replacement=True, generator=generator).tolist():
        picture = pictures[index]
        top, left = (int(torch.randint(n - size + 1, (1,), generator=generator)) for n in picture.shape[1:])
        crop = picture[:, top : top + size, left : left + size]
        mirror, transpose = torch.randint(2, (2,), generator=generator).tolist()
        crop = crop.flip(2) if mirror else crop
        crops.append(crop.transpose(1, 2) if transpose else crop)
    return torch.stack(crops).float() / 255


def centre_crops(pictures: Sequence[Tensor]) -> list[Tensor]:
    """Each picture's centre, cut to multiples of 64 (the hyperprior's stride), as (1, 3, H, W) float32, 0…1."""
    cut = []
    for picture in pictures:
        height, width = (n // 64 * 64 for n in picture.shape[1:])
        top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
        cut.append(picture[None, :, top : top + height, left : left + width].float() / 255)
    return cut

"""Makes training images small enough to carry to another machine: ``python -m netcodecs.training.pack``.

Photos become JPEG files of one quality, 80 to 95 (no chroma subsampling). Where quality 80 is still too much, all are
made smaller, but no shorter side than 256 pixels, a usual crop. The same photos and size give the same files.
"""

from __future__ import annotations

import io
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from netcodecs.common.command import run_command
from netcodecs.training.core.crops import image_paths, resized
from netsim.errors import InputError
from netsim.image_file import read_image_file

__all__ = ["main", "pack"]

_LOWEST, _HIGHEST = 80, 95  # JPEG qualities
_SCALES = tuple(2 ** (-step / 4) for step in range(13))  # of sides: 1 … 1/8
_LEAST_SIDE = 256
_MIB = 2**20


def pack(folders: Sequence[Path], out: Path, limit_bytes: int) -> str:
    """Writes the photos of each folder, with its subfolders, as JPEG files to a folder of its name in ``out``.

    A JPEG file that is smaller as it is, and need not shrink, is copied. Git ignores ``out``.

    Args:
        folders: Of images. Their names differ.
        out: Is made.
        limit_bytes: What all files may have together.

    Returns:
        A line on what was written.

    Raises:
        InputError: A folder without images, two of one name, an image that can't be read, an ``out`` that holds
            something, or photos that do not fit at any size.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise InputError(f"two folders have one name: {', '.join(names)}", hint="each becomes a folder of that name")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds something", hint="give another folder, or delete it")
    photos = {name: image_paths(folder) for name, folder in zip(names, folders, strict=True)}
    if empty := [name for name, found in photos.items() if not found]:
        raise InputError(f"no images in {empty[0]}", hint="name a folder of photos")
    paths = [path for found in photos.values() for path in found]
    scale, quality = _fitting(paths, limit_bytes)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    megapixels, size = 0.0, 0
    for name, found in photos.items():
        for number, path in enumerate(found):
            photo = _shrunk(read_image_file(path), scale)
            target = partial / name / f"{number:05d}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content := _content(path, photo, scale, quality))
            megapixels, size = megapixels + photo.width * photo.height / 1e6, size + len(content)
    (partial / ".gitignore").write_text("*\n")
    if out.exists():
        out.rmdir()
    os.replace(partial, out)
    return f"{len(paths)} photos, {megapixels:.1f} megapixels, JPEG quality {quality}: {size / _MIB:.2f} MiB in {out}"


def _fitting(paths: Sequence[Path], limit_bytes: int) -> tuple[float, int]:
    """The largest scale at which the lowest quality fits, and the highest quality that fits there."""
    for scale in _SCALES:
        if (least := _size(paths, scale, _LOWEST)) <= limit_bytes:
            break
    else:
        message = f"{len(paths)} photos don't fit in {limit_bytes / _MIB:g} MiB"
        raise InputError(
            message, hint=f"at their smallest they take {math.ceil(least / _MIB)} MiB: give fewer, or more"
        )
    low, high = _LOWEST, _HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _size(paths, scale, middle, limit_bytes) <= limit_bytes else (low, middle)
    return scale, low


def _size(paths: Iterable[Path], scale: float, quality: int, enough: float = math.inf) -> int:
    """Bytes of all photos, or of the first of them that are more than ``enough``."""
    total = 0
    for path in paths:
        total += len(_content(path, _shrunk(read_image_file(path), scale), scale, quality))
        if total > enough:
            break
    return total


def _shrunk(pixels: NDArray[np.uint8], scale: float) -> Image.Image:
    """A photo with its sides multiplied by ``scale``, as far as the shorter keeps 256 pixels."""
    factor = min(1.0, max(scale, _LEAST_SIDE / min(pixels.shape[:2])))
    return Image.fromarray(resized(pixels, factor))


def _content(path: Path, photo: Image.Image, scale: float, quality: int) -> bytes:
    """Of the photo's file."""
    written = io.BytesIO()
    photo.save(written, "JPEG", quality=quality, subsampling=0, optimize=True)
    given = path.read_bytes() if scale == 1 and path.suffix.lower() in (".jpg", ".jpeg") else b""
    return given if given and len(given) <= len(written.getvalue()) else written.getvalue()


def main(
    folders: Annotated[list[Path], typer.Argument(help="Folders of images; the one held out is one of them.")],
    mib: Annotated[float, typer.Option(min=0.01, help="What all files may have together, in MiB.")],
    out: Annotated[Path, typer.Option(help="Folder to make; git ignores it.")] = Path("runs/packed"),
) -> None:
    """Packs photos for training into a folder of at most a given size."""
    print(pack(folders, out, int(mib * _MIB)))


if __name__ == "__main__":
    run_command(main)

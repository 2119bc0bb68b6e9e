"""Small copies of a study's figures, for a page that is kept under version control."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from netsim.runs.atomic import make_folder, write_atomically

__all__ = ["preview", "write_previews"]

_WIDTH, _JPEG_QUALITIES, _ENOUGH_BYTES = 720, (65, 45, 25), 60_000
_COLOURS = 256  # with 32, two curves became one colour
_PHOTO = 2.0  # times the JPEG's bytes, from which on a PNG shows photos


def preview(path: Path) -> tuple[str, bytes]:
    """A figure at most 720 pixels wide, in 256 colours (PNG), or as JPEG where it shows photos.

    Args:
        path: A PNG file.

    Returns:
        The suffix, ``.png`` or ``.jpg``, and the file's content.
    """
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if image.width > _WIDTH:
        image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)), Image.Resampling.LANCZOS)
    drawn = io.BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(drawn, "PNG", optimize=True)
    for quality in _JPEG_QUALITIES:
        photo = io.BytesIO()
        image.save(photo, "JPEG", quality=quality, optimize=True)
        if photo.tell() <= _ENOUGH_BYTES:
            break
    if drawn.tell() > _PHOTO * photo.tell():
        return ".jpg", photo.getvalue()
    return ".png", drawn.getvalue()


def write_previews(figures: Iterable[Path], folder: Path, name: str) -> list[Path]:
    """Write a small copy of each figure into a folder, as NAME-FIGURE.png or .jpg; earlier copies of NAME go.

    Args:
        figures: PNG files.
        folder: Made if it is not there.
        name: Of what the figures belong to.

    Returns:
        The copies.
    """
    make_folder(folder)
    written = []
    for figure in figures:
        suffix, content = preview(figure)
        written.append(folder / f"{name}-{figure.stem}{suffix}")
        write_atomically(written[-1], lambda file, content=content: file.write(content))  # type: ignore[misc]
    for old in folder.glob(f"{name}-*"):
        if old not in written:
            old.unlink()
    return written

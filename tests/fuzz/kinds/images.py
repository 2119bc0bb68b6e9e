"""Image files: whole ones of every format, bit depth and number of images, and damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import tifffile
from PIL import Image

from netsim.codec import MAX_PIXELS
from netsim.image_file import read_image_file
from tests.fuzz.mutations import damaged

WORDS = [
    *(b"IHDR", b"tRNS", b"PLTE", b"acTL", b"IDAT", b"IEND", b"iCCP", b"zTXt", b"eXIf", b"gAMA"),
    *(b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xe1", b"\xff\xe2\x00\x10MPF\x00", b"\xff\xd9"),
    *(b"II*\0", b"MM\0*", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"P3\n", b"P4\n", b"P6\n", b"Pf\n"),
    *(
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x80\x00\x00\x00",
        b"65535",
        b"\x01\x00\x04\x00",
    ),
]


def attempt(rng: Random, folder: Path) -> object:
    """Reads a file. What comes back is 8-bit RGB, and what lossless files hold where they are whole."""
    name, data, expected = rng.choice(_files())
    whole = rng.random() < 0.1
    if not whole:
        data = damaged(data, rng, WORDS)
        data = _checksums_made_good(data) if rng.random() < 0.5 else data
    path = folder / name
    path.write_bytes(data)
    pixels = read_image_file(path)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    assert not pixels.flags.writeable
    if whole and expected is not None:
        assert np.array_equal(pixels, expected)
    return pixels.shape


def _checksums_made_good(data: bytes) -> bytes:
    """A PNG's checksums written anew, so that damage gets past them."""
    found, at = bytearray(data), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(found):
        (size,) = struct.unpack_from(">I", found, at)
        if at + 12 + size > len(found):
            break
        struct.pack_into(">I", found, at + 8 + size, zlib.crc32(bytes(found[at + 4 : at + 8 + size])))
        at += 12 + size
    return bytes(found)


@cache
def _files() -> list[tuple[str, bytes, np.ndarray | None]]:
    """(name, bytes, pixels if the format is lossless)."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    smooth = np.add.outer(np.arange(24) * 5, np.arange(33) * 3)[..., np.newaxis] + np.arange(3) * 20
    rgb, photo = Image.fromarray(pixels), Image.fromarray(smooth.astype(np.uint8))
    grey, palette = rgb.convert("L"), rgb.quantize(12)
    found: list[tuple[str, bytes, np.ndarray | None]] = []

    def add(image: Image.Image, kind: str, expected: np.ndarray | None = None, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        suffix = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
        found.append((f"image.{suffix}", buffer.getvalue(), expected))

    threefold = np.repeat(np.asarray(grey)[..., np.newaxis], 3, axis=2)
    add(rgb, "PNG", pixels)
    add(grey, "PNG", threefold)
    add(palette, "PNG", np.asarray(palette.convert("RGB")))
    add(rgb.convert("RGBA"), "PNG", pixels)
    add(rgb, "PNG", transparency=(1, 2, 3))
    add(grey, "PNG", transparency=7)
    add(palette, "PNG", transparency=200, bits=8)
    add(grey.convert("1"), "PNG")
    add(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG")
    for options in ({}, {"progressive": True}, {"subsampling": 0, "exif": _turned()}, {"restart_marker_rows": 1}):
        add(photo, "JPEG", **options)
    add(photo.convert("CMYK"), "JPEG")
    add(photo, "MPO", save_all=True, append_images=[rgb])
    add(rgb, "WEBP", pixels, lossless=True)
    add(photo, "WEBP")
    add(rgb.convert("RGBA"), "WEBP", pixels, lossless=True)
    add(rgb, "WEBP", save_all=True, append_images=[photo.resize(rgb.size)])
    for compression in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "group4"):
        bilevel = compression == "group4"
        add(grey.convert("1") if bilevel else rgb, "TIFF", None if bilevel else pixels, compression=compression)
    add(photo, "TIFF", compression="jpeg")
    add(palette, "TIFF", np.asarray(palette.convert("RGB")))
    for samples in (pixels, pixels.astype(np.uint16), pixels.astype(np.float32)):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, samples, photometric="rgb")
        found.append(("image.tif", buffer.getvalue(), pixels if samples is pixels else None))
    add(rgb, "PPM", pixels)
    add(grey, "PPM", threefold)
    found.append(("image.ppm", b"P3 # text\n2 1\n255\n1 2 3 4 5 6\n", np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)))
    found.append(("image.ppm", b"P6\n2 1\n1023\n" + bytes(12), None))
    found.append(("image.ppm", b"P1\n2 2\n1 0 0 1\n", None))
    return found


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()

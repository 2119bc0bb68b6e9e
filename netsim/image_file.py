"""Reads an image file as 8-bit RGB, or says why it can't be one. The file is judged, not the reader's idea of it.

Pillow cuts 16-bit RGB samples to 8 bits and compares transparent colours with samples of another depth, both without a
word. So bit depth and transparency are taken from the file itself.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from netsim.codec import MAX_PIXELS
from netsim.errors import InputError
from netsim.paths import read_regular

__all__ = ["read_image_file"]

Pixels = NDArray[np.uint8]

_FILE_LIMIT_BYTES = 2**31
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "PPM")
"""Pillow's names of what is read. A phone's JPEG with more images behind the primary one (MPO) opens as JPEG."""

_KNOWN = "PNG, JPEG, WebP, TIFF or PPM"
_PNG = b"\x89PNG\r\n\x1a\n"
_MODES = ("1", "L", "P", "RGB", "LA", "PA", "RGBA")
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _UNSIGNED = 258, 339, 1  # TIFF
_NO_SIZE = frozenset({0xC4, 0xC8, 0xCC})  # JPEG markers between SOF0 and SOF15 that are not a frame


def read_image_file(path: Path) -> Pixels:
    """An image file as 8-bit RGB.

    Grey and palette images become RGB, samples of fewer than 8 bits are scaled to 0…255, an EXIF orientation is
    applied, an alpha channel that hides nothing is dropped. A JPEG of several images (MPO) gives its primary one.
    Colour profiles are not applied.

    Args:
        path: The file.

    Returns:
        uint8 [H, W, 3], read-only.

    Raises:
        InputError: The file, which is named, is truncated, damaged, no image or too large; it has transparent pixels,
            several frames, or more than 8 bits a sample.
    """
    data = _bytes(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images, and of tags that it leaves out
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _refuse(image, data, path)
                image.load()
                ImageOps.exif_transpose(image, in_place=True)
                _refuse_transparency(image, data, path)
                pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)
        except InputError:
            raise
        except UnidentifiedImageError:
            if (bits := _jpeg_bits(data)) not in (None, 8):
                raise _too_deep(path, f"{bits} bits") from None
            raise InputError(f"`{path}` is not an image that can be read", hint=_KNOWN) from None
        except Image.DecompressionBombError:
            raise _too_large(path) from None
        except MemoryError:
            raise InputError(f"`{path}` needs more memory than there is", hint="resize it, or cut it") from None
        except Exception as error:  # Pillow's readers raise many types on damaged bytes
            hint = "the file is truncated or damaged: copy it again, or leave it out"
            raise InputError(f"`{path}` can't be read as an image: {_words(error)}", hint=hint) from None
    pixels.setflags(write=False)
    return pixels


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, OSError | SyntaxError | ValueError) and text else f"{type(error).__name__} {text}"


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, _FILE_LIMIT_BYTES)
    except OSError as error:
        raise InputError(f"no image `{path}`: {error.strerror}") from None


def _too_large(path: Path, size: tuple[int, int] | None = None) -> InputError:
    what = f"`{path}` is too large" + (f": {size[0]}x{size[1]} pixels" if size else "")
    return InputError(what, hint=f"an image has at most {MAX_PIXELS:,} pixels: resize it, or cut it into parts")


def _too_deep(path: Path, depth: str) -> InputError:
    hint = "8 bits a sample are read and measured: convert it, for instance by `magick IN -depth 8 OUT`"
    return InputError(f"`{path}` has {depth} a sample", hint=hint)


def _refuse(image: Image.Image, data: bytes, path: Path) -> None:
    """Raises InputError for what its header alone rules out."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path, image.size)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise InputError(f"`{path}` has {frames} frames", hint="an image has one")
    image.seek(0)
    bits, unsigned = _depth(image, data)
    if bits > 8 or not unsigned:
        raise _too_deep(path, f"{bits} bits" if unsigned else f"{bits} bits that are not an unsigned whole number")
    if image.mode not in _MODES:
        raise InputError(f"`{path}` has pixels of kind {image.mode}", hint="8-bit grey or RGB is read: convert it")


def _depth(image: Image.Image, data: bytes) -> tuple[int, bool]:
    """Most bits of a sample in the file, and whether samples are unsigned whole numbers."""
    if image.format == "PNG":
        return data[24], True
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # of TiffImageFile
        kinds = tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
        return max(tags.get(_BITS_PER_SAMPLE, (1,))), set(kinds) == {_UNSIGNED}
    if image.format == "PPM":
        return _ppm_depth(data)
    return (_jpeg_bits(data) or 8, True) if image.format in ("JPEG", "MPO") else (8, True)


def _ppm_depth(data: bytes) -> tuple[int, bool]:
    kind = data[:2]
    if kind in (b"P1", b"P4"):
        return 1, True
    if kind not in (b"P2", b"P3", b"P5", b"P6"):
        return 32, False  # PFM's floats, and whatever else the reader takes
    fields = iter(_ppm_fields(data[2:]))
    next(fields), next(fields)
    return int(next(fields)).bit_length(), True


def _ppm_fields(header: bytes) -> Iterator[bytes]:
    """Width, height and maxval: fields between white space; a comment goes from # to the end of its line."""
    at = 0
    while at < len(header):
        if header[at : at + 1] == b"#":
            at = min((end for end in (header.find(b"\n", at), header.find(b"\r", at)) if end >= 0), default=len(header))
        elif header[at : at + 1].isspace():
            at += 1
        else:
            end = at
            while end < len(header) and not header[end : end + 1].isspace() and header[end : end + 1] != b"#":
                end += 1
            yield header[at:end]
            at = end


def _jpeg_bits(data: bytes) -> int | None:
    """Sample precision in a JPEG's frame header; None if there is none."""
    at = 2
    if data[:2] != b"\xff\xd8":
        return None
    while at + 4 < len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return data[at + 4]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes, markers without content
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _refuse_transparency(image: Image.Image, data: bytes, path: Path) -> None:
    if data[: len(_PNG)] == _PNG and image.mode in ("1", "L", "RGB"):
        hidden = _has_transparent_colour(image, data)
    elif image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        hidden = image.convert("RGBA").getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
    else:
        return
    if hidden:
        hint = "a transparent pixel has no colour to be measured: flatten the image on a background first"
        raise InputError(f"`{path}` has transparent pixels", hint=hint)


def _has_transparent_colour(image: Image.Image, data: bytes) -> bool:
    """Whether a pixel has the colour that a grey or RGB PNG's tRNS chunk makes transparent.

    The chunk has a number of the file's own depth for each sample; Pillow has scaled the samples to 8 bits.
    """
    chunk = next((body for kind, body in _png_chunks(data) if kind == b"tRNS"), b"")
    count = len(image.getbands())
    if len(chunk) < 2 * count:
        return False
    highest = (1 << data[24]) - 1
    colour = [value * 255 / highest for value in struct.unpack_from(f">{count}H", chunk)]
    samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    return bool((samples.reshape(-1, count) == colour).all(axis=1).any())


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size

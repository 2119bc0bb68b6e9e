"""The ffmpeg that imageio-ffmpeg carries: RGB images to and from raw video and bitstreams of one image.

Colour: BT.709, full range, 10 bit, Lanczos with accurate rounding, both ways. One thread everywhere: the VVC decoder
is wrong under threads where a CTU spans the image's width, and an option behind ``-i`` does not reach a decoder.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.picture_hash import PlaneHashes, hash_planes
from netcodecs.classical.programs import identity, run_program
from netsim.codec import MAX_PIXELS
from netsim.errors import InputError

__all__ = [
    "decode_image",
    "decode_planes",
    "encode_image",
    "ffmpeg_identity",
    "ffmpeg_path",
    "hash_of_planes",
    "planes_from_rgb",
    "rgb_from_planes",
]

Image = NDArray[np.uint8]

QUIET = ("-hide_banner", "-loglevel", "error", "-filter_threads", "1")
ONE_THREAD = ("-threads", "1")  # of the codec whose input or output follows
TO_YUV = "scale=out_color_matrix=bt709:out_range=pc:flags=lanczos+accurate_rnd,format={pixels}"
TO_RGB = "scale=in_color_matrix=bt709:in_range=pc:flags=lanczos+accurate_rnd,format=rgb24"
RAW_RGB = ("-f", "rawvideo", "-pix_fmt", "rgb24")
CODED_BORDER = 256  # a decoder's frame is larger than the image by its blocks
DECODE_TIMEOUT_S = 120
DECODE_BYTES = 8 << 30  # of memory: an image of MAX_PIXELS takes a quarter of it


@cache
def ffmpeg_path() -> str:
    """Path of imageio-ffmpeg's binary (or of IMAGEIO_FFMPEG_EXE). Raises InputError if there is none."""
    import imageio_ffmpeg

    try:
        path = str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise InputError(f"no ffmpeg: {error}", hint="pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE") from None
    found = shutil.which(path)
    if found is None:
        hint = "IMAGEIO_FFMPEG_EXE is the path of an executable file; without it the packaged ffmpeg is used"
        raise InputError(f"no ffmpeg: `{path}` is not an executable file", hint=hint)
    return found


def ffmpeg_identity() -> Mapping[str, str]:
    """name, version and sha256 of the ffmpeg in use; cached."""
    return {**identity(ffmpeg_path(), ("-version",)), "name": "ffmpeg"}


def _raw_input(width: int, height: int, pixels: str) -> list[str]:
    return [*ONE_THREAD, "-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-i", "pipe:0"]


def _rgb(raw: bytes, width: int, height: int) -> Image:
    if len(raw) != width * height * 3:
        raise InputError(
            f"damaged payload: {len(raw)} bytes decoded where {width}x{height} RGB has {width * height * 3}"
        )
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def encode_image(image: Image, pixels: str, encoder: Sequence[str], container: str) -> tuple[bytes, str]:
    """Codes one image.

    Args:
        image: uint8 [H, W, 3].
        pixels: Coded pixel format, as ffmpeg calls it.
        encoder: Arguments that choose and set up the encoder.
        container: Raw bitstream, as ffmpeg calls it.

    Returns:
        The bitstream, and the command without paths.

    Raises:
        InputError: ffmpeg fails.
    """
    height, width = image.shape[:2]
    to_yuv = ["-vf", TO_YUV.format(pixels=pixels)]
    coding = [*to_yuv, *encoder, "-frames:v", "1", *ONE_THREAD, "-f", container, "pipe:1"]
    arguments = [*QUIET, *_raw_input(width, height, "rgb24"), *coding]
    return run_program([ffmpeg_path(), *arguments], data=np.ascontiguousarray(image).tobytes()), " ".join(
        ["ffmpeg", *arguments]
    )


def _decode(bitstream: bytes, container: str, pixels: int, output: Sequence[str]) -> bytes:
    """pixels: the decoder refuses larger images, whatever a damaged bitstream claims."""
    source = [*ONE_THREAD, "-max_pixels", str(pixels), "-f", container, "-i", "pipe:0"]
    arguments = [*QUIET, *source, "-frames:v", "1", *output, "pipe:1"]
    return run_program(
        [ffmpeg_path(), *arguments], data=bitstream, timeout_s=DECODE_TIMEOUT_S, memory_bytes=DECODE_BYTES
    )


def decode_image(bitstream: bytes, container: str, width: int, height: int) -> Image:
    """Image uint8 [height, width, 3] of a bitstream. Raises InputError if it does not decode to that size."""
    pixels = (width + CODED_BORDER) * (height + CODED_BORDER)
    return _rgb(_decode(bitstream, container, pixels, ["-vf", TO_RGB, *RAW_RGB]), width, height)


def decode_planes(bitstream: bytes, container: str, pixels: str) -> bytes:
    """Raw planes of the image in a bitstream. pixels: the coded format, as ffmpeg calls it."""
    return _decode(bitstream, container, MAX_PIXELS, ["-f", "rawvideo", "-pix_fmt", pixels])


def planes_from_rgb(image: Image, pixels: str = "yuv444p10le") -> bytes:
    """Raw planes of an image, for encoders that read YUV files."""
    height, width = image.shape[:2]
    output = ["-vf", TO_YUV.format(pixels=pixels), "-f", "rawvideo", "pipe:1"]
    arguments = [*QUIET, *_raw_input(width, height, "rgb24"), *output]
    return run_program([ffmpeg_path(), *arguments], data=np.ascontiguousarray(image).tobytes())


def _format_of(planes: bytes, width: int, height: int) -> str:
    by_size = {width * height * 6: "yuv444p10le", width * height * 3: "yuv420p10le"}
    if len(planes) not in by_size:
        raise InputError(f"damaged payload: {len(planes)} bytes are not a 10-bit {width}x{height} image")
    return by_size[len(planes)]


def rgb_from_planes(planes: bytes, width: int, height: int) -> Image:
    """uint8 [height, width, 3] of raw 10-bit planes; 4:4:4 or 4:2:0 by their size, or InputError."""
    pixels = _format_of(planes, width, height)
    arguments = [*QUIET, *_raw_input(width, height, pixels), "-vf", TO_RGB, *RAW_RGB, "pipe:1"]
    return _rgb(run_program([ffmpeg_path(), *arguments], data=planes), width, height)


def hash_of_planes(planes: bytes, width: int, height: int) -> PlaneHashes:
    """MD5 of each of the raw 10-bit planes; 4:4:4 or 4:2:0 by their size, or InputError. Sides are even."""
    chroma = width * height // (1 if _format_of(planes, width, height) == "yuv444p10le" else 4)
    return hash_planes(planes, (width * height, chroma, chroma))

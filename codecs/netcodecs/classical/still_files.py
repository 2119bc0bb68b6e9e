"""Still images in memory, decoded by Pillow in a child process: one format at a time, or an InputError."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from netsim.codec import MAX_PIXELS
from netsim.errors import InputError
from netsim.isolation import run_isolated

__all__ = ["decode_still"]


def decode_still(data: bytes, pillow_format: str, what: str) -> NDArray[np.uint8]:
    """An image as RGB.

    Args:
        data: The file's bytes.
        pillow_format: Pillow's name of the only format that is taken.
        what: Whose bytes these are, for the message.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: The bytes are damaged, claim more than ``MAX_PIXELS`` pixels, or crash the library.
    """
    return run_isolated(_decode, data, pillow_format, what, what=what)


def _decode(data: bytes, pillow_format: str, what: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PillowImage.open(io.BytesIO(data), formats=[pillow_format]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{what}: damaged payload (it claims {image.width}x{image.height} pixels)",
                        hint=f"at most {MAX_PIXELS:,} pixels are decoded",
                    )
                return np.asarray(image.convert("RGB"))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise many types on damaged bytes
        raise InputError(f"{what}: damaged payload ({error or type(error).__name__})") from None

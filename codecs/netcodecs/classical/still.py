"""JPEG and WebP by Pillow: the still formats that everybody has."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import features

from netcodecs.classical.still_files import decode_still
from netcodecs.common.bitstream import BitstreamCodec, EncodedBitstream, Scale
from netsim.errors import InputError

__all__ = ["Jpeg", "Webp"]

Image = NDArray[np.uint8]


class _Still(BitstreamCodec):
    """A format that Pillow writes; its own header holds the image's size."""

    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": int, "bpp": float}
    pillow_format: ClassVar[str]
    library: ClassVar[str]
    options: ClassVar[Mapping[str, Any]]

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"format": 1, "pillow": PillowImage.__version__, self.library: str(features.version(self.library))}

    def made_by(self) -> Mapping[str, Any]:
        """Library, version and chroma format."""
        name = f"{self.library} (Pillow {PillowImage.__version__})"
        return {"tool": name, "version": str(features.version(self.library)), "colour": "4:2:0 8 bit BT.601"}

    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """See ``BitstreamCodec.compress``."""
        buffer = io.BytesIO()
        try:
            PillowImage.fromarray(image).save(buffer, self.pillow_format, quality=setting, **self.options)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.name}: can't encode {image.shape[1]}x{image.shape[0]} pixels ({error})") from None
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return EncodedBitstream(buffer.getvalue(), f"Pillow save {self.pillow_format}: quality={setting}, {options}")

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``."""
        return decode_still(data, self.pillow_format, self.name)


class Jpeg(_Still):
    """JPEG: one bitstream, all packets needed."""

    name = "jpeg"
    summary = "JPEG (progressive, 4:2:0): one bitstream, all packets needed"
    scale = Scale("quality", 1, 95, guess=40, per_octave=30)
    pillow_format = "JPEG"
    library = "jpg"
    options: ClassVar[Mapping[str, Any]] = {"optimize": True, "progressive": True, "subsampling": "4:2:0"}


class Webp(_Still):
    """WebP (lossy): one bitstream, all packets needed."""

    name = "webp"
    summary = "WebP (lossy): one bitstream, all packets needed"
    scale = Scale("quality", 0, 100, guess=40, per_octave=30)
    pillow_format = "WEBP"
    library = "webp"
    options: ClassVar[Mapping[str, Any]] = {"method": 6}

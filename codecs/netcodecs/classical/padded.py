"""What HEVC and VVC share: images padded to coding blocks, ffmpeg's decoder, and the check of a fresh bitstream."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.ffmpeg import decode_image, decode_planes, hash_of_planes, rgb_from_planes
from netcodecs.classical.picture_hash import checked_against
from netcodecs.common.bitstream import BitstreamCodec, EncodedBitstream, checked_twice, crop, pad, unframed

__all__ = ["BLOCK", "PaddedCodec"]

Image = NDArray[np.uint8]

BLOCK = 8  # smallest coding block: sides are padded to its multiples, so that no encoder pads by itself


class PaddedCodec(BitstreamCodec):
    """Base of the codecs whose bitstream holds a padded image behind the size of the original.

    The encoder may give hashes of its reconstruction. A fresh bitstream must then decode to these planes.
    """

    standard: ClassVar[str]
    """Name of the standard in ffmpeg."""

    @property
    @abstractmethod
    def least_side(self) -> int:
        """Least side of a coded image, in pixels."""

    @property
    @abstractmethod
    def pixel_format(self) -> str:
        """Coded pixel format, as ffmpeg calls it."""

    @property
    def decoder_name(self) -> str:
        """Name of the decoder, for messages."""
        return f"ffmpeg's {self.standard.upper()} decoder"

    def planes_of(self, bitstream: bytes) -> bytes:
        """Raw planes of a bitstream, padding included."""
        return decode_planes(bitstream, self.standard, self.pixel_format)

    def image_of(self, bitstream: bytes, width: int, height: int) -> Image:
        """Image of a bitstream, padding included, uint8 [height, width, 3]."""
        return decode_image(bitstream, self.standard, width, height)

    def padded(self, image: Image) -> Image:
        """The image with sides that the encoder takes."""
        return pad(image, BLOCK, self.least_side)

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``."""
        bitstream, width, height = unframed(data)
        return crop(self.image_of(bitstream, self._side(width), self._side(height)), width, height)

    def decompress_checked(self, coded: EncodedBitstream) -> Image:
        """See ``BitstreamCodec.decompress_checked``."""
        if coded.reconstruction is None:
            return checked_twice(lambda: self.decompress(coded.data), self.decoder_name)
        bitstream, width, height = unframed(coded.data)
        columns, rows = self._side(width), self._side(height)
        planes = self.planes_of(bitstream)
        checked_against(coded.reconstruction, hash_of_planes(planes, columns, rows), self.decoder_name)
        return crop(rgb_from_planes(planes, columns, rows), width, height)

    def _side(self, side: int) -> int:
        """Side of the coded image."""
        return max(self.least_side, -(-side // BLOCK) * BLOCK)

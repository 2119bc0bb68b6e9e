"""What a check works on: an image at an operating point, its stream, and masks to try on it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from traceback import extract_tb

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, OperatingPoint, Stream
from netsim.codec_calls import checked_stream, decoded_images, usable_packets
from netsim.metrics.psnr import psnr_db

__all__ = ["DECODED_MASKS", "Broken", "Case", "fault", "fresh", "quality_db", "shown"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

EXHAUSTIVE = 12  # up to so many droppable packets, every mask is tried with `usable`
SAMPLED = 2000  # masks tried above that
DECODED_MASKS = 6  # masks decoded per stream


class Broken(Exception):
    """A sentence of the contract that doesn't hold."""


@dataclass
class Case:
    """One image at one operating point, and masks to try on its stream."""

    codec: Codec
    image: Image
    point: OperatingPoint
    seed: int

    @cached_property
    def stream(self) -> Stream:
        return checked_stream(self.codec, self.codec.encode(self.image, self.point), self.image)

    @cached_property
    def masks(self) -> BoolArray:
        """bool [m, n]: every mask, or a sample with loss rates from 0 to 1; protected packets always received."""
        droppable = np.flatnonzero(~self.stream.protected)
        if len(droppable) <= EXHAUSTIVE:
            drawn = np.array(list(product([True, False], repeat=len(droppable))), dtype=bool)
        else:
            rng = np.random.default_rng(self.seed)
            drawn = rng.random((SAMPLED, len(droppable))) >= rng.random((SAMPLED, 1))
            drawn = np.concatenate([np.ones((1, len(droppable)), bool), ~np.eye(len(droppable), dtype=bool), drawn])
        masks = np.ones((len(drawn), len(self.stream)), dtype=bool)
        masks[:, droppable] = drawn
        return masks

    @cached_property
    def usable(self) -> BoolArray:
        return usable_packets(self.codec, self.stream, self.masks)

    @cached_property
    def decoded(self) -> BoolArray:
        """bool [k, n]: a few masks with different usable packets, all received first."""
        decodable = np.flatnonzero(self.usable.any(axis=1))
        _, first = np.unique(self.usable[decodable], axis=0, return_index=True)
        picks = np.random.default_rng(self.seed).permutation(np.sort(first)[1:])[: DECODED_MASKS - 1]
        return self.masks[[0, *decodable[picks]]]

    @cached_property
    def decoded_images(self) -> Image:
        """uint8 [k, H, W, 3] of ``decoded``."""
        return decoded_images(self.codec, self.stream, self.decoded)

    def __str__(self) -> str:
        return f"{self.image.shape[1]}x{self.image.shape[0]} at {self.point}"


def quality_db(image: Image, decoded: Image) -> float:
    """PSNR of one image.

    Args:
        image: uint8 [H, W, 3].
        decoded: The same shape.

    Returns:
        In dB.
    """
    return float(psnr_db(image, decoded[np.newaxis])[0])


def fresh(codec: Codec) -> Codec:
    """Another instance that shares nothing with this one, as at a receiver.

    Args:
        codec: This one.

    Returns:
        Of the same settings.
    """
    return type(codec)(codec.settings)


def fault(error: Exception, codec: Codec) -> str:
    """What a codec raised, and where.

    Args:
        error: As caught, with its traceback.
        codec: Whose method raised it.

    Returns:
        Type, message, and the last line that ran of the codec's module or of one beside it, as ``(mycodec.py:48)``.
    """
    file = getattr(sys.modules.get(type(codec).__module__), "__file__", None)
    ran = [line for line in extract_tb(error.__traceback__) if file and Path(line.filename).parent == Path(file).parent]
    place = f" ({Path(ran[-1].filename).name}:{ran[-1].lineno})" if ran else ""
    return f"{type(error).__name__}: {error}{place}"


def shown(mask: BoolArray) -> str:
    """A mask in a message.

    Args:
        mask: bool [n].

    Returns:
        1 for each packet received, 0 for each lost.
    """
    return "".join("1" if arrived else "0" for arrived in mask)

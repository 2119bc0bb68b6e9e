"""Masks: as text, and all usable masks of a stream. True = received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Stream
from netsim.codec_calls import usable_packets
from netsim.engines.exact import ALL_MASKS_PACKETS, all_masks
from netsim.protection.base import ProtectedStream

__all__ = ["UsableMasks", "at_risk_packets", "distinct_masks", "mask_text", "masks_from_text", "usable_masks"]

BoolArray = NDArray[np.bool_]
Integers = NDArray[np.int64]


def mask_text(masks: BoolArray) -> list[str]:
    """Masks [m, n] as text, one character a packet, 1 = received.

    Args:
        masks: bool [m, n].

    Returns:
        m texts of n characters.

    >>> mask_text(np.array([[True, False]]))
    ['10']
    """
    flat = np.ascontiguousarray(masks, dtype=np.uint8) + ord("0")
    return [row.tobytes().decode("ascii") for row in flat]


def masks_from_text(texts: Sequence[str]) -> BoolArray:
    """Inverse of ``mask_text``: bool [m, n].

    Args:
        texts: m texts of n characters, ``1`` = received.

    Returns:
        bool [m, n].
    """
    return np.array([[character == "1" for character in text] for text in texts], dtype=bool)


@dataclass(frozen=True)
class UsableMasks:
    """The usable mask of every mask of the packets that can be lost.

    Attributes:
        usable: bool [u, data packets], the distinct usable masks.
        which: int64 [2**n], the usable mask of each mask, masks in the order of ``all_masks``.
    """

    usable: BoolArray
    which: Integers

    @property
    def decodable(self) -> BoolArray:
        """bool [u]: whether a usable mask gives an image."""
        return np.asarray(self.usable.any(axis=1))

    @property
    def failed(self) -> BoolArray:
        """bool [2**n]: whether a mask gives no image."""
        return np.asarray(~self.decodable[self.which])


def distinct_masks(masks: BoolArray) -> tuple[BoolArray, Integers]:
    """``np.unique`` over rows, as whole numbers where they fit: those sort a hundred times faster.

    Args:
        masks: bool [m, n].

    Returns:
        The distinct masks, bool [u, n], sorted; and which of them each one is, int64 [m].

    >>> distinct_masks(np.array([[True, True], [False, True], [True, True]]))
    (array([[False,  True],
           [ True,  True]]), array([1, 0, 1]))
    """
    if not 0 < masks.shape[1] <= 64:
        usable, which = np.unique(masks, axis=0, return_inverse=True)
        return usable, which.reshape(-1).astype(np.int64)
    packed = np.zeros((len(masks), 8), dtype=np.uint8)
    packed[:, : (masks.shape[1] + 7) // 8] = np.packbits(masks, axis=1)
    numbers = packed.view(">u8")[:, 0].astype(np.uint64)
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return masks[first], which.astype(np.int64)


def at_risk_packets(protected: ProtectedStream, dropped: Sequence[int] = ()) -> Integers:
    """Numbers of the packets sent that the channel can take: int64 [n].

    Args:
        protected: What is sent.
        dropped: Packets that never reach the channel.

    Returns:
        Their numbers, in order.
    """
    numbers = np.setdiff1d(np.flatnonzero(~protected.sent.protected), np.array(dropped, dtype=np.int64))
    return np.asarray(numbers, dtype=np.int64)


def usable_masks(
    codec: Codec, stream: Stream, protected: ProtectedStream, at_risk: Integers, never: Sequence[int] = ()
) -> UsableMasks:
    """Enumerate all masks of the packets at risk, and collapse them to what the codec can use.

    Args:
        codec: The stream's codec.
        stream: An image's packets.
        protected: The stream under its protection.
        at_risk: Packets that the channel can take, at most ``ALL_MASKS_PACKETS``.
        never: Packets that are not received under any mask.

    Returns:
        The distinct usable masks, and which of them each mask gives.

    Raises:
        ValueError: Too many packets.
    """
    if len(at_risk) > ALL_MASKS_PACKETS:
        raise ValueError(f"{len(at_risk)} packets have too many masks")
    received = np.ones((1 << len(at_risk), len(protected.sent)), dtype=bool)
    received[:, at_risk] = all_masks(len(at_risk))
    received[:, np.array(never, dtype=np.int64)] = False
    return UsableMasks(*distinct_masks(usable_packets(codec, stream, protected.recover(received))))

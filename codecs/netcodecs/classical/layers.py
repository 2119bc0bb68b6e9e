"""Packets for the ``prefix`` receiver: one quality layer a packet, nothing after a lost packet is used.

Packet 0 (protected): main header and base layer. The first k layers are a codestream of their own, so no
table of lengths is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.codestream import (
    MAX_LAYERS,
    CodestreamError,
    join_codestream,
    pack_numbers,
    read_geometry,
    read_protected,
    with_layers,
)
from netcodecs.common.prefix import received_prefix

__all__ = ["cut_layers", "join_layers", "pieces_per_layer", "usable_layers"]

BoolArray = NDArray[np.bool_]


def pieces_per_layer(packets: int) -> int:
    """How many droppable packets a layer is cut into: one, unless there are more packets than possible layers.

    >>> pieces_per_layer(10), pieces_per_layer(100)
    (1, 2)
    """
    return max(1, -(-packets // (MAX_LAYERS - 1)))


def cut_layers(header: bytes, j2k_packets: Sequence[bytes], packets: int) -> list[bytes]:
    """Payloads of a codestream: the protected one, then the droppable ones.

    Args:
        header: Main header.
        j2k_packets: In LRCP order.
        packets: Number of droppable payloads, a multiple of the enhancement layers (``pieces_per_layer`` of each).
    """
    geometry = read_geometry(header)
    step = geometry.per_layer
    layers = [b"".join(j2k_packets[i : i + step]) for i in range(0, len(j2k_packets), step)]
    pieces = packets // (geometry.layers - 1)
    payloads = [pack_numbers([len(header)]) + header + layers[0]]
    for layer in layers[1:]:
        bounds = [len(layer) * i // pieces for i in range(pieces + 1)]
        payloads += [layer[bounds[i] : bounds[i + 1]] for i in range(pieces)]
    return payloads


def join_layers(payloads: Sequence[bytes | None]) -> bytes:
    """The codestream of all whole layers before the first lost packet.

    Args:
        payloads: None = lost.

    Raises:
        CodestreamError: Packet 0 is lost or damaged.
    """
    first = payloads[0]
    if first is None:
        raise CodestreamError("packet 0 is lost")
    pieces = pieces_per_layer(len(payloads) - 1)
    arrived = next((i for i, payload in enumerate(payloads) if payload is None), len(payloads))
    layers = 1 + (arrived - 1) // pieces
    header, _, base = read_protected(first)  # refuses a damaged header before a native decoder sees it
    body = b"".join(payload for payload in payloads[1 : 1 + (layers - 1) * pieces] if payload is not None)
    return join_codestream(with_layers(header, layers), base + body)


def usable_layers(received: BoolArray) -> BoolArray:
    """Packets of whole layers before the first lost packet.

    Args:
        received: bool [..., n], of the whole stream, packet 0 included.

    Returns:
        bool [..., n].

    >>> usable_layers(np.array([True, True, False, True])).tolist()
    [True, True, False, False]
    """
    packets = received.shape[-1]
    pieces = pieces_per_layer(packets - 1)
    return received_prefix(received, [1, *range(1 + pieces, packets + 1, pieces)])

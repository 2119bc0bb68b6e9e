"""What a codec returns, checked where it enters netsim: each mistake is one sentence that names the codec.

The checks look at types, dtypes and shapes alone; ``netsim check-codec`` tries what the contract says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Packet, Stream
from netsim.errors import InputError, noting
from netsim.signatures import kind_of

__all__ = ["checked_stream", "decoded_images", "usable_packets"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]


def checked_stream(codec: Codec, returned: Any, image: Image) -> Stream:
    """What ``encode`` returned, if it is a stream of the image.

    Args:
        codec: The codec.
        returned: What its ``encode`` returned.
        image: The image that it encoded, uint8 [H, W, 3].

    Returns:
        ``returned``.

    Raises:
        InputError: It is not a stream, it has no packet, a payload is not bytes, or its shape is not the image's.
    """
    hint = "encode returns Stream(packets, (height, width), operating_point); packets is a tuple of Packet(bytes)"
    if not isinstance(returned, Stream):
        raise InputError(f"codec `{codec.name}`: encode returns {kind_of(returned)}, not a Stream", hint=hint)
    packets: Any = returned.packets
    if not isinstance(packets, tuple | list) or not packets:
        shown = "no packet" if isinstance(packets, tuple | list) else f"{kind_of(packets)} as its packets"
        raise InputError(f"codec `{codec.name}`: encode returns a Stream with {shown}", hint=hint)
    for number, packet in enumerate(packets):
        if not isinstance(packet, Packet):
            raise InputError(f"codec `{codec.name}`: packet {number} is {kind_of(packet)}, not a Packet", hint=hint)
        if not isinstance(packet.payload, bytes):
            message = f"codec `{codec.name}`: the payload of packet {number} is {kind_of(packet.payload)}, not bytes"
            raise InputError(message, hint="Packet(bytes(payload))")
    if tuple(returned.shape) != image.shape[:2]:
        message = f"codec `{codec.name}`: encode returns a Stream of shape {returned.shape}"
        raise InputError(message, hint=f"the image's (height, width): {image.shape[:2]}")
    return returned


def usable_packets(codec: Codec, stream: Stream, received: BoolArray) -> BoolArray:
    """``codec.usable(stream, received)``.

    Args:
        codec: The codec.
        stream: A stream of its own.
        received: True = received, bool [..., n].

    Returns:
        bool [..., n].

    Raises:
        InputError: The codec returns anything else.
    """
    with noting(f"usable of codec `{codec.label}` at {stream.operating_point}"):
        usable: Any = codec.usable(stream, received)
    if not isinstance(usable, np.ndarray) or usable.dtype != np.bool_ or usable.shape != received.shape:
        message = f"codec `{codec.name}`: usable returns {kind_of(usable)} for masks of shape {list(received.shape)}"
        raise InputError(message, hint="usable returns a bool array of the shape of `received`")
    return usable


def decoded_images(codec: Codec, stream: Stream, masks: BoolArray) -> Image:
    """``codec.decode(stream, masks)``.

    Args:
        codec: The codec.
        stream: A stream of its own.
        masks: Usable packets, bool [m, n].

    Returns:
        uint8 [m, H, W, 3], RGB.

    Raises:
        InputError: The codec returns anything else.
    """
    images: Any = codec.decode(stream, masks)
    wanted = (len(masks), *stream.shape, 3)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != wanted:
        message = f"codec `{codec.name}`: decode returns {kind_of(images)} for {len(masks)} masks"
        height, width = stream.shape
        raise InputError(message, hint=f"decode returns RGB images: uint8 {list(wanted)}, of {width}×{height} pixels")
    return images

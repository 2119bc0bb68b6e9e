"""A rate budget that counts all that is sent: the codec gets what the protection leaves of it."""

from __future__ import annotations

from typing import Any

from netsim.codec import Codec, OperatingPoint, Stream
from netsim.codec_calls import checked_stream
from netsim.errors import InputError
from netsim.protection.base import Protection
from netsim.protection.calls import protected_stream

__all__ = ["SENT_BPP", "encode_within"]

SENT_BPP = "sent_bpp"
"""Operating point of every codec with ``bpp``: bits per pixel of all that is sent, parity and copies included."""

_TRIES = 4
_CLOSE = 0.002  # share of the budget


def encode_within(
    codec: Codec, image: Any, budget_bpp: float, protection: Protection, packet_limit_bytes: int | None
) -> Stream:
    """Encode an image so that the stream under its protection has a given rate.

    What protection adds follows from the packets' number and sizes, which are known only once they are there. So the
    codec's target is corrected by what was added to the stream before, until it stays what it is.

    Args:
        codec: A codec with the operating point ``bpp``.
        image: uint8 [H, W, 3].
        budget_bpp: Bits per pixel of all packets sent, retransmissions left out.
        protection: What is added.
        packet_limit_bytes: As in ``Codec.encode``.

    Returns:
        Of the streams tried the codec's own one whose protected form comes nearest to the budget.

    Raises:
        InputError: If the codec can't meet its share of the budget.
    """
    target_bpp = budget_bpp * (1 - protection.share)
    found: list[tuple[float, Stream]] = []
    for _ in range(_TRIES):
        try:
            returned = codec.encode(image, OperatingPoint("bpp", target_bpp), packet_limit_bytes)
        except InputError as error:
            message = f"{error.message} ({target_bpp:.4g} of the {budget_bpp:g} are left beside {protection.name})"
            raise InputError(message, hint=error.hint) from None
        stream = checked_stream(codec, returned, image)
        sent_bpp = protected_stream(protection, stream).sent.bpp
        found.append((abs(sent_bpp - budget_bpp), stream))
        before_bpp, target_bpp = target_bpp, budget_bpp * stream.bpp / sent_bpp
        if abs(target_bpp - before_bpp) <= _CLOSE * before_bpp:
            break
    return min(found, key=lambda one: one[0])[1]

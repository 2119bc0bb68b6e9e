"""Payloads of a codec: packets damaged, lost, swapped, cut off, of another stream; then ``usable`` and ``decode``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

import numpy as np
from skimage import data

from netsim.codec import Codec, Image, OperatingPoint, Packet, Stream
from netsim.errors import InputError
from tests.fuzz.mutations import damaged

__all__ = ["Seal", "attempt_stream", "coded_photos", "photo"]

Seal = Callable[[Sequence[bytes]], list[bytes]]
"""Makes checksums good again, so that damage gets past them."""


def photo(height: int, width: int) -> Image:
    """A piece of a photograph, uint8 [height, width, 3]."""
    return np.ascontiguousarray(data.astronaut()[40 : 40 + height, 200 : 200 + width])


def coded_photos(codecs: Iterable[Codec], point: OperatingPoint) -> list[tuple[Codec, list[Stream]]]:
    """Each codec with its streams of two photographs."""
    images = (photo(48, 60), photo(64, 33))
    return [(codec, [codec.encode(image, point) for image in images]) for codec in codecs]


def attempt_stream(
    rng: Random, codec: Codec, streams: Sequence[Stream], words: Sequence[bytes] = (), seal: Seal | None = None
) -> object:
    """Damages a stream; then what ``usable`` says is a subset of what was received, and images come back or a refusal.

    Args:
        rng: Makes the case.
        codec: The codec of the streams.
        streams: Whole streams; one is damaged, and takes packets of the others.
        words: Tokens of the format.
        seal: Used on half of the damaged streams; None: there are no checksums.
    """
    chosen = rng.choice(streams)
    payloads = [packet.payload for packet in chosen.packets]
    whole = rng.random() < 0.05
    for _ in range(0 if whole else rng.choice([1, 1, 1, 2, 5])):
        _damage(payloads, rng, streams, words)
    if seal is not None and rng.random() < 0.5:
        payloads = seal(payloads)
    heads = int(chosen.protected.sum())
    packets = tuple(Packet(payload, protected=i < heads) for i, payload in enumerate(payloads))
    stream = replace(chosen, packets=packets, made_by=chosen.made_by if rng.random() < 0.5 else {})
    masks = _masks(rng, len(packets))
    usable = codec.usable(stream, masks)
    assert usable.dtype == bool
    assert usable.shape == masks.shape
    assert not (usable & ~masks).any(), "a lost packet is usable"
    more = masks | np.array([rng.random() < 0.3 for _ in packets], dtype=bool)
    assert not (usable & ~codec.usable(stream, more)).any(), "not monotone"
    if whole:
        assert usable[0].any()
    decodable = masks[usable.any(axis=1)]
    if not len(decodable):
        raise InputError("no mask has a usable packet")
    images = codec.decode(stream, decodable)
    assert images.dtype == np.uint8
    assert images.ndim == 4
    assert images.shape[::3] == (len(decodable), 3)
    assert images.shape[1:3] == chosen.shape or not whole
    return images.shape


def _masks(rng: Random, packets: int) -> np.ndarray:
    rows = [[True] * packets]
    rows += [[place == 0 or rng.random() < 0.7 for place in range(packets)] for _ in range(rng.randint(0, 2))]
    return np.array(rows, dtype=bool).reshape(len(rows), packets)


def _damage(payloads: list[bytes], rng: Random, streams: Sequence[Stream], words: Sequence[bytes]) -> None:
    way = rng.random()
    if not payloads or way < 0.04:
        payloads.insert(rng.randint(0, len(payloads)), rng.choice(rng.choice(streams).packets).payload)
        return
    at = 0 if rng.random() < 0.3 else rng.randrange(len(payloads))
    other = rng.randrange(len(payloads))
    if way < 0.08:
        del payloads[at]
    elif way < 0.11:
        del payloads[at:]
    elif way < 0.16:
        payloads[at], payloads[other] = payloads[other], payloads[at]
    elif way < 0.20:
        payloads[at] = rng.choice(rng.choice(streams).packets).payload
    elif way < 0.24:
        payloads[at] = rng.randbytes(rng.choice([0, 1, 3, 20, len(payloads[at])]))
    else:
        payloads[at] = damaged(payloads[at], rng, words)

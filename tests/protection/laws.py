"""What holds for every protection, and streams to try it with."""

import random

import numpy as np

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.protection.base import ProtectedStream, Protection


def stream_of(sizes, protected=(), seed=0):
    rng = np.random.default_rng(seed)
    packets = tuple(Packet(rng.bytes(size), i in protected) for i, size in enumerate(sizes))
    return Stream(packets, (64, 64), OperatingPoint("bpp", 0.3))


def payloads(stream):
    return [packet.payload for packet in stream.packets]


def check_laws(protection: Protection, stream: Stream, random: random.Random, rate: float) -> ProtectedStream:
    """What is recovered has its bytes, one packet more never hurts, and no packet outgrows its bound."""
    protected = protection.protect(stream)
    n = len(protected.sent)
    received = np.array([random.random() < rate for _ in range(n)], dtype=bool)
    recovered = protected.recover(received)
    bytes_back = protected.recovered_payloads(received)
    assert bytes_back == [p if there else None for p, there in zip(payloads(stream), recovered, strict=True)]
    assert (recovered >= received[: len(stream)]).all()
    one_more = received[None] | np.eye(n, dtype=bool)
    assert (protected.recover(one_more) >= recovered).all()
    assert protected.sent.sizes_bytes.max(initial=0) <= stream.sizes_bytes.max(initial=0) + protection.overhead_bytes
    return protected

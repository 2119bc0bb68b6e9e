"""Reed–Solomon erasure protection: n − k parity packets, and any k of n packets give back all k data packets.

The code runs across packets: byte column c of the parity packets is the Reed–Solomon parity of byte column c of the
data packets. The code sees a data packet as its length in two bytes, its payload, and zeros up to the longest; the
packet sent is the payload alone. So parity packets are two bytes longer than the longest data packet, and a recovered
packet contains its own length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np

from netsim.codec import Packet, Stream
from netsim.errors import InputError
from netsim.protection.base import BoolArray, ProtectedStream, Protection
from netsim.protection.galois import SYMBOLS, ByteArray, inverse, parity_matrix, product
from netsim.text import number_text

__all__ = ["LENGTH_BYTES", "ReedSolomon", "ReedSolomonStream", "parity_for_share"]

LENGTH_BYTES = 2
"""Bytes of the length that the code puts before each payload."""

LONGEST_BYTES = 256**LENGTH_BYTES - 1


def parity_for_share(data_packets: int, share: Fraction) -> int:
    """Number r of parity packets for which r / (data_packets + r) is nearest ``share``; the greater of two.

    Args:
        data_packets: Number of data packets, 1 or more.
        share: Parity's share of all packets, in [0, 1).

    Returns:
        r, 0 or more.

    >>> [parity_for_share(k, Fraction(30, 100)) for k in (7, 8, 14)]
    [3, 3, 6]
    """
    below = int(data_packets * share / (1 - share))

    def miss(parity: int) -> Fraction:
        return abs(Fraction(parity, data_packets + parity) - share)

    return below + 1 if miss(below + 1) <= miss(below) else below


class ReedSolomon(Protection):
    """Reed–Solomon by share of parity, or by (n, k). Give exactly one of ``share`` and ``code``.

    A block has at most 255 packets; longer streams are cut into blocks.

    Args:
        share: N_r / (N_k + N_r) in [0, 1), exact.
        code: (n, k): every k data packets (fewer in a last block) get n − k parity packets.

    Raises:
        InputError: The share is so near 1 that even one data packet would need a longer block.
    """

    overhead_bytes = LENGTH_BYTES

    def __init__(self, *, share: Fraction | None = None, code: tuple[int, int] | None = None) -> None:
        if (share is None) == (code is None):
            raise ValueError("give either a share or a code (n, k)")
        self._share, self._code = share, code
        if code is not None:
            n, k = code
            self.name, self.share = f"reed-solomon ({n}, {k})", (n - k) / n
        elif share is not None:
            if parity_for_share(1, share) >= SYMBOLS:
                raise InputError(
                    f"share {float(share):.2%} makes blocks of more than {SYMBOLS} packets",
                    hint=f"one data packet has at most {SYMBOLS - 1} of parity: a share up to {1 - 1 / SYMBOLS:.1%}",
                )
            self.name, self.share = f"reed-solomon {number_text(float(100 * share))}%", float(share)
        if not self.share:
            self.overhead_bytes = 0  # only parity is longer than the data

    def data_packets(self, total: int) -> int:
        """k of (n, k); for a share, the number that with its parity is nearest ``total``; at least 1.

        Of several, the nearest to total · (1 − share), then the lower.

        Args:
            total: Number of packets that a scenario asks for.

        Returns:
            The number of data packets.

        >>> ReedSolomon(share=Fraction(30, 100)).data_packets(10)
        7
        """
        if self._code is not None:
            return self._code[1]
        assert self._share is not None
        wanted = total * (1 - self._share)
        nearest = max(1, ceil(wanted - Fraction(1, 2)))

        def miss(data: int) -> tuple[int, Fraction, int]:
            return abs(sum(map(sum, self.block_sizes(data))) - total), abs(data - wanted), data

        return min(range(max(1, nearest - 1), nearest + 2), key=miss)

    def block_sizes(self, data_packets: int) -> list[tuple[int, int]]:
        """(data, parity) packets of each block for this many data packets.

        Args:
            data_packets: Number of data packets that can be lost.

        Returns:
            (data, parity) of each block, in the order of the packets.
        """
        if self._code is not None:
            n, k = self._code
            return [(min(k, data_packets - first), n - k) for first in range(0, data_packets, k)]
        assert self._share is not None
        blocks = 1
        while True:
            edges = [data_packets * i // blocks for i in range(blocks + 1)]
            sizes = [b - a for a, b in pairwise(edges)]
            split = [(size, parity_for_share(size, self._share)) for size in sizes if size]
            if all(size + parity <= SYMBOLS for size, parity in split):
                return split
            blocks += 1

    def protect(self, stream: Stream) -> ReedSolomonStream:
        """Add the parity packets.

        Args:
            stream: The codec's stream.

        Returns:
            The stream with its parity packets behind the data packets.

        Raises:
            InputError: A payload is above 65,535 bytes: its length would not fit.
        """
        payloads = [packet.payload for packet in stream.packets]
        longest = max(map(len, payloads), default=0)
        if self.share and longest > LONGEST_BYTES:
            raise InputError(
                f"{self.name}: a packet of {longest:,} bytes; the code takes {LONGEST_BYTES:,}",
                hint="cut the image into more packets",
            )
        droppable = np.flatnonzero(~stream.protected)
        blocks, parity_packets, first, position = [], [], 0, len(payloads)
        for size, parity in self.block_sizes(len(droppable)):
            data = droppable[first : first + size]
            blocks.append(_Block(data, np.arange(position, position + parity)))
            if parity:
                rows = product(parity_matrix(size + parity, size), _words([payloads[i] for i in data]))
                parity_packets += [Packet(row.tobytes()) for row in rows]
            first, position = first + size, position + parity
        sent = replace(stream, packets=(*stream.packets, *parity_packets))
        return ReedSolomonStream(stream, sent, tuple(blocks))


@dataclass(frozen=True, eq=False)
class _Block:
    """Packets of one code word, by their place in the sent stream: int [k] data, int [r] parity."""

    data: np.ndarray
    parity: np.ndarray


class ReedSolomonStream(ProtectedStream):
    """A stream with parity packets after its data packets."""

    def __init__(self, data: Stream, sent: Stream, blocks: tuple[_Block, ...]) -> None:
        super().__init__(data, sent)
        self._blocks = blocks

    @property
    def count_decides(self) -> bool:
        """True for one block, where any n − k losses are alike; several blocks have losses of their own."""
        return len(self._blocks) <= 1

    def recover(self, received: BoolArray) -> BoolArray:
        """A block with k packets received has all its data packets; otherwise those received.

        Args:
            received: bool [..., n_sent].

        Returns:
            bool [..., n_data].
        """
        received = np.asarray(received, dtype=bool)
        recovered = received[..., : len(self.data)].copy()
        for block in self._blocks:
            there = received[..., block.data].sum(axis=-1) + received[..., block.parity].sum(axis=-1)
            recovered[..., block.data] |= (there >= len(block.data))[..., None]
        return recovered

    def recovered_payloads(self, received: BoolArray) -> list[bytes | None]:
        arrived = [packet.payload if got else None for packet, got in zip(self.sent.packets, received, strict=True)]
        for block in self._blocks:
            _fill(arrived, block)
        return arrived[: len(self.data)]


def _words(payloads: list[bytes], length: int | None = None) -> ByteArray:
    """Payloads as the code sees them: length (big-endian), payload, zeros; uint8 [k, longest + 2]."""
    length = LENGTH_BYTES + max(map(len, payloads), default=0) if length is None else length
    words = [(len(payload).to_bytes(LENGTH_BYTES, "big") + payload).ljust(length, b"\0") for payload in payloads]
    return np.frombuffer(b"".join(words), dtype=np.uint8).reshape(len(payloads), length)


def _fill(arrived: list[bytes | None], block: _Block) -> None:
    """Recover a block's missing data packets in place, if enough of the block has arrived."""
    k, r = len(block.data), len(block.parity)
    places = [*block.data.tolist(), *block.parity.tolist()]
    there = [row for row, place in enumerate(places) if arrived[place] is not None][:k]
    missing = [row for row in range(k) if arrived[places[row]] is None]
    if not missing or len(there) < k:
        return
    payloads = {row: arrived[places[row]] or b"" for row in there}
    length = next(len(payloads[row]) for row in there if row >= k)  # data are missing, so some parity is there
    words = [
        np.frombuffer(payloads[row], dtype=np.uint8)[None] if row >= k else _words([payloads[row]], length)
        for row in there
    ]
    generator = np.concatenate([np.eye(k, dtype=np.uint8), parity_matrix(k + r, k)])
    decoder = inverse(generator[there])[missing]
    for row, word in zip(missing, product(decoder, np.concatenate(words)), strict=True):
        size = int.from_bytes(word[:LENGTH_BYTES].tobytes(), "big")
        arrived[places[row]] = word[LENGTH_BYTES : LENGTH_BYTES + size].tobytes()

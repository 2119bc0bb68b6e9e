"""Which part of a latent goes into one packet: some consecutive channels, or some rows of one channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError

__all__ = ["LatentSpan", "channel_tables", "even_spans", "greedy_spans", "halves", "split_to_fit"]


@dataclass(frozen=True)
class LatentSpan:
    """Channels first…last-1 of a latent (M, h, w), rows top…bottom-1 of each."""

    first: int
    last: int
    top: int
    bottom: int

    @property
    def region(self) -> tuple[slice, slice]:
        """Index into a latent (M, h, w)."""
        return slice(self.first, self.last), slice(self.top, self.bottom)


def channel_tables(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number of the entropy coder's table of each symbol where every channel has its own.

    Args:
        shape: Of the symbols, (C, h, w).

    Returns:
        int64 of that shape, read-only.
    """
    return np.broadcast_to(np.arange(shape[0])[:, None, None], shape)


def greedy_spans(channel_bits: NDArray[np.float64], rows: int, room_bits: float, group: int = 0) -> list[LatentSpan]:
    """Whole channels in order: each packet takes channels while there is room.

    Args:
        channel_bits: Information of each channel in bits, (M,).
        rows: Of the latent.
        room_bits: For channels in one packet. A channel that is larger gets a span of its own.
        group: Channels that SCR has mixed; 0: none. A span then does not end with the last channel of a group but
            leaves it to the next span, so that a lost packet seldom takes a whole group away (paper 1, §3.2).

    >>> bits = np.array([200.0, 200.0, 200.0, 100.0, 200.0, 200.0])
    >>> [(s.first, s.last) for s in greedy_spans(bits, 4, 624)]
    [(0, 3), (3, 6)]
    >>> [[(s.first, s.last) for s in greedy_spans(bits, 4, 784, group)] for group in (0, 4)]
    [[(0, 4), (4, 6)], [(0, 3), (3, 6)]]
    """
    bounds, filled = [0], 0.0
    for channel, bits in enumerate(channel_bits):
        if filled + bits > room_bits and channel > bounds[-1]:
            bound = _not_flush(bounds[-1], channel, group)
            filled = float(channel_bits[bound:channel].sum())
            bounds.append(bound)
            if filled + bits > room_bits and channel > bound:
                bounds.append(channel)
                filled = 0.0
        filled += bits
    bounds.append(len(channel_bits))
    return [LatentSpan(a, b, 0, rows) for a, b in pairwise(bounds)]


def even_spans(channel_bits: NDArray[np.float64], rows: int, count: int) -> list[LatentSpan]:
    """Whole channels in order, in at most ``count`` spans of near-equal information.

    Args:
        channel_bits: Information of each channel in bits, (M,).
        rows: Of the latent.
        count: Number of spans; fewer come out where one channel is larger than a span's share.

    >>> [(s.first, s.last) for s in even_spans(np.array([5.0, 1.0, 1.0, 1.0, 4.0]), 4, 3)]
    [(0, 1), (1, 4), (4, 5)]
    """
    ends = np.cumsum(channel_bits)
    shares = ends[-1] * np.arange(1, count) / count
    middle = ends - channel_bits / 2  # a channel belongs to the span that holds its middle
    bounds = np.unique([0, *np.searchsorted(middle, shares), len(channel_bits)])
    return [LatentSpan(int(a), int(b), 0, rows) for a, b in pairwise(bounds)]


def _not_flush(first: int, last: int, group: int) -> int:
    """Where channels first…last-1 end if the last channel of a group may not end a span; one channel stays."""
    return last - 1 if group and last % group == 0 and last - 1 > first else last


def halves(span: LatentSpan, group: int = 0) -> tuple[LatentSpan, LatentSpan] | None:
    """A span in two: by channels, a single channel by rows; None if it is a single row.

    Args:
        span: To be cut.
        group: As for :func:`greedy_spans`.

    >>> halves(LatentSpan(0, 3, 0, 4))
    (LatentSpan(first=0, last=1, top=0, bottom=4), LatentSpan(first=1, last=3, top=0, bottom=4))
    >>> halves(LatentSpan(2, 3, 0, 4))
    (LatentSpan(first=2, last=3, top=0, bottom=2), LatentSpan(first=2, last=3, top=2, bottom=4))
    """
    first, last, top, bottom = span.first, span.last, span.top, span.bottom
    if last - first > 1:
        middle = _not_flush(first, (first + last) // 2, group)
        return LatentSpan(first, middle, top, bottom), LatentSpan(middle, last, top, bottom)
    if bottom - top > 1:
        middle = (top + bottom) // 2
        return LatentSpan(first, last, top, middle), LatentSpan(first, last, middle, bottom)
    return None


def split_to_fit(
    spans: Sequence[LatentSpan],
    encode: Callable[[LatentSpan], bytes],
    payload_bytes: Callable[[LatentSpan, bytes], int],
    limit_bytes: int,
    group: int = 0,
) -> list[tuple[LatentSpan, bytes]]:
    """Each span with its code; a span whose payload is too long is cut in half until it fits.

    Args:
        spans: In order.
        encode: Gives the code of a span.
        payload_bytes: Size of the payload of a span and its code.
        limit_bytes: Largest payload.
        group: As for :func:`greedy_spans`.

    Raises:
        InputError: One row of one channel is still too long.
    """
    done: list[tuple[LatentSpan, bytes]] = []
    todo = list(reversed(spans))
    while todo:
        span = todo.pop()
        code = encode(span)
        if payload_bytes(span, code) <= limit_bytes:
            done.append((span, code))
            continue
        parts = halves(span, group)
        if parts is None:
            raise InputError(f"packets of {limit_bytes} bytes are too small for one row of a channel ({len(code)})")
        todo += reversed(parts)
    return done

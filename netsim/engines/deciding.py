"""Long streams of which the first packets decide what is usable: exact, although their masks are too many to list.

A receiver that stops at the first lost packet shows the same whatever happens behind it; one that decodes two chains of
packets shows the same once both are broken. So masks are written out packet by packet, and a beginning is followed no
further once it decides: once the decoder can use the same packets whether all of the rest arrive or none. Usable masks
are monotone (the contract of ``Codec.usable`` and ``ProtectedStream.recover``), so every mask between these two gives
the same, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS_LIMIT", "Beginnings", "LossCounts", "deciding_beginnings", "loss_counts_after", "states_after"]

BoolArray = NDArray[np.bool_]
Integers = NDArray[np.int64]
Vector = NDArray[np.float64]

CELLS_LIMIT = 1 << 24
"""Masks times packets: all that a log says of them takes some 50 bytes each, 800 MiB in all."""

_MOST = 1 << 12


@dataclass(frozen=True)
class Beginnings:
    """Beginnings of masks; every mask has exactly one of them.

    Attributes:
        masks: bool [m, n], True = received; all packets behind a beginning are received.
        length: int64 [m], packets in each beginning.
    """

    masks: BoolArray
    length: Integers


def deciding_beginnings(packets: int, usable: Callable[[BoolArray], BoolArray], most: int = _MOST) -> Beginnings | None:
    """The shortest beginnings that decide what is usable.

    Args:
        packets: Packets that can be lost, n.
        usable: Masks of these packets, bool [m, n], to what the decoder can use, bool [m, k]; monotone.
        most: Stop beyond so many beginnings.

    Returns:
        The beginnings; None if there are more than ``most``, or if masks for each number of losses behind each of them
        are too many.

    >>> found = deciding_beginnings(3, lambda received: np.logical_and.accumulate(received, axis=1))
    >>> [mask[:length].astype(int).tolist() for mask, length in zip(found.masks, found.length)]
    [[0], [1, 0], [1, 1, 0], [1, 1, 1]]
    """
    undecided = np.zeros((1, 0), dtype=bool)
    masks, lengths = [], []
    found = 0
    for length in range(packets + 1):
        best = _completed(undecided, packets, True)
        decides = (usable(best) == usable(_completed(undecided, packets, False))).all(axis=1)
        masks.append(best[decides])
        lengths.append(np.full(int(decides.sum()), length, dtype=np.int64))
        found += len(lengths[-1])
        undecided = undecided[~decides]
        if not len(undecided):
            break
        if found + 2 * len(undecided) > most:
            return None
        next_packet = np.tile([[False], [True]], (len(undecided), 1))
        undecided = np.concatenate([np.repeat(undecided, 2, axis=0), next_packet], axis=1)
    length_of = np.concatenate(lengths)
    if int((packets - length_of + 1).sum()) * packets > CELLS_LIMIT:
        return None
    return Beginnings(np.concatenate(masks), length_of)


def _completed(beginnings: BoolArray, packets: int, received: bool) -> BoolArray:
    rest = np.full((len(beginnings), packets - beginnings.shape[1]), received)
    return np.concatenate([beginnings, rest], axis=1)


def states_after(beginnings: Beginnings, powers: Sequence[Vector], loss: Vector, start: Vector) -> Vector:
    """Joint probability of each beginning and of the chain's state at its last packet.

    Args:
        beginnings: Over n packets.
        powers: n arrays float64 [S, S], the chain's transition before each packet.
        loss: float64 [S], probability of loss in each state.
        start: float64 [S], distribution of the state before the first packet.

    Returns:
        float64 [m, S].
    """
    state = np.tile(start, (len(beginnings.masks), 1))
    for number, power in enumerate(powers):
        inside = beginnings.length > number
        received = beginnings.masks[inside, number, None]
        state[inside] = (state[inside] @ power) * np.where(received, 1 - loss, loss)
    return state


class LossCounts(NamedTuple):
    """How many of some packets are lost, by the state before the first of them; k counts those that are not late.

    Attributes:
        probability: float64 [S, n + 1], P(k lost | state), for n packets that are not late.
        late: float64 [S, n + 1], E[number of late packets that are lost, if k are lost, else 0 | state].
        data: float64 [S, n + 1], the same of data packets among the k.
    """

    probability: Vector
    late: Vector
    data: Vector


def loss_counts_after(powers: Sequence[Vector], loss: Vector, late: BoolArray, data: BoolArray) -> list[LossCounts]:
    """How many of the packets from j on are lost, for each j.

    The losses of late packets are counted apart: the decoder misses a late packet in either case.

    Args:
        powers: n arrays float64 [S, S], the chain's transition before each packet.
        loss: float64 [S], probability of loss in each state.
        late: bool [n], which packets come too late.
        data: bool [n], which packets hold data.

    Returns:
        n + 1 counts, for j of 0 … n.
    """
    one, none = np.ones((len(loss), 1)), np.zeros((len(loss), 1))
    found = [LossCounts(one, none, none)]
    for packet in reversed(range(len(powers))):
        kept, counts = found[-1], not late[packet]
        late_lost = kept.late if counts else kept.late + kept.probability
        data_lost = kept.data + kept.probability if counts and data[packet] else kept.data
        tables = zip(kept, (kept.probability, late_lost, data_lost), strict=True)
        found.append(LossCounts(*(powers[packet] @ _with_packet(*both, loss, counts) for both in tables)))
    return found[::-1]


def _with_packet(kept: Vector, lost: Vector, loss: Vector, counts: bool) -> Vector:
    """A table over the number of losses, [S, n + 1], with one more packet in front: its values if it is kept or lost.

    counts: whether its loss is one of those that are counted; then [S, n + 2].
    """
    kept, lost = kept * (1 - loss)[:, None], lost * loss[:, None]
    return np.pad(kept, ((0, 0), (0, 1))) + np.pad(lost, ((0, 0), (1, 0))) if counts else kept + lost

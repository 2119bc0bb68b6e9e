"""Packets for the ``resilient`` receiver: J2K packets regrouped so that a loss stays local.

A JPEG 2000 decoder follows one chain per (resolution, component, precinct) through the layers; a chain ends
at its first lost J2K packet. A packet that held a whole layer would end every chain. So the J2K packets of
the enhancement layers are sent chain after chain (lowest resolution first) and cut into runs of near-equal
size: a run holds whole chains, and only a chain larger than a packet is cut, along its layers, its later
part then depending on the earlier one.

Packet 0 (protected): main header and base layer. Every other packet says which J2K packets it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.codestream import (
    EMPTY_PACKET,
    CodestreamError,
    Geometry,
    join_codestream,
    pack_numbers,
    read_geometry,
    unpack_numbers,
)

__all__ = ["Run", "cut_chains", "join_chains", "partition", "usable_chains"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Run:
    """Where a packet's J2K packets stand in chain order (chain · enhancement layers + layer - 1)."""

    first: int
    count: int

    @property
    def end(self) -> int:
        """One past the last."""
        return self.first + self.count


def partition(sizes: Sequence[int], parts: int) -> list[int]:
    """Cuts ``sizes`` into ``parts`` non-empty runs whose largest sum is least; returns parts + 1 bounds.

    Bisection on the largest sum, filling greedily: O(n log sum). Needs len(sizes) >= parts >= 1.

    >>> partition([1, 1, 5, 1, 1, 1], 3)
    [0, 2, 3, 6]
    """

    def bounds(limit: int) -> list[int]:
        cuts, total = [0], 0
        for i, size in enumerate(sizes):
            left_over = len(sizes) - i == parts - len(cuts)  # one each for the runs still to come
            if i and (total + size > limit or left_over):
                cuts.append(i)
                total = 0
            total += size
        return [*cuts, len(sizes)]

    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(bounds(middle)) <= parts + 1 else (middle + 1, high)
    return bounds(low)


def _chain_order(geometry: Geometry) -> NDArray[np.int64]:
    """Index in LRCP order of each enhancement J2K packet in chain order."""
    chain, layer = np.divmod(np.arange((geometry.layers - 1) * geometry.per_layer), geometry.layers - 1)
    return (layer + 1) * geometry.per_layer + chain


def _holds(piece: bytes) -> bool:
    """Whether a J2K packet holds code-block data: a lone byte is a header that includes none."""
    return len(piece) > 1


def _without_empty_ends(bounds: list[int], ordered: Sequence[bytes], layers: int) -> list[int]:
    """Bounds moved back where a run would end with a chain's empty beginning, which is of use to the next run only."""
    moved = bounds[:1]
    for bound in bounds[1:]:
        start = bound // layers * layers
        only_empty = not any(map(_holds, ordered[start:bound]))
        moved.append(start if bound < len(ordered) and only_empty and start > moved[-1] else bound)
    return moved


def cut_chains(header: bytes, j2k_packets: Sequence[bytes], packets: int) -> list[bytes]:
    """Payloads of a codestream: the protected one and ``packets`` droppable ones."""
    geometry = read_geometry(header)
    ordered = [j2k_packets[i] for i in _chain_order(geometry)]
    base = b"".join(j2k_packets[: geometry.per_layer])
    payloads = [pack_numbers([len(header)]) + header + base]
    bounds = _without_empty_ends(partition([len(p) for p in ordered], packets), ordered, geometry.layers - 1)
    for a, b in pairwise(bounds):
        run = ordered[a:b]
        payloads.append(pack_numbers([a, b - a, *map(len, run)]) + b"".join(run))
    return payloads


def _read_run(payload: bytes) -> tuple[Run, list[bytes]]:
    (first, count), at = unpack_numbers(payload, 2)
    if count > len(payload):
        raise CodestreamError(f"{count} J2K packets in {len(payload)} bytes")
    sizes, at = unpack_numbers(payload, count, at)
    if at + sum(sizes) != len(payload):
        raise CodestreamError(f"J2K packets of {sum(sizes)} bytes in {len(payload) - at}")
    pieces = []
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    return Run(first, count), pieces


def join_chains(payloads: Sequence[bytes | None]) -> bytes:
    """The codestream of what arrived (None = lost; packet 0 is there).

    Each chain goes on to its first lost J2K packet; from there on it is empty. Raises CodestreamError if a
    payload is damaged.
    """
    first = payloads[0]
    if first is None:
        raise CodestreamError("packet 0 is lost")
    (size,), at = unpack_numbers(first, 1)
    header = first[at : at + size]
    geometry = read_geometry(header)
    order = _chain_order(geometry)
    arrived: list[bytes | None] = [None] * (geometry.layers * geometry.per_layer)
    for payload in payloads[1:]:
        if payload is not None:
            run, pieces = _read_run(payload)
            if run.first + run.count > len(order):
                raise CodestreamError(f"J2K packet {run.first + run.count - 1} of {len(order)}")
            for place, piece in zip(order[run.first : run.first + run.count], pieces, strict=True):
                arrived[place] = piece
    unbroken = np.array([piece is not None for piece in arrived]).reshape(geometry.layers, geometry.per_layer)
    unbroken[0] = True
    keep = np.logical_and.accumulate(unbroken, axis=0).ravel()[geometry.per_layer :]
    above_base = zip(arrived[geometry.per_layer :], keep, strict=True)
    enhancement = (piece if kept and piece is not None else EMPTY_PACKET for piece, kept in above_base)
    return join_codestream(header, first[at + size :] + b"".join(enhancement))


def usable_chains(payloads: Sequence[bytes], received: BoolArray) -> BoolArray:
    """Packets of which something can be used. payloads: as sent; received: bool [..., n]; returns bool [..., n].

    A packet in which a chain starts is of use by itself; one that only goes on with a chain needs the packets
    since that chain's start. A chain that holds nothing any more counts for neither. All need packet 0.
    """
    (size,), at = unpack_numbers(payloads[0], 1)
    geometry = read_geometry(payloads[0][at : at + size])
    layers = geometry.layers - 1
    content = _read_all(payloads[1:])
    filled = np.array([_holds(piece) for _, pieces in content for piece in pieces]).reshape(-1, layers)
    holds = np.logical_or.accumulate(filled[:, ::-1], axis=1)[:, ::-1]  # [chain, layer]: anything from here on?
    runs = [run for run, _ in content]
    usable = received & received[..., :1]
    for k, run in enumerate(runs):
        starts = range(-(-run.first // layers), -(-run.end // layers))  # chains that start in this run
        if holds[starts, 0].any():
            continue
        chain, layer = divmod(run.first, layers)
        earlier = [1 + j for j in range(k) if runs[j].end > chain * layers]
        goes_on = received[..., earlier].all(axis=-1) if layer and holds[chain, layer] else False
        usable[..., 1 + k] &= goes_on
    return usable


def _read_all(payloads: Sequence[bytes]) -> list[tuple[Run, list[bytes]]]:
    content = [_read_run(payload) for payload in payloads]
    ends = [0, *(run.end for run, _ in content)]
    if any(run.first != end for (run, _), end in zip(content, ends, strict=False)):
        raise CodestreamError("packets don't follow one another")
    return content

"""Packets for the ``resilient`` receiver: J2K packets regrouped so that a loss stays local.

A JPEG 2000 decoder follows one chain per (resolution, component, precinct) through the layers. A chain ends at its
first lost J2K packet, so the loss of a whole layer would end every chain. The J2K packets of the enhancement layers are
therefore sent chain after chain (lowest resolution first) and cut into runs of near-equal size. A run holds whole
chains. Only a chain larger than a packet is cut, along its layers; its later part then depends on the earlier one.

Packet 0 (protected): main header and base layer. Every other packet names the J2K packets that it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
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
    read_protected,
    unpack_numbers,
)

__all__ = ["Run", "cut_chains", "join_chains", "partition", "usable_chains"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Run:
    """Places of a packet's J2K packets in chain order (chain · enhancement layers + layer - 1)."""

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


_Content = tuple[Run, list[bytes]]


def _read_run(payload: bytes) -> _Content:
    (first, count), at = unpack_numbers(payload, 2)
    if not 0 < count <= len(payload):
        raise CodestreamError(f"{count} J2K packets in {len(payload)} bytes")
    sizes, at = unpack_numbers(payload, count, at)
    if at + sum(sizes) != len(payload):
        raise CodestreamError(f"J2K packets of {sum(sizes)} bytes in {len(payload) - at}")
    pieces = []
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    return Run(first, count), pieces


def _read_all(payloads: Sequence[bytes | None], geometry: Geometry) -> list[_Content | None]:
    """Contents of each droppable packet; None where it is lost or damaged (unreadable, or out of order)."""
    found: list[_Content | None] = []
    end, total = 0, (geometry.layers - 1) * geometry.per_layer
    for payload in payloads:
        content = None
        if payload is not None:
            with suppress(CodestreamError):
                content = _read_run(payload)
        if content is not None and end <= content[0].first and content[0].end <= total:
            end = content[0].end
            found.append(content)
        else:
            found.append(None)
    return found


def join_chains(payloads: Sequence[bytes | None]) -> bytes:
    """The codestream of what arrived: each chain up to its first lost J2K packet, then empty packets.

    Args:
        payloads: None = lost; a damaged packet counts as lost.

    Raises:
        CodestreamError: Packet 0 is lost or damaged.
    """
    first = payloads[0]
    if first is None:
        raise CodestreamError("packet 0 is lost")
    header, geometry, base = read_protected(first)
    order = _chain_order(geometry)
    arrived: list[bytes | None] = [None] * (geometry.layers * geometry.per_layer)
    for content in _read_all(payloads[1:], geometry):
        if content is not None:
            run, pieces = content
            for place, piece in zip(order[run.first : run.end], pieces, strict=True):
                arrived[place] = piece
    unbroken = np.array([piece is not None for piece in arrived]).reshape(geometry.layers, geometry.per_layer)
    unbroken[0] = True
    keep = np.logical_and.accumulate(unbroken, axis=0).ravel()[geometry.per_layer :]
    above_base = zip(arrived[geometry.per_layer :], keep, strict=True)
    enhancement = (piece if kept and piece is not None else EMPTY_PACKET for piece, kept in above_base)
    return join_codestream(header, base + b"".join(enhancement))


def usable_chains(payloads: Sequence[bytes], received: BoolArray) -> BoolArray:
    """Packets of which something can be used.

    A packet in which a chain starts can be used alone. A packet that only continues a chain needs all packets since the
    start of that chain. A chain without further data counts for neither. All packets need packet 0.

    Args:
        payloads: As sent; a damaged packet counts as lost.
        received: bool [..., n].

    Returns:
        bool [..., n].

    Raises:
        CodestreamError: Packet 0 is damaged.
    """
    geometry = read_protected(payloads[0])[1]
    layers, contents = geometry.layers - 1, _read_all(payloads[1:], geometry)
    there, filled = np.zeros((2, layers * geometry.per_layer), dtype=bool)
    for content in contents:
        if content is not None:
            run, pieces = content
            there[run.first : run.end] = True
            filled[run.first : run.end] = [_holds(piece) for piece in pieces]
    backwards = filled.reshape(geometry.per_layer, layers)[:, ::-1]
    holds = np.logical_or.accumulate(backwards, axis=1)[:, ::-1]  # [chain, layer]: anything from here on?
    usable = received & received[..., :1]
    for k, content in enumerate(contents):
        if content is None:
            usable[..., 1 + k] = False
            continue
        run = content[0]
        starts = range(-(-run.first // layers), -(-run.end // layers))  # chains that start in this run
        if holds[starts, 0].any():
            continue
        chain, layer = divmod(run.first, layers)
        start = chain * layers
        earlier = [1 + j for j, one in enumerate(contents[:k]) if one is not None and one[0].end > start]
        goes_on = layer and holds[chain, layer] and there[start : run.first].all()
        usable[..., 1 + k] &= received[..., earlier].all(axis=-1) if goes_on else False
    return usable

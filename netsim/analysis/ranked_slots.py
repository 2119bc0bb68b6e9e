"""Typical and bad slots of a run, found in its log by what schemes show on average."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netsim.analysis.slot_values import slot_quality
from netsim.runs.log_file import open_log

__all__ = ["RANKS", "SAMPLED", "RankedSlot", "ranked_slots"]

RANKS = {"median": 0.5, "lower quartile": 0.25, "5th percentile": 0.05, "worst": 0.0}
"""Share of slots that are as bad or worse, by name."""

SAMPLED = ("event", "array")
"""Engines whose log has a row for each slot of each trial."""

_MOST_SLOTS = 1 << 20  # of a group, which take 12 bytes each
_COLUMNS = ["row", "engine", "trial", "slot", "packet", "status", "psnr_db"]


class RankedSlot(NamedTuple):
    """A slot of a trial. rank: its names in ``RANKS``; slots: among how many."""

    trial: int
    slot: int
    rank: str
    slots: int


def ranked_slots(
    path: Path, groups: Sequence[Collection[int]], slots: int, failure_db: float
) -> list[list[RankedSlot]]:
    """The median slot of each group of rows, its lower quartile, its 5th percentile and its worst slot.

    The order is that of the mean PSNR over the group's rows, whose schemes met the same losses: by one scheme's PSNR
    its bad slots would be chosen, and the others' usual ones. Of equal slots the earliest counts. The log is read one
    row group at a time.

    Args:
        path: The log.
        groups: Numbers of the plan's rows that are shown together; no row is in two groups.
        slots: How many slots a trial has.
        failure_db: What a slot without an image counts as.

    Returns:
        Of each group the slots in the order of ``RANKS``, none twice, among the first 1,048,576 that all its sampled
        rows have; none where no row is sampled.

    Raises:
        InputError: As ``open_log``.
    """
    group_of = {row: number for number, rows in enumerate(groups) for row in rows}
    most = max(1, _MOST_SLOTS // slots) * slots
    total, count = np.zeros((len(groups), most)), np.zeros((len(groups), most), np.int32)
    sampled: list[set[int]] = [set() for _ in groups]
    with open_log(path) as log:
        for place in range(log.num_row_groups):
            part = log.read_row_group(place, columns=_COLUMNS)
            mine = pc.and_(_is_in(part["row"], group_of), _is_in(part["engine"], SAMPLED))
            in_time = pc.and_(pc.is_null(part["packet"]), pc.less(part["slot"], slots))
            frame = part.filter(pc.and_(mine, in_time)).to_pandas()
            for row, some in frame.groupby("row", sort=False):
                number, place_of = group_of[int(row)], some["trial"].to_numpy(np.int64) * slots + some["slot"]
                known = (place_of >= 0) & (place_of < most)
                np.add.at(total[number], place_of[known], slot_quality(some, failure_db)[known])
                np.add.at(count[number], place_of[known], 1)
                sampled[number].add(int(row))
    return [
        _ranked(np.where(count[number] == len(rows), total[number], np.nan), slots) if rows else []
        for number, rows in enumerate(sampled)
    ]


def _is_in(column: pa.ChunkedArray, values: Collection[object]) -> pa.ChunkedArray:
    wanted = pa.array(list(values))
    return pc.is_in(pc.cast(column, wanted.type), wanted)


def _ranked(quality: NDArray[np.float64], slots: int) -> list[RankedSlot]:
    """quality: of each slot of all trials in their order; NaN where some row has none."""
    order = np.argsort(quality, kind="stable")[: np.count_nonzero(~np.isnan(quality))]
    ascending, names = quality[order], dict[int, list[str]]()
    for name, share in RANKS.items() if len(order) else ():
        value = ascending[max(math.ceil(share * len(order)) - 1, 0)]
        names.setdefault(int(order[np.searchsorted(ascending, value)]), []).append(name)
    return [RankedSlot(*divmod(place, slots), ", ".join(some), len(order)) for place, some in names.items()]

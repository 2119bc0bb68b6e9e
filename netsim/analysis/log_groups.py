"""The slots of a log on disk, one summary group at a time: a log of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from netsim.analysis.summary import GROUP, NEEDED, OPTIONAL
from netsim.metrics.further import further_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["logged_metrics", "slot_groups"]

Key = tuple[str, ...]


def logged_metrics(path: Path) -> list[str]:
    """The metrics beside PSNR that the log at ``path`` has."""
    return further_metrics(pq.read_schema(path).names)


def slot_groups(path: Path) -> Iterator[tuple[Key, pd.DataFrame]]:
    """(values of ``GROUP``, slots of the group) of the log at ``path``, in the order of their first slot.

    Only the columns of a summary are read, strings as categories.
    """
    log = pq.ParquetFile(path, read_dictionary=_strings(path))
    for key, places in _places(log).items():
        parts = [_only(_slots(log, place), key) for place in places]
        table = pa.concat_tables(parts).unify_dictionaries()
        del parts
        yield key, table.to_pandas(self_destruct=True, split_blocks=True)


def _strings(path: Path) -> list[str]:
    return [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]


def _places(log: pq.ParquetFile) -> dict[Key, list[int]]:
    """Per group the row groups of the file that hold slots of it."""
    found: dict[Key, list[int]] = {}
    for place in range(log.num_row_groups):
        table = log.read_row_group(place, columns=["packet", *GROUP])
        table = table.filter(pc.is_null(table["packet"])).drop_columns(["packet"])
        seen = table.to_pandas().drop_duplicates()
        for key in seen.itertuples(index=False, name=None):
            found.setdefault(tuple(map(str, key)), []).append(place)
    return found


def _slots(log: pq.ParquetFile, place: int) -> pa.Table:
    names = log.schema_arrow.names
    wanted = {*NEEDED, *OPTIONAL, *further_metrics(names)}
    table = log.read_row_group(place, columns=[name for name in names if name in wanted])
    return table.filter(pc.is_null(table["packet"]))


def _only(table: pa.Table, key: Key) -> pa.Table:
    """The rows of one group; of a table that holds no other, all of it."""
    mine = None
    for name, value in zip(GROUP, key, strict=True):
        equal = pc.equal(table[name], value)
        mine = equal if mine is None else pc.and_(mine, equal)
    return table.filter(mine)

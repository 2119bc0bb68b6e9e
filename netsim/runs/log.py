"""The log: Parquet, one row per time slot, streamed part by part so that it never stands in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from netsim.decoding.cases import case_packets
from netsim.decoding.collapse import Arrays
from netsim.metrics.further import LOG_COLUMNS, further_metrics
from netsim.runs.atomic import write_atomically
from netsim.runs.log_file import GROUP_ROWS_LIMIT, read_rows
from netsim.scenario.plan import Plan, PlanRow
from netsim.scenario.schema import WEIGHTED_ENGINES

__all__ = ["log_schema", "read_log", "write_log"]

_INTEGERS = ("sent", "delivered", "lost", "late", "dropped", "recovered", "usable")

_WHOLE = pa.int32()
_TYPES = {
    **dict.fromkeys(("row", "trial", "slot", "packet", "drawn"), _WHOLE),
    **{f"packets_{name}": _WHOLE for name in _INTEGERS},
    **dict.fromkeys(("seed", "bytes"), pa.int64()),
    **dict.fromkeys(("can_fail", "can_lose"), pa.bool_()),
    **dict.fromkeys(("start_s", "time_s", "design_weight", "bpp", "psnr_db", "weight"), pa.float64()),
}  # strings are the rest


def log_schema(metrics: Iterable[str]) -> pa.Schema:
    """Columns of a log: those of every log, and one for each metric of the plan.

    Args:
        metrics: The plan's metrics, PSNR among them or not.

    Returns:
        Names and types, in the log's order.
    """
    names = [name for name in LOG_COLUMNS if name != "weight"] + [*further_metrics(metrics), "weight"]
    further = dict.fromkeys(further_metrics(metrics), pa.float64())
    return pa.schema([pa.field(name, (_TYPES | further).get(name, pa.string())) for name in names])


def write_log(
    path: Path,
    plan: Plan,
    parts: Iterable[tuple[PlanRow, Arrays, Mapping[str, np.ndarray]]],
    step: Callable[[], None] = lambda: None,
) -> None:
    """Write the log.

    Args:
        path: Its file.
        plan: The plan.
        parts: In plan order: the row, the arrays of the part, and per metric the quality of each of its cases.
        step: Called after each part.
    """

    def write(file: Any) -> None:
        schema = log_schema(plan.metrics)
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
            waiting = _Waiting()
            for row, arrays, qualities in parts:
                waiting.add(_table(plan, row, arrays, qualities))
                if waiting.rows >= _ROW_GROUP:
                    writer.write_table(waiting.taken(), row_group_size=GROUP_ROWS_LIMIT)
                step()
            if waiting.rows:
                writer.write_table(waiting.taken(), row_group_size=GROUP_ROWS_LIMIT)

    write_atomically(path, write)


class _Waiting:
    """Small parts that become one row group: each group costs memory while the file is open, here and at readers.

    A table of a few rows takes some 40 kilobytes, so a few hundred are joined as they come.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._joined: list[pa.Table] = []
        self._single: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self.rows += len(table)
        self._single.append(table)
        if len(self._single) == _JOINED:
            self._joined.append(pa.concat_tables(self._single).combine_chunks())
            self._single.clear()

    def taken(self) -> pa.Table:
        """All rows in one table; none are left."""
        table = pa.concat_tables([*self._joined, *self._single]).combine_chunks()
        self.rows, self._joined, self._single = 0, [], []
        return table


_ROW_GROUP = 1 << 16  # rows, at least
_JOINED = 256  # tables


def read_log(path: Path, *trials: int) -> pa.Table:
    """Read a log, its pages checked.

    Args:
        path: The log.
        *trials: Keep the rows of these trials, and all rows of engines that simulate no trials; none: all rows.

    Returns:
        The rows, in the log's order.

    Raises:
        InputError: If it is not a Parquet file, a page does not match its checksum, or it exceeds a limit of size.
    """
    return read_rows(path, (lambda batch: _of_trials(batch, trials)) if trials else None)


def _of_trials(batch: pa.RecordBatch, trials: Sequence[int]) -> pa.Array:
    weighted = pc.is_in(pc.cast(batch["engine"], pa.string()), pa.array(WEIGHTED_ENGINES))
    return reduce(pc.or_, (pc.equal(batch["trial"], trial) for trial in trials), weighted)


def _table(plan: Plan, row: PlanRow, arrays: Arrays, qualities: Mapping[str, np.ndarray]) -> pa.Table:
    total, case, choice = len(arrays["trial"]), arrays["case"], arrays["choice"]
    pixels = np.array([_pixels(plan, i) for i in range(len(plan.image_names))])
    packet, sampled = arrays["packet"], ~np.isnan(arrays["design_weight"])
    columns: dict[str, Any] = {
        "run_id": _repeat(plan.run_id, total),
        "row": np.full(total, row.index, np.int32),
        "engine": _repeat(row.engine, total),
        "trial": arrays["trial"],
        "slot": arrays["slot"],
        "packet": pa.array(packet, mask=packet < 0),
        "start_s": arrays["start_s"],
        "time_s": arrays["time_s"],
        "image": _choose(plan.image_names, arrays["image"]),
        "codec": _choose([scheme.codec.name for scheme in row.schemes], choice),
        "settings": _choose([row.settings_text(number) for number in range(len(row.schemes))], choice),
        "operating_point": _repeat(row.operating_point, total),
        "mode": _choose([scheme.codec.mode for scheme in row.schemes], choice),
        "protection": _choose([scheme.protection_name for scheme in row.schemes], choice),
        "scheme": _repeat(row.label, total),
        "channel": _repeat(row.channel_name, total),
        "link": _repeat(row.link_name, total),
        "seed": np.full(total, plan.seed, np.int64),
        "bytes": arrays["bytes"],
        "bpp": 8 * arrays["bytes"] / pixels[arrays["image"]],
        "status": _choose(["full", "partial", "failed", "unresolved"], _status(arrays)),
        "weight": arrays["weight"],
        "can_fail": arrays["can_fail"],
        "can_lose": arrays["can_lose"],
        "drawn": pa.array(arrays["drawn"], mask=arrays["drawn"] == 0),
        "usable_mask": pa.array(arrays["case_mask"][case], pa.string(), mask=~sampled),
        "design_weight": pa.array(arrays["design_weight"], mask=~sampled),
    }
    columns |= {f"packets_{name}": arrays[name] for name in _INTEGERS}
    for metric in plan.metrics:
        values = qualities[metric][case]
        columns[metric] = pa.array(values, pa.float64(), mask=np.isnan(values))
    schema = log_schema(plan.metrics)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _pixels(plan: Plan, image: int) -> int:
    """Number of pixels of an image of the plan."""
    height, width = plan.images.items[image].shape
    return int(height * width)


def _status(arrays: Arrays) -> np.ndarray:
    usable = arrays["usable"]
    return np.select([arrays["unresolved"], usable == 0, usable < case_packets(arrays)], [3, 2, 1], 0)


def _repeat(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def _choose(values: Iterable[str], index: np.ndarray) -> pa.Array:
    return pa.array(list(values), pa.string()).take(pa.array(index))

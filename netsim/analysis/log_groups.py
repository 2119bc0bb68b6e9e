"""The groups of a log on disk, read one row group at a time: a log of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from netsim.analysis.distribution import Distribution
from netsim.analysis.summary import GROUP, NEEDED, OPTIONAL, SlotGroup, check_columns, slot_group
from netsim.errors import InputError
from netsim.metrics.further import further_metrics, scale_of
from netsim.runs.log_file import open_log
from netsim.scenario.schema import WEIGHTED_ENGINES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["described_groups", "first_struck_trial", "logged_metrics", "summary_of_log"]

Key = tuple[str, ...]

_POINT = ["channel", "link", "scheme", "operating_point"]
_MISSING = ["packets_lost", "packets_late", "packets_dropped"]


def logged_metrics(path: Path) -> list[str]:
    """The metrics beside PSNR that a log has values of.

    Args:
        path: The log.

    Returns:
        Names; all the log's metrics where no slot shows an image.

    Raises:
        InputError: It is not a log within the limits (``netsim.runs.log_file``).
    """
    with open_log(path) as log:
        floats = [field.name for field in log.schema_arrow if pa.types.is_floating(field.type)]
        shown = not _is_empty(log, "psnr_db")
        return [name for name in further_metrics(floats) if not (shown and _is_empty(log, name))]


def _is_empty(log: pq.ParquetFile, name: str) -> bool:
    """Whether a column has no value, as far as the file's statistics tell."""
    column, metadata = log.schema_arrow.get_field_index(name), log.metadata
    chunks = (metadata.row_group(place).column(column) for place in range(metadata.num_row_groups))
    return all(one.statistics is not None and one.statistics.null_count == one.num_values for one in chunks)


@dataclass
class _Open:
    """A group that may get more slots. last: its greatest plan row so far."""

    slots: SlotGroup
    spread: Distribution
    last: int


def described_groups(path: Path, failure_db: float) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Summary and distribution of each group of a log, in the order of their first slots.

    A group is complete once all later row groups hold only later rows of the plan. A run writes its log in the order of
    the plan, so few groups are open at a time.

    Args:
        path: The log.
        failure_db: What a failed slot counts as in means of PSNR.

    Yields:
        The group's row of the summary (``netsim.analysis.summary.summarise``), and its rows of the distribution
        (``netsim.analysis.distribution.distributions``).

    Raises:
        InputError: The log lacks columns or has no slots, or a group stands in it under several rows of the plan, far
            from each other.
    """
    with open_log(path) as log:
        check_columns(log.schema_arrow.names)
    scales = {name: scale_of(name) for name in logged_metrics(path)}
    waiting: dict[Key, _Open] = {}
    closed: set[int] = set()
    with open_log(path) as log:
        least_later = _least_later_rows(log)
        for place in range(log.num_row_groups):
            for key, part in _parts(log, place):
                if hash(key) in closed:
                    raise InputError(
                        f"`{path}` is not in the order of a plan", hint="`netsim run` writes logs that are"
                    )
                if key not in waiting:
                    engine = key[GROUP.index("engine")]
                    waiting[key] = _Open(slot_group(engine, failure_db, scales), Distribution(failure_db), -1)
                one = waiting[key]
                one.slots.add(part)
                one.spread.add(part)
                one.last = max(one.last, int(part["row"].max()))
            while waiting:
                key, one = next(iter(waiting.items()))
                if one.last >= least_later[place]:
                    break
                del waiting[key]
                closed.add(hash(key))
                named = dict(zip(GROUP, key, strict=True))
                yield {**named, **one.slots.row()}, [{**named, **row} for row in one.spread.rows()]
    if not closed:
        raise InputError("the log has no slots", hint="`trials` and `slots` of the scenario are at least 1")


def summary_of_log(path: Path, failure_db: float) -> pd.DataFrame:
    """The summary of a log on disk, read one row group at a time.

    Args:
        path: The log.
        failure_db: What a failed slot counts as in means of PSNR.

    Returns:
        As ``netsim.analysis.summary.summarise``.

    Raises:
        InputError: As ``described_groups``.
    """
    import pandas as pd

    return pd.DataFrame([row for row, _ in described_groups(path, failure_db)]).assign(failure_db=failure_db)


def first_struck_trial(path: Path, points: pd.DataFrame, slots: int) -> int | None:
    """The first trial of a log in which a packet of some curves' points did not arrive, read one row group at a time.

    Args:
        path: The log.
        points: Columns channel, link, scheme, operating_point: which rows count.
        slots: The first slots of a trial, which count.

    Returns:
        The trial; None where all packets arrived, or no trials were sampled.

    Raises:
        InputError: As ``open_log``.
    """
    wanted = set(points[_POINT].astype(str).itertuples(index=False, name=None))
    found: list[int] = []
    with open_log(path) as log:
        for place in range(log.num_row_groups):
            part = log.read_row_group(place, columns=["engine", "trial", "slot", "packet", *_POINT, *_MISSING])
            missing = pc.add(pc.add(part[_MISSING[0]], part[_MISSING[1]]), part[_MISSING[2]])
            struck = pc.and_(pc.greater(missing, 0), pc.less(part["slot"], slots))
            rows = part.filter(pc.and_(struck, pc.is_null(part["packet"]))).to_pandas()
            rows = rows[~rows["engine"].isin(WEIGHTED_ENGINES)]
            first = rows.groupby(_POINT, sort=False, observed=True)["trial"].min()
            found += [int(trial) for key, trial in first.dropna().items() if tuple(map(str, key)) in wanted]
    return min(found, default=None)


def _least_later_rows(log: pq.ParquetFile) -> list[float]:
    """For each row group the least plan row in those behind it; infinite behind the last."""
    column = log.schema_arrow.get_field_index("row")
    found: list[float] = []
    least = float("inf")
    for place in reversed(range(log.num_row_groups)):
        found.append(least)
        statistics = log.metadata.row_group(place).column(column).statistics
        least = min(least, statistics.min if statistics is not None and statistics.has_min_max else -1.0)
    return found[::-1]


def _parts(log: pq.ParquetFile, place: int) -> Iterator[tuple[Key, pd.DataFrame]]:
    """The slots of a row group of the file, by group; only the columns of a summary."""
    names = log.schema_arrow.names
    wanted = {*NEEDED, *OPTIONAL, *further_metrics(names)}
    table = log.read_row_group(place, columns=[name for name in names if name in wanted])
    slots = table.filter(pc.is_null(table["packet"])).to_pandas()
    for key, part in slots.groupby(GROUP, sort=False, observed=True):
        yield tuple(map(str, key)), part

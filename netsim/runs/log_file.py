"""Parquet files of logs, opened and read within limits: a few kilobytes can claim, and expand to, any size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from netsim.errors import InputError
from netsim.scenario.schema import LOG_ROWS_LIMIT

__all__ = ["GROUP_ROWS_LIMIT", "open_log", "read_rows"]

GROUP_ROWS_LIMIT = 1 << 20
"""Most rows of a row group."""

_GROUP_BYTES_LIMIT = 1 << 30  # of a row group's pages, uncompressed
_BATCH_ROWS = 1 << 16
_ROW_BYTES_LIMIT = 1 << 14  # mean of a batch
_HINT = "netsim writes no such log: it is damaged, or made to exhaust memory"


def open_log(path: Path) -> pq.ParquetFile:
    """Open a log whose footer is within the limits. Text columns are read as dictionaries, pages are checked.

    Args:
        path: The log.

    Returns:
        The open file.

    Raises:
        InputError: It is not a Parquet file, it has columns of lists, or it claims more rows or bytes than a log has.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_footer(path, file)
            texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        return pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def read_rows(path: Path, keep: Callable[[pa.RecordBatch], pa.Array] | None = None) -> pa.Table:
    """Read a log, 65,536 rows at a time.

    Args:
        path: The log.
        keep: Which rows of a batch, whose text columns are dictionaries, are kept: boolean [rows]; None: all.

    Returns:
        The rows in the log's order, text columns as text.

    Raises:
        InputError: As ``open_log``; a page does not match its checksum; the rows of a batch take more than 16 KiB on
            average; or what is kept takes more than half of the machine's memory.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kept: list[pa.RecordBatch] = []
    size = 0
    try:
        with open_log(path) as file:
            empty = pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            for place in range(file.num_row_groups):
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[place]):
                    if _bytes(batch) > _ROW_BYTES_LIMIT * len(batch):
                        message = f"`{path}` has rows of more than {_ROW_BYTES_LIMIT:,} bytes in row group {place}"
                        raise InputError(message, hint=_HINT)
                    part = batch if keep is None else batch.filter(keep(batch))
                    size += _bytes(part)
                    if size > memory // 2:
                        message = f"the rows of `{path}` take more than half of the {memory / 2**30:.1f} GiB of memory"
                        hint = "summary.csv and distribution.csv hold their means; `trial_log(0)` reads one trial"
                        raise InputError(message, hint=hint)
                    kept.append(_written_out(part))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return pa.Table.from_batches(kept or [_written_out(empty)])


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"`{path}` is damaged: {str(error).splitlines()[0]}", hint="run the scenario again")


def _bytes(batch: pa.RecordBatch) -> int:
    """Bytes of a batch once its dictionaries are written out, without null masks."""
    return sum(_column_bytes(column) for column in batch.columns)


def _column_bytes(column: pa.Array) -> int:
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + 4 * len(column)


def _written_out(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with text columns in place of dictionaries."""
    columns = [one.dictionary_decode() if isinstance(one, pa.DictionaryArray) else one for one in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _check_footer(path: Path, file: pq.ParquetFile) -> None:
    metadata = file.metadata
    if nested := next((field for field in file.schema_arrow if not _is_flat(field.type)), None):
        raise InputError(f"`{path}`: column `{nested.name}` holds {nested.type}", hint="numbers, truth values or text")
    if metadata.num_rows > LOG_ROWS_LIMIT:
        raise InputError(f"`{path}` claims {metadata.num_rows:,} rows", hint=f"at most {LOG_ROWS_LIMIT:,}; {_HINT}")
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    for place, group in enumerate(groups):
        size = max(
            group.total_byte_size, sum(group.column(i).total_uncompressed_size for i in range(group.num_columns))
        )
        if not 0 <= group.num_rows <= GROUP_ROWS_LIMIT:
            message = f"`{path}`: row group {place} claims {group.num_rows:,} rows"
            raise InputError(message, hint=f"at most {GROUP_ROWS_LIMIT:,}; {_HINT}")
        if size > _GROUP_BYTES_LIMIT:
            message = f"`{path}`: row group {place} claims {size:,} bytes uncompressed"
            raise InputError(message, hint=f"at most {_GROUP_BYTES_LIMIT:,}; {_HINT}")
    if sum(group.num_rows for group in groups) != metadata.num_rows:
        raise InputError(f"`{path}` claims {metadata.num_rows:,} rows, its row groups others", hint=_HINT)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_flat(kind: pa.DataType) -> bool:
    return _is_text(kind) or bool(pa.types.is_primitive(kind) or pa.types.is_null(kind))

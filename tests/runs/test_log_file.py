"""Logs of strangers: what a small file claims, or expands to, is refused before it takes memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import netsim
from netsim.analysis.log_groups import summary_of_log
from netsim.errors import InputError
from netsim.runs import log_file
from netsim.runs.log import log_schema, read_log
from netsim.runs.log_file import open_log


def _long(path: Path, rows: int, text: str = "", groups: int = 1) -> Path:
    """A log of one value per column: dictionaries and runs make it small whatever its length."""
    schema = log_schema(["psnr_db"])
    columns = {
        field.name: pa.array(np.zeros(rows), field.type)
        if not pa.types.is_string(field.type)
        else pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text or "a"])
        for field in schema
    }
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False, write_page_checksum=True) as file:
        for _ in range(groups):
            file.write_table(table, row_group_size=rows)
    return path


def test_a_whole_log_is_read_as_arrow_reads_it(scenario: Path) -> None:
    path = netsim.run(scenario, overrides=["engine=array", "log=packets", "trials=20"]).path / "log.parquet"
    whole = pq.read_table(path)
    assert read_log(path).equals(whole)
    one = read_log(path, 3)
    assert one.equals(whole.filter(pa.compute.equal(whole["trial"], 3)))
    assert 0 < len(one) < len(whole)


def test_a_log_without_rows_is_read(tmp_path: Path) -> None:
    schema = log_schema(["psnr_db"])
    pq.write_table(schema.empty_table(), tmp_path / "log.parquet")
    assert read_log(tmp_path / "log.parquet").schema.types == schema.types


@pytest.mark.parametrize("read", [read_log, lambda path: summary_of_log(path, 13.0)], ids=["whole", "in groups"])
def test_a_row_group_of_many_rows_is_refused(tmp_path: Path, read: object) -> None:
    path = _long(tmp_path / "log.parquet", log_file.GROUP_ROWS_LIMIT + 1)
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="row group 0 claims 1,048,577 rows"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize("read", [read_log, lambda path: summary_of_log(path, 13.0)], ids=["whole", "in groups"])
def test_a_row_group_of_many_bytes_is_refused(tmp_path: Path, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_GROUP_BYTES_LIMIT", 1 << 20)
    path = _long(tmp_path / "log.parquet", 10, "x" * (1 << 20))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match=r"row group 0 claims \d\d,\d{3},\d{3} bytes uncompressed"):
        read(path)  # type: ignore[operator]


def test_more_rows_than_a_log_can_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _long(tmp_path / "log.parquet", 10, groups=3)
    monkeypatch.setattr(log_file, "LOG_ROWS_LIMIT", 29)
    with pytest.raises(InputError, match="claims 30 rows"):
        open_log(path)


def test_a_dictionary_that_expands_to_many_gigabytes_is_refused(tmp_path: Path) -> None:
    """A text of a megabyte stands once in each column's dictionary and is meant by all rows: 1 TB written out."""
    path = _long(tmp_path / "log.parquet", 1 << 16, "x" * (1 << 20))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match="has rows of more than 16,384 bytes in row group 0"):
        read_log(path)


def test_a_log_that_takes_more_than_half_of_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _long(tmp_path / "log.parquet", 10_000, "x" * 1000, groups=4)  # 13 columns of text: some 130 MB each
    size = log_file.os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(log_file.os, "sysconf", lambda name: size if name == "SC_PAGE_SIZE" else (400 << 20) // size)
    with pytest.raises(InputError, match=r"take more than half of the 0\.4 GiB of memory"):
        read_log(path)


def test_columns_of_lists_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"psnr_db": [[1.0, 2.0]]}), tmp_path / "log.parquet")
    with pytest.raises(InputError, match="column `psnr_db` holds list"):
        open_log(tmp_path / "log.parquet")

"""The summary made group by group from disk is the summary of the whole log."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import netsim
from netsim.analysis.log_groups import described_groups, logged_metrics
from netsim.analysis.summary import GROUP, summarise
from netsim.errors import InputError
from netsim.runs import log as log_module
from netsim.runs import parts
from tests.runs.conftest import RunOf


@pytest.mark.parametrize("overrides", [[], ["engine=array", "log=packets"]])
def test_group_by_group_gives_the_same_summary(run_of: RunOf, tmp_path: Path, overrides: list[str]) -> None:
    run = run_of(*overrides)
    whole = summarise(pd.read_parquet(run.path / "log.parquet"), 13.0)
    pd.testing.assert_frame_equal(pd.read_csv(run.path / "summary.csv"), pd.read_csv(_csv(whole, tmp_path)))


def _csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "whole.csv"
    frame.to_csv(path, index=False)
    return path


def _described(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summary and distribution of a log, read in row groups; sorted, since groups of a shuffled log change places."""
    found = list(described_groups(path, 13.0))
    summary, spread = pd.DataFrame([row for row, _ in found]), pd.DataFrame([row for _, rows in found for row in rows])
    return summary.sort_values(GROUP, ignore_index=True), spread.sort_values([*GROUP, "image"], ignore_index=True)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        pytest.param(["engine=array", "log=packets"], marks=pytest.mark.slow),
        ["engine=array", "trials=3", "slots=9"],
    ],
)
def test_row_groups_of_any_size_in_any_order_give_the_same_summary(
    run_of: RunOf, tmp_path: Path, overrides: list[str]
) -> None:
    run = run_of(*overrides)
    whole = _described(run.path / "log.parquet")
    summary = summarise(run.log, 13.0).drop(columns="failure_db").sort_values(GROUP, ignore_index=True)
    pd.testing.assert_frame_equal(whole[0], summary[whole[0].columns], check_dtype=False)
    path = tmp_path / "other.parquet"
    for log, rows in ((run.log, 7), (run.log.sample(frac=1.0, random_state=np.random.RandomState(3)), 70)):
        pq.write_table(pa.Table.from_pandas(log, preserve_index=False), path, row_group_size=rows)
        for found, expected in zip(_described(path), whole, strict=True):
            pd.testing.assert_frame_equal(found, expected, rtol=1e-10)


def test_a_group_that_stands_twice_far_apart_is_refused(run_of: RunOf, tmp_path: Path) -> None:
    run = run_of()
    again = run.log.assign(row=run.log["row"] + 100)
    path = tmp_path / "twice.parquet"
    twice = pd.concat([run.log, again], ignore_index=True)
    pq.write_table(pa.Table.from_pandas(twice, preserve_index=False), path, row_group_size=100)
    with pytest.raises(InputError, match="not in the order of a plan"):
        list(described_groups(path, 13.0))


def test_metrics_of_a_log_are_its_further_columns(run_of: RunOf, tmp_path: Path) -> None:
    run = run_of()
    path = tmp_path / "more.parquet"
    pq.write_table(pa.Table.from_pandas(run.log.assign(ms_ssim=0.5), preserve_index=False), path)
    assert logged_metrics(path) == ["ms_ssim"]
    assert logged_metrics(run.path / "log.parquet") == []


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_small_parts_share_a_row_group_of_the_log(
    workers: int, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row group each would cost a reader memory for every row of the plan."""
    monkeypatch.setattr(log_module, "_ROW_GROUP", 100)
    monkeypatch.setattr(parts, "_SLOTS_IN_PART", 8)
    run = netsim.run(scenario, overrides=["engine=array", "trials=10"], workers=workers)
    metadata = pq.ParquetFile(run.path / "log.parquet").metadata
    sizes = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    assert len(sizes) > 2
    assert all(100 <= size < 108 for size in sizes[:-1])
    assert run.log["row"].is_monotonic_increasing


def test_waiting_parts_of_one_row_take_little_memory() -> None:
    """A table of one row takes as much as one of many, so a log of many small parts would wait in gigabytes."""
    waiting, schema = log_module._Waiting(), log_module.log_schema([])
    before = pa.total_allocated_bytes()
    for number in range(4000):
        columns = {"row": [number], "scheme": ["jpeg"], "psnr_db": [30.0]}
        waiting.add(pa.table({field.name: pa.array(columns.get(field.name, [None]), field.type) for field in schema}))
    assert pa.total_allocated_bytes() - before < 5_000_000  # 17 million where each waits alone
    assert waiting.rows == 4000
    found = waiting.taken()
    assert found["row"].to_pylist() == list(range(4000))
    assert (waiting.rows, found["scheme"].num_chunks) == (0, 1)


def test_a_log_without_slots_is_refused(run_of: RunOf) -> None:
    log = run_of().log
    with pytest.raises(InputError, match="no slots"):
        summarise(log.assign(packet=0))

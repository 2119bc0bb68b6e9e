"""Which slots are typical and which are bad, in logs written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from netsim.analysis import ranked_slots as module
from netsim.analysis.ranked_slots import RankedSlot, ranked_slots

NAN = float("nan")


def _rows(row: int, qualities: list[list[float]], engine: str = "event") -> pd.DataFrame:
    """The log of one row of a plan. qualities: PSNR by trial and slot, NaN where there is no image."""
    slots = [(trial, slot, psnr) for trial, some in enumerate(qualities) for slot, psnr in enumerate(some)]
    frame = pd.DataFrame(slots, columns=["trial", "slot", "psnr_db"]).assign(row=row, engine=engine, packet=None)
    return frame.assign(status=np.where(frame["psnr_db"].isna(), "failed", "partial"))


def _written(path: Path, *rows: pd.DataFrame) -> Path:
    """A row group each."""
    kinds = {"trial": pa.int32(), "slot": pa.int32(), "psnr_db": pa.float64(), "row": pa.int32()}
    schema = pa.schema(kinds | {"engine": pa.string(), "packet": pa.int32(), "status": pa.string()})
    with pq.ParquetWriter(path, schema) as file:
        for some in rows:
            file.write_table(pa.Table.from_pandas(some, schema=schema, preserve_index=False))
    return path


def test_slots_are_ranked_by_their_mean_over_schemes_and_failures_count(tmp_path: Path) -> None:
    """Means with failures as 13 dB: 30, 25, 21.5 in trial 0, 13, 28, 23 in trial 1; of six the third is the median.

    Of equal slots the earliest is taken, once.
    """
    log = _written(
        tmp_path / "log.parquet",
        _rows(0, [[30, 20, 13], [NAN, 28, 33]]),
        _rows(1, [[30, 30, 30], [NAN, 28, NAN]]),
        _rows(2, [[1, 1, 1], [1, 1, 1]]),  # of no group
        _rows(3, [[NAN, NAN, NAN]], "exact"),  # weights masks: its rows are no slots
        _rows(4, [[20, 40, 40], [40, 40, 40]]),
    )
    assert ranked_slots(log, [[0, 1, 3], [4], [3]], 3, 13.0) == [
        [
            RankedSlot(1, 2, "median", 6),
            RankedSlot(0, 2, "lower quartile", 6),
            RankedSlot(1, 0, "5th percentile, worst", 6),
        ],
        [RankedSlot(0, 1, "median, lower quartile", 6), RankedSlot(0, 0, "5th percentile, worst", 6)],
        [],
    ]


def test_only_slots_count_that_all_schemes_have(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """One scheme stopped earlier; rows of packets are no slots; of a long log the first slots count."""
    packets = _rows(0, [[5.0, 5.0]]).assign(packet=1)
    log = _written(tmp_path / "log.parquet", _rows(0, [[30, 20], [1, 2]]), packets, _rows(1, [[30, 20]]))
    assert ranked_slots(log, [[0, 1]], 2, 13.0) == [
        [RankedSlot(0, 1, "median, lower quartile, 5th percentile, worst", 2)]
    ]
    monkeypatch.setattr(module, "_MOST_SLOTS", 3)
    assert ranked_slots(log, [[0]], 2, 13.0)[0][0].slots == 2


def test_the_5th_percentile_of_a_hundred_slots_is_the_fifth(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(100)
    log = _written(tmp_path / "log.parquet", _rows(7, (20.0 + order.reshape(25, 4)).tolist()))
    (found,) = ranked_slots(log, [[7]], 4, 13.0)
    assert [order[4 * one.trial + one.slot] for one in found] == [49, 24, 4, 0]

"""The summary made group by group from disk is the summary of the whole log."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import netsim
from netsim.analysis.log_groups import logged_metrics, slot_groups
from netsim.analysis.summary import summarise
from netsim.errors import InputError


@pytest.mark.parametrize("overrides", [[], ["engine=array", "log=packets"]])
def test_group_by_group_gives_the_same_summary(scenario: Path, overrides: list[str]) -> None:
    run = netsim.run(scenario, overrides=overrides)
    whole = summarise(pd.read_parquet(run.path / "log.parquet"), 13.0)
    pd.testing.assert_frame_equal(pd.read_csv(run.path / "summary.csv"), pd.read_csv(_csv(whole, run.path)))


def _csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "whole.csv"
    frame.to_csv(path, index=False)
    return path


def test_groups_that_share_a_row_group_are_told_apart(scenario: Path) -> None:
    run = netsim.run(scenario)
    path = run.path / "shuffled.parquet"
    shuffled = run.log.sample(frac=1.0, random_state=np.random.RandomState(3)).assign(ms_ssim=0.5)
    pq.write_table(pa.Table.from_pandas(shuffled, preserve_index=False), path, row_group_size=70)
    parts = dict(slot_groups(path))
    assert sum(map(len, parts.values())) == len(run.slots)
    for (scheme, _, point, *_), part in parts.items():
        assert set(part["scheme"]) == {scheme}
        assert set(part["operating_point"]) == {point}
    assert logged_metrics(path) == ["ms_ssim"]
    assert logged_metrics(run.path / "log.parquet") == []


def test_a_log_without_slots_is_refused(scenario: Path) -> None:
    log = netsim.run(scenario).log
    with pytest.raises(InputError, match="no slots"):
        summarise(log.assign(packet=0))

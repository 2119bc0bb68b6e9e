"""Rows of a plan are made when they are asked for: as the product of channels, links and choices."""

from __future__ import annotations

import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim.scenario.plan import Plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """3 channels × 2 links × 4 choices."""
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    return netsim.plan(
        {
            "images": str(tmp_path),
            "codecs": [{"jpeg": {"quality": [20, 40]}}, {"webp": {"quality": [20, 40], "engine": "exact"}}],
            "channels": ["EP4", "ge-15", {"loss_rate": 0.1}],
            "link": ["ideal", "wlan"],
            "engine": "array",
        }
    )


def test_rows_are_the_product_of_channels_links_and_choices(plan: Plan) -> None:
    choices = [(codec, point) for codec in ("jpeg", "webp") for point in ("quality=20", "quality=40")]
    names = [channel.name for channel in plan.rows.channels]
    expected = [(c, link, *choice) for c, link, choice in product(names, ("ideal", "wlan"), choices)]
    found = [(row.channel_name, row.link_name, row.schemes[0].codec.name, row.operating_point) for row in plan.rows]
    assert found == expected
    assert [row.index for row in plan.rows] == list(range(24)) == list(range(len(plan.rows)))
    assert [row.engine for row in plan.rows[:4]] == ["array", "array", "exact", "exact"]


def test_rows_are_a_sequence(plan: Plan) -> None:
    rows = list(plan.rows)
    assert plan.rows[-1] == rows[-1] == plan.rows[23]
    assert plan.rows[3:20:5] == tuple(rows[3:20:5])
    with pytest.raises(IndexError):
        plan.rows[24]


def test_rows_that_differ_in_the_channel_alone(plan: Plan) -> None:
    for row in plan.rows:
        same = [one for one in plan.rows if (one.link, one.schemes) == (row.link, row.schemes)]
        assert plan.rows.over_channels(row.index) == same


def test_other_engines_change_nothing_else(plan: Plan) -> None:
    changed = plan.with_engines({row.index: "event" if row.index % 2 else "array" for row in plan.rows})
    assert [row.engine for row in changed.rows[:3]] == ["array", "event", "array"]
    assert [(row.label, row.channel_name) for row in changed.rows] == [
        (row.label, row.channel_name) for row in plan.rows
    ]
    assert changed.run_id == plan.run_id


@pytest.mark.slow
def test_a_plan_of_a_million_rows_is_no_larger_than_its_axes(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    losses = [{"loss_rate": (i + 1) / 4000, "name": f"loss {i}"} for i in range(1000)]
    codecs = [{"jpeg": {"quality": list(range(1, 51)), "packets": i + 1}} for i in range(20)]
    plan = netsim.plan({"images": str(tmp_path), "codecs": codecs, "channels": losses, "engine": "event", "trials": 1})
    assert len(plan.rows) == 1_000_000
    assert len(pickle.dumps(plan.rows)) < 4_000_000
    assert (plan.rows[999_999].channel_name, plan.rows[999_999].operating_point) == ("loss 999", "quality=50")

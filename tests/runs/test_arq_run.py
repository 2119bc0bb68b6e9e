"""Whole runs with ARQ: the engine chosen, what the log counts, and what it costs."""

import re

import pandas as pd
import pytest

from tests.runs.conftest import RunOf

ARQ = ["engine=auto", "log=packets", "trials=8", "protection=[none, arq: {retries: 1}, arq: {retries: 3}]"]
ARQ += [
    "codecs=[{jpeg2000: {bpp: 1.0}}, {jpeg2000: {bpp: 1.0, receiver: resilient, packets: 6}}, {jpeg: {quality: 30}}]"
]
FATES = ["packets_delivered", "packets_lost", "packets_late", "packets_dropped"]


@pytest.fixture
def log(run_of: RunOf) -> pd.DataFrame:
    """Of one run, which these tests share."""
    run = run_of(*ARQ)
    assert any(re.fullmatch(r"event for jpeg.*: under arq.*", reason) for reason in run.manifest["engines"])
    return run.log


def test_only_schemes_with_arq_are_simulated_by_events(log: pd.DataFrame) -> None:
    assert set(log["protection"]) == {"none", "arq 1", "arq 3"}
    assert set(log[log["protection"] != "none"]["engine"]) == {"event"}
    assert "event" not in set(log[log["protection"] == "none"]["engine"])
    assert {"jpeg2000 prefix + ARQ 1", "jpeg + ARQ 3"} <= set(log["scheme"])


def test_all_transmissions_count_and_more_packets_come_through(log: pd.DataFrame) -> None:
    assert (log["packets_sent"] == log[FATES].sum(axis=1)).all()
    slots = log[log["packet"].isna() & (log["engine"] != "exact")]
    for _, sent in slots.groupby(["codec", "settings", "image"]):  # one stream, with retries or without
        once = sent["packets_sent"] == sent["packets_sent"].min()
        assert sent[once]["bytes"].nunique() == 1
        assert (sent[~once]["bytes"] > sent[once]["bytes"].iloc[0]).all()
        assert (sent[~once]["protection"] != "none").all()
    slots = slots[slots["channel"] == "switching"]  # sampled under all three protections
    means = slots.groupby("protection")[["packets_sent", "packets_usable"]].mean()
    assert (means.loc["none"] < means.loc["arq 1"]).all()
    assert (means.loc["arq 1"] < means.loc["arq 3"]).all()
    assert (slots["packets_recovered"] == 0).all()


def test_rows_at_arrivals_lead_up_to_the_slots_own(log: pd.DataFrame) -> None:
    arq = log[log["protection"] == "arq 3"]
    keys = ["row", "trial", "slot"]
    ends = arq[arq["packet"].isna()].set_index(keys)
    steps = arq[arq["packet"].notna()]
    assert (steps.groupby(keys)["packets_sent"].apply(lambda sent: sent.is_monotonic_increasing)).all()
    counts = steps.groupby(keys).size()
    assert (counts == ends.loc[counts.index, "packets_delivered"]).all()
    last = steps.groupby(keys)["packets_usable"].last()
    assert (last == ends.loc[last.index, "packets_usable"]).all()

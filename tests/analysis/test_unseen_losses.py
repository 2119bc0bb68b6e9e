"""What a run's log says of losses that a sample did not meet, and of channels that lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import beta
from skimage import data

import netsim
from netsim.analysis.paired import compare_schemes
from netsim.analysis.summary import summarise
from netsim.channels.chains import bernoulli
from netsim.channels.switching import SwitchingChannel
from netsim.channels.trace import TraceChannel
from tests.figures.synthetic import sampled_log

CODECS = [{"jpeg2000": {"bpp": 1.0, "packets": 4, "receiver": "resilient"}}, {"jpeg": {"quality": 30, "packets": 4}}]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> netsim.Run:
    """Ten slots without a loss over a channel that loses none, and over one that could."""
    Image.fromarray(data.astronaut()[60:124, 180:276]).save(tmp_path / "a.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    channels = [{"loss_rate": 0, "name": "none"}, {"loss_rate": 1e-6, "name": "rare"}]
    keys = {"images": str(tmp_path / "a.png"), "codecs": CODECS, "channels": channels, "engine": "array", "trials": 10}
    return netsim.run(**keys, out=tmp_path / "run")


def test_a_channel_that_loses_nothing_leaves_no_doubt(run: netsim.Run) -> None:
    log = run.log[run.log["channel"] == "none"]
    assert not log["can_lose"].any()
    assert not log["can_fail"].any()
    for row in run.summary[run.summary["channel"] == "none"].to_dict("records"):
        assert row["psnr_low"] == row["psnr_high"] == row["psnr_db"]
        assert row["failure_high"] == 0


def test_where_losses_are_possible_none_in_ten_slots_proves_little(run: netsim.Run) -> None:
    """Up to 1 - .025^(1/10) of the slots may lose packets, each at most what a failure costs."""
    assert run.log[run.log["channel"] == "rare"]["can_lose"].all()
    rare = run.summary[run.summary["channel"] == "rare"].set_index("codec")
    share = 1 - 0.025**0.1
    for codec, failure_high in (("jpeg2000", 0.0), ("jpeg", share)):
        row = rare.loc[codec]
        assert row["psnr_low"] == pytest.approx(row["psnr_db"] - share * (row["psnr_db"] - 13))
        assert row["psnr_high"] == row["psnr_db"]
        assert row["failure_high"] == pytest.approx(failure_high)
    apart = run.compare("jpeg2000", "jpeg").set_index("channel")
    assert apart.loc["none", "difference_low"] == apart.loc["none", "difference_high"]
    assert (
        apart.loc["rare", "difference_low"] < apart.loc["rare", "difference_db"] < apart.loc["rare", "difference_high"]
    )


def test_a_few_losses_have_a_part_of_their_own_where_nothing_can_fail() -> None:
    """By hand: 1 of 20 trials of one slot loses a packet and shows 20 dB, the others 30 dB.

    The mean is 29.5. All spread is that of the one slot, so the distances are 10 dB times those of Clopper–Pearson.
    """
    log = sampled_log(["vvc"], ["EP4"], (0.3,), trials=20, slots=1).assign(status="full", can_fail=False, can_lose=True)
    struck = log["trial"] == 7
    log = log.assign(psnr_db=np.where(struck, 20.0, 30.0), packets_lost=np.where(struck, 1, 0), image="a")
    ends = beta.ppf([0.025, 0.975], [1, 2], [20, 19])
    row = summarise(log).iloc[0]
    assert (row["psnr_low"], row["psnr_high"]) == pytest.approx(
        (29.5 - 10 * (ends[1] - 0.05), 29.5 + 10 * (0.05 - ends[0]))
    )
    assert (row["failure_low"], row["failure_high"]) == (0.0, 0.0)
    flat = log.assign(scheme="hevc", codec="hevc", psnr_db=np.where(struck, 25.0, 30.0))
    found = compare_schemes(pd.concat([log, flat]), "vvc", "hevc", 13.0).iloc[0]
    wanted = (-0.25 - 5 * (ends[1] - 0.05), -0.25 + 5 * (0.05 - ends[0]))
    assert (found["difference_low"], found["difference_high"]) == pytest.approx(wanted)


def test_channels_say_whether_they_may_lose_a_packet() -> None:
    whole, holed = np.ones(5, dtype=bool), np.array([True, False, True])
    clear, lossy = bernoulli(0.0), bernoulli(0.1)
    assert [clear.can_lose, lossy.can_lose] == [False, True]
    assert [TraceChannel("t", some).can_lose for some in ([whole, whole], [whole, holed])] == [False, True]
    assert [SwitchingChannel(some).can_lose for some in ([clear, clear], [clear, lossy])] == [False, True]

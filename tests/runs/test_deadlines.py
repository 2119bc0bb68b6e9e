"""A run says which schemes can't meet a deadline, and is silent on those that can."""

from __future__ import annotations

from pathlib import Path

import pytest

import netsim


@pytest.mark.parametrize("engine", ["array", "exact"])
def test_packets_that_are_late_without_loss_are_noted_and_are_what_the_log_has(in_tmp_path: Path, engine: str) -> None:
    keys = {
        "images": {"samples": ["coffee"]},
        "codecs": [{"jpeg": {"quality": [5, 60], "packets": 10}}],
        "channels": [{"loss_rate": 0.0}],
        "engine": engine,
    }
    link = {"geo": {"rate_bps": 200_000, "interval_s": 0, "deadline_s": 0.8}}
    run = netsim.run(**keys, link=link, trials=1)
    summary = run.summary.set_index("operating_point")
    assert summary["late_rate"].to_dict() == {"quality=5": 0.0, "quality=60": pytest.approx(0.7, abs=0.25)}
    [note] = run.manifest["notes"] if engine == "array" else run.manifest["notes"][-1:]
    share = round(100 * summary.loc["quality=60", "late_rate"])
    assert note.startswith(
        f"jpeg at quality=60 over geo: {share} % of an image's packets come after deadline_s 0.8 also"
    )
    sent = summary.loc["quality=60"]
    last_s = 0.252861 + 8 * (sent["bytes_per_slot"] + 28 * sent["packets_per_slot"]) / 200_000
    assert note.endswith(f"the last one takes {last_s:.3g} s")
    slow = netsim.run(**keys, link={"geo": {**link["geo"], "deadline_s": 9}}, trials=1)
    assert not any("deadline" in text for text in slow.manifest["notes"])


def test_one_late_packet_of_many_is_not_0_per_cent(in_tmp_path: Path) -> None:
    codec = {"jpeg": {"quality": 60, "packets": 255}}
    keys = {"images": {"samples": ["coffee"]}, "codecs": [codec], "channels": [{"loss_rate": 0.0}], "engine": "array"}
    link = {"rate_bps": 200_000, "interval_s": 0}
    last_s = netsim.run(**keys, link={"geo": link}, trials=1).slots["time_s"].iloc[0]
    run = netsim.run(**keys, link={"geo": {**link, "deadline_s": round(last_s - 1e-4, 6)}}, trials=1)
    assert run.slots["packets_late"].tolist() == [1]
    assert "0.39 % of an image's packets come after" in run.manifest["notes"][0]  # 1 of 255


def test_many_late_schemes_are_one_sentence_with_the_worst(in_tmp_path: Path) -> None:
    qualities = list(range(30, 90, 10))
    keys = {
        "images": {"samples": ["coffee"]},
        "codecs": [{"jpeg": {"quality": qualities, "packets": 10}}],
        "channels": [{"loss_rate": 0.0}],
    }
    run = netsim.run(**keys, link={"geo": {"rate_bps": 200_000, "interval_s": 0, "deadline_s": 0.5}}, engine="array")
    late = run.summary["late_rate"]
    assert (late > 0).all()
    [note] = run.manifest["notes"]
    assert note.startswith(f"{len(late)} operating points of schemes send packets that come after the deadline")
    assert note.split(". The worst: ")[1].startswith("jpeg at quality=80 over geo: ")
    assert note.count(" over geo: ") == 3

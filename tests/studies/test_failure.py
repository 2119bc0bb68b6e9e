"""Failure ratios from mask probabilities: equal to the exact engine's, with nothing decoded."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pandas as pd
import pytest

import netsim
from netsim.codec import create_codec
from netsim.runs.progress import Reporter
from netsim.studies.reproduce import reproduce
from tests.studies.conftest import MakeRecipe

SCHEMES = """codecs=[{jpeg2000: {bpp: 1.2, packets: 5}}, {jpeg2000: {bpp: 1.2, packets: 5, receiver: resilient}},
{jpeg: {quality: 30, packets: 10, protection: [none, {reed-solomon: 30%}]}}]"""
CHANNELS = "channels=[EP4, EP6, {loss_rate: 0.3, name: even}]"


def _overrides(engine: str = "exact") -> list[str]:
    return [SCHEMES, CHANNELS, f"engine={engine}", "link=null"]


def test_it_equals_the_exact_engine_and_decodes_nothing(
    small: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(study="failure", quick=_overrides())
    run = netsim.run(str(recipe.folder / "scenario.yaml"), overrides=_overrides(), out=tmp_path / "run")
    keys = ["channel", "scheme"]
    expected = run.summary.set_index(keys)["failure_ratio"]
    for name in ("jpeg2000", "jpeg"):
        monkeypatch.setattr(type(create_codec(name, {})), "decode", lambda *arguments: pytest.fail("decoded"))
    found = reproduce(recipe, False, tmp_path / "out", 1, Reporter())
    ours = found.comparison.rename(columns={"condition": "channel"}).set_index(keys)["ours"]
    assert len(ours) == 4 * 3
    assert ours.to_dict() == pytest.approx(expected.to_dict(), abs=1e-12)
    assert [path.suffix for path in found.files] == [".csv", ".png", ".svg", ".csv"]
    drawn = pd.read_csv(found.files[-1])
    assert drawn["failure_ratio"].tolist() == pytest.approx(ours.tolist())


def test_what_the_link_makes_late_counts_as_lost_and_time_moves_the_chain(small: MakeRecipe, tmp_path: Path) -> None:
    """Over a queue and a deadline, and over a chain that runs by the clock: as the exact engine for a first slot."""
    overrides = [
        "images={folder: images, limit: 1}",
        "codecs=[{jpeg: {quality: 30, packets: 10, protection: [none, {reed-solomon: 50%}]}}]",
        "channels=[EP6, {loss_rate: 0.3, mean_burst: 4, step_s: 0.01, start: G, name: clock}]",
        "link={mobile: {rate_bps: 1.0e+5, interval_s: 0.03, deadline_s: 0.26, jitter_s: 0}}",
        "engine=exact",
    ]
    recipe = small(study="failure", quick=overrides)
    run = netsim.run(str(recipe.folder / "scenario.yaml"), overrides=overrides, out=tmp_path / "run")
    keys = ["channel", "scheme"]
    expected = run.summary.set_index(keys)
    assert (expected["late_rate"] > 0).all()
    found = reproduce(recipe, False, tmp_path / "out", 1, Reporter())
    ours = found.comparison.rename(columns={"condition": "channel"}).set_index(keys)["ours"]
    assert ours.to_dict() == pytest.approx(expected["failure_ratio"].to_dict(), abs=1e-12)
    assert ours["EP6", "jpeg"] == pytest.approx(1.0)  # a packet of ten is late


def test_an_erasure_code_fails_as_the_binomial_says(small: MakeRecipe, tmp_path: Path) -> None:
    found = reproduce(small(study="failure", quick=_overrides()), False, tmp_path / "out", 1, Reporter())
    even = found.comparison[found.comparison["condition"] == "even"].set_index("scheme")["ours"]
    more_than_three = sum(comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in range(4, 11))
    assert even["jpeg + 30% FEC"] == pytest.approx(more_than_three)
    assert even["jpeg"] == pytest.approx(1 - 0.7**10)

"""Failure probabilities of whole runs on the exact engine against closed forms (ResiComp, Fig. 12)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim.channels.presets import preset

SLICES = 10


def _all_lost(channel: str, packets: int) -> float:
    """P(the first ``packets`` are lost): the chain steps, then the packet is drawn."""
    chain = preset(channel)
    at = np.asarray(chain.start_distribution)
    for _ in range(packets):
        at = at @ np.asarray(chain.transition) * np.asarray(chain.loss)
    return float(at.sum())


@pytest.mark.parametrize(("mode", "packets"), [pytest.param("ISC", SLICES, marks=pytest.mark.slow), ("LC", 1)])
def test_failure_is_losing_all_or_the_first(tiny: Path, tmp_path: Path, mode: str, packets: int) -> None:
    """ISC fails if all ten slices are lost, LC if the first is."""
    Image.effect_noise((64, 64), 60).convert("RGB").save(tmp_path / "noise.png")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        f"name: failure\nimages: {tmp_path}\nchannels: [EP1, EP4, ge-15]\nengine: exact\n"
        f"codecs:\n  - resicomp: {{mode: {mode}, weights: {tiny}, quality: 2}}\n"
    )
    summary = netsim.run(scenario, out=tmp_path / "run").summary.set_index("channel")
    for channel in ("EP1", "EP4", "ge-15"):
        ours = summary.loc[channel, "failure_ratio"]
        assert ours == pytest.approx(_all_lost(channel, packets), rel=1e-9, abs=1e-15)

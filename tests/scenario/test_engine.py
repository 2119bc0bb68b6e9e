"""Which engine can do what: what is refused is refused before anything runs, and what is not refused runs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim.api import plan
from netsim.errors import InputError
from netsim.scenario.schema import ENGINES

SAMPLED = {"auto", "event", "array"}
CONDITIONS = {
    "plain": ({}, set(ENGINES)),
    "deadline": ({"link": {"geo": {"deadline_s": 15}}}, set(ENGINES)),
    "jitter": ({"link": "wlan"}, set(ENGINES)),
    "late at random": ({"link": {"wlan": {"deadline_s": 0.001}}}, SAMPLED),
    "switch": ({"channels": [{"switch": ["EP3", "EP5"]}]}, SAMPLED),
    "trace": ({"channels": [{"trace": "losses.txt"}]}, SAMPLED),
    "steps in time": ({"channels": [{"preset": "EP4", "step_s": 4}], "link": "geo"}, set(ENGINES)),
    "retransmission": ({"protection": {"arq": {"retries": 1}}}, {"auto", "event"}),
    "control": (
        {"protection": ["none", {"reed-solomon": "30%"}], "control": "previous-interval"},
        {"auto", "event"},
    ),
    "precision": ({"precision": "20 dB"}, set(ENGINES) - {"stratified"}),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_an_engine_cannot_do_is_refused_at_once_and_the_rest_runs(
    condition: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(5).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "noise.png")
    (tmp_path / "losses.txt").write_text("# 1=lost\n" + "0\n" * 40 + "1\n" * 5)
    asked, able = CONDITIONS[condition]
    scenario = {
        "images": "images",
        "codecs": [{"jpeg2000": {"bpp": 2, "packets": 4, "receiver": "prefix"}}],
        "channels": [{"loss_rate": 0.2}],
        "engine": engine,
        "trials": 3,
    } | asked
    if engine in able:
        slots = netsim.run(scenario, out=tmp_path / "out").slots
        assert slots["engine"].isin(able - {"auto"}).all() if engine == "auto" else (slots["engine"] == engine).all()
    else:
        with pytest.raises(InputError, match=f"engine {engine} has no answer") as refused:
            plan(scenario)
        assert "engine" in refused.value.where

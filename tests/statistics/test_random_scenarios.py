"""Random valid scenarios, whole runs: three engines agree, and no two schemes share a row of the summary."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

import netsim
from netsim.analysis.summary import slot_quality
from netsim.api import plan
from tests.statistics.samples import STANDARD_ERRORS

TRIALS = 1_000
KEYS = ["scheme", "operating_point", "channel", "link"]


def _channel(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(["independent", "burst", "gilbert", "matrix"])
    if kind == "independent":
        return {"loss_rate": round(rng.uniform(0.01, 0.4), 3)}
    if kind == "burst":
        return {"loss_rate": round(rng.uniform(0.02, 0.4), 3), "mean_burst": round(rng.uniform(1.5, 8), 2)}
    if kind == "gilbert":
        p, r, h, k = (round(rng.uniform(low, high), 3) for low, high in ((0.05, 0.5), (0.2, 0.9), (0, 0.8), (0.9, 1)))
        return {"p": p, "r": r, "h": h, "k": k, "name": "gilbert"}
    stay, leave = round(rng.uniform(0.7, 0.95), 3), round(rng.uniform(0.2, 0.8), 3)
    rows = [[stay, round(1 - stay, 3)], [leave, round(1 - leave, 3)]]
    return {"states": ["G", "B"], "rows": rows, "loss": [0.0, round(rng.uniform(0.5, 1), 3)], "name": "matrix"}


def _neighbours(rng: random.Random) -> list[dict[str, Any]]:
    """Schemes that differ from the first in one setting each."""
    first: dict[str, Any] = {"quality": rng.choice([20, 30]), "packets": rng.randint(3, 6), "protection": "none"}
    changes = [
        {"quality": first["quality"] + rng.choice([1, 20])},
        {"packets": first["packets"] + rng.choice([1, 4])},
        {"protection": {"reed-solomon": rng.choice(["30%", "30.5%", "50%"])}},
        {"protection": {"repeat": {"packets": [1], "times": rng.choice([2, 3])}}},
    ]
    prefix = {"bpp": 0.8, "receiver": rng.choice(["prefix", "resilient"]), "packets": rng.randint(2, 5)}
    entries = [{"jpeg": {**first, **change}} for change in ({}, *rng.sample(changes, 3))]
    return [*entries, {"jpeg2000": prefix}, {"jpeg2000": {**prefix, "packets": prefix["packets"] + 1}}]


def _scenario(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    link = rng.choice(
        [None, {"wlan": {"period_s": 0.05, "jitter_s": 0}}, {"ideal": {"interval_s": 0.1, "period_s": 1}}]
    )
    return {
        "images": "images",
        "codecs": _neighbours(rng),
        "channels": [_channel(rng)],
        "link": link,
        "slots": rng.choice([2, 4]),
        "seed": seed,
    }


def _distance(exact: pd.DataFrame, sampled: pd.DataFrame, column: str) -> float:
    """How far a sampled mean lies off the exact one, as a share of what chance allows.

    Bernstein's inequality for trials, the variance of a trial's mean taken as if its slots were one.
    """
    weights, values = exact["weight"].to_numpy(), exact[column].to_numpy()
    mean = float(np.average(values, weights=weights))
    error = np.sqrt(np.average((values - mean) ** 2, weights=weights) / TRIALS)
    allowed = STANDARD_ERRORS * error + STANDARD_ERRORS**2 / 3 * np.ptp(values) / TRIALS
    return abs(float(sampled[column].mean()) - mean) / max(allowed, 1e-9)


@pytest.mark.parametrize("seed", [0, 4, 5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_engines_agree_and_every_scheme_has_a_row(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    for name, pixels in (("a", data.astronaut()[60:124, 180:260]), ("b", data.coffee()[100:180, 200:264])):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    scenario = _scenario(seed)
    logs = {}
    for number, engine in enumerate(("exact", "array", "event")):
        mine = {**scenario, "engine": engine, "trials": TRIALS, "seed": 100 * seed + number}
        run = netsim.run(mine, out=tmp_path / engine)
        rows = len(plan(mine).rows)
        assert rows == len(run.summary) == len(run.summary[KEYS].drop_duplicates())
        assert run.log.groupby("row")["scheme"].nunique().eq(1).all()
        assert run.log.groupby(KEYS)["row"].nunique().eq(1).all()
        slots = run.slots
        logs[engine] = slots.assign(quality=slot_quality(slots, 13.0), failed=(slots["status"] == "failed") * 1.0)
    for key, exact in logs["exact"].groupby(KEYS):
        for engine in ("array", "event"):
            sampled = logs[engine].set_index(KEYS).loc[[key]]
            for column in ("quality", "failed", "packets_lost", "packets_usable", "bpp"):
                assert _distance(exact, sampled, column) < 1, f"{column} of {key} by {engine}"

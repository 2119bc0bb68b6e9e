"""``engine: auto`` where the images of a scheme have different numbers of packets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from tests.plugin_files import GREY_CODEC, install

ALL_PROTECTED = GREY_CODEC.replace("Packet(row.tobytes())", "Packet(row.tobytes(), protected=True)")


def _run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[int, ...], codec: str, **keys: object
) -> netsim.Run:
    """A run over images of so many rows, each sent as one packet, in this order."""
    monkeypatch.chdir(folder)
    install(
        folder, monkeypatch, {"greycodec.py": f"{codec}\nLEVEL = 128\n"}, {"netsim.codecs": {"grey": "greycodec:Grey"}}
    )
    Path("images").mkdir()
    for number, height in enumerate(rows):
        pixels = np.random.default_rng(number).integers(0, 256, (height, 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{number}.png")
    scenario = {"images": "images", "codecs": [{"grey": {"bits": 8}}], "channels": [{"loss_rate": 0.3}]}
    return netsim.run(scenario, **{"trials": 6, **keys})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("rows", "keys", "engine"),
    [
        ((2, 3), {"trials": 100}, "exact"),  # 8 masks, the rarest of probability .027
        ((2, 10), {}, "array"),  # 1,024 masks are more than 6 trials meet
        ((2, 40), {}, "stratified"),
        ((2, 40), {"precision": 30.0}, "array"),
        ((2, 1100), {"trials": 100}, "array"),
        ((2, 3100), {"trials": 100}, "array"),
    ],
)
def test_the_image_with_the_most_packets_decides_wherever_it_stands(
    rows: tuple[int, int],
    order: tuple[int, int],
    keys: dict[str, object],
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = _run(tmp_path, monkeypatch, (rows[order[0]], rows[order[1]]), GREY_CODEC, **keys)
    assert set(run.log["engine"]) == {engine}
    assert sorted(set(run.log["packets_sent"])) == [1 + height for height in rows]


def test_where_nothing_can_be_lost_the_one_outcome_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path, monkeypatch, (2, 20), ALL_PROTECTED)
    assert run.log[["engine", "weight", "packets_lost"]].values.tolist() == [["exact", 1.0, 0]] * 2

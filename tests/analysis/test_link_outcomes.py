"""The winner map and ``explain`` over links that make packets late or drop them: as in the run's own exact results."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import netsim
from netsim.analysis.replay import replayed_plan
from netsim.analysis.winner import winner_numbers
from netsim.cli import app
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError

CODECS = [
    {"jpeg2000": {"bpp": 1.5, "receiver": "prefix", "packets": 5}},
    {"jpeg2000": {"bpp": 1.5, "receiver": "resilient", "packets": 5}},
    {"jpeg": {"quality": 30, "packets": 6, "protection": ["none", {"reed-solomon": "30%"}]}},
    {"jpeg": {"quality": 5, "packets": 1}},
]
LINKS = {
    # a packet each 10 s: the third of a slot comes after 20 s, and jpeg's six never come in time
    "late": {"geo": {"rate_bps": 2400, "deadline_s": 20}},
    # a slot each 25 s: what is late in one slot makes all of the next later still
    "ever later": {"geo": {"rate_bps": 2400, "deadline_s": 45, "period_s": 25}},
    "dropped": {"geo": {"rate_bps": 2400, "queue_packets": 2, "period_s": 25}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    (tmp_path / "images").mkdir()
    for name, image in (("a", data.astronaut()[60:124, 180:260]), ("b", data.coffee()[100:164, 200:264])):
        Image.fromarray(image).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def run(link: object, **keys: object) -> netsim.Run:
    asked = {"images": "images", "codecs": CODECS, "channels": ["EP4"], "link": link, "engine": "exact", "slots": 4}
    return netsim.run(asked | keys, out="run")


@pytest.mark.parametrize("link", LINKS)
def test_the_map_has_the_runs_own_quality_over_the_runs_channel(folder: Path, link: str) -> None:
    found = run(LINKS[link])
    with Store(folder / "store.sqlite") as store:
        numbers = winner_numbers(replayed_plan(found), CodecCache(store))
    marks = numbers[numbers["channel"] == "EP4"].set_index("scheme")["psnr_db"]
    summary = found.summary.set_index("scheme")["psnr_db"]
    assert (found.summary[["late_rate", "dropped_rate"]].sum(axis=1) > 0).any()
    assert len(summary) == 5
    for scheme, db in summary.items():
        assert marks[scheme] == pytest.approx(db, abs=1e-9), scheme
    assert numbers.loc[numbers["channel"] == "EP4"].set_index("scheme")["wins"].idxmax() == summary.idxmax()


def test_a_scheme_that_always_comes_too_late_wins_nowhere(folder: Path) -> None:
    found = run(LINKS["late"])
    assert found.summary.set_index("scheme").loc["jpeg packets=6", "failure_ratio"] == pytest.approx(1.0)
    with Store(folder / "store.sqlite") as store:
        numbers = winner_numbers(replayed_plan(found), CodecCache(store))
    mine = numbers[numbers["scheme"] == "jpeg packets=6"]
    np.testing.assert_allclose(mine["psnr_db"], 13.0, rtol=1e-12)
    assert not mine["wins"].any()


def test_random_lateness_leaves_schemes_out_by_name(folder: Path) -> None:
    found = run({"wlan": {"deadline_s": 0.001}}, engine="array", trials=2)
    said: list[str] = []
    with Store(folder / "store.sqlite") as store, pytest.raises(InputError, match="nothing to win against"):
        winner_numbers(replayed_plan(found), CodecCache(store), say=said.append)
    assert len(said) == 5
    assert all("is left out" in line and "jitter on link wlan" in line for line in said)


def test_explain_prints_no_nan_for_packets_that_are_always_late(folder: Path) -> None:
    run(LINKS["late"])
    said = CliRunner().invoke(app, ["explain", "run", "--image", "a", "--codec", "jpeg2000 resilient"])
    assert said.exit_code == 0, said.output
    assert "nan" not in said.output
    assert "–: always lost, late or dropped over that channel and link, or never" in said.output

"""The map over loss rate and round trip: samples against closed forms, and what a long round trip leaves of ARQ."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import netsim
from netsim.analysis import winner_rtt
from netsim.analysis.replay import replayed_plan, schemes_of
from netsim.analysis.winner_rtt import PointSampler, round_trip_grid, round_trip_numbers, with_round_trip
from netsim.channels.chains import bernoulli
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.links.profile import link_from_spec


@pytest.fixture(scope="module")
def arq_run(tmp_path_factory: pytest.TempPathFactory) -> netsim.Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    Image.fromarray(data.coffee()[100:164, 200:264]).save(folder / "images" / "b.png")
    scenario = {
        "name": "tiny",
        "images": str(folder / "images"),
        "codecs": [{"jpeg": {"quality": [20, 40]}}],
        "protection": ["none", {"arq": {"retries": 2}}],
        "channels": ["uniform-10"],
        "link": {"geo": {"rate_bps": 1e6, "interval_s": 0, "period_s": 10, "deadline_s": 5}},
        "trials": 2,
        "slots": 20,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
        return netsim.run(scenario, out=folder / "run")


@pytest.fixture
def store(arq_run: netsim.Run):
    with Store(arq_run.path.parent / "store.sqlite") as store:
        yield store


def samplers(run: netsim.Run, store: Store) -> dict[str, PointSampler]:
    plan = replayed_plan(run)
    return {label: PointSampler(plan, CodecCache(store), some[0], [0]) for label, some in schemes_of(plan).items()}


def test_samples_follow_the_closed_form_and_count_what_is_sent_again(arq_run: netsim.Run, store: Store) -> None:
    loss_rate, images = 0.1, 1000
    link = with_round_trip(replayed_plan(arq_run).rows[0].link, 0.2)
    for label, one in samplers(arq_run, store).items():
        retries = 2 if "ARQ" in label else 0
        packets = len(one.bursts[0].sizes_bytes)
        sample = one.sample(bernoulli(loss_rate), link, images // 20, 20)
        whole = sum(count for (_, mask), count in sample.met.items() if "0" not in mask) / images
        expected = (1 - loss_rate ** (retries + 1)) ** packets
        assert abs(whole - expected) < 4.9 * math.sqrt(expected * (1 - expected) / images)
        again = (1 - loss_rate ** (retries + 1)) / (1 - loss_rate)
        assert sample.bpp / one.protected[0].sent.bpp == pytest.approx(again, abs=0.02)
        [quality] = one.quality_db([sample], 13.0)
        top = one.quality_db([one.sample(bernoulli(0.0), link, 1, 1)], 13.0)[0]
        assert quality == pytest.approx(13 + (top - 13) * whole)


def test_where_no_retry_can_come_in_time_arq_is_none(arq_run: netsim.Run, store: Store) -> None:
    link = with_round_trip(replayed_plan(arq_run).rows[0].link, 5.0)
    plain, again = (one.sample(bernoulli(0.2), link, 5, 20) for one in samplers(arq_run, store).values())
    assert plain == again


def test_the_command_draws_the_map(arq_run: netsim.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from netsim.cli import app

    monkeypatch.setenv("NETSIM_STORE", str(arq_run.path.parent / "store.sqlite"))
    monkeypatch.setattr(winner_rtt, "_LOSS_RATES", (0.01, 0.3, 3))
    monkeypatch.setattr(winner_rtt, "_ROUND_TRIPS", (0.01, 1.0, 3))
    arguments = ["plot", "winner", str(arq_run.path), "--over", "rtt", "--near-bpp", "2", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {f"winner_map_rtt.{kind}" for kind in ("png", "svg", "csv")}


def test_numbers_have_one_winner_a_cell(arq_run: netsim.Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winner_rtt, "_LOSS_RATES", (0.05, 0.3, 2))
    monkeypatch.setattr(winner_rtt, "_ROUND_TRIPS", (0.01, 1.0, 2))
    found = round_trip_numbers(replayed_plan(arq_run), CodecCache(store), near_bpp=2.0)
    assert len(found) == 2 * 4
    assert (found.groupby(["loss_rate", "rtt_s"])["wins"].sum() == 1).all()
    cells = found.pivot(index=["rtt_s", "loss_rate"], columns="scheme", values="psnr_db")
    assert (cells["jpeg + ARQ 2"].xs(0.05) > cells["jpeg"].xs(0.05)).all()
    np.testing.assert_array_equal(cells["jpeg + ARQ 2"].xs(5.0), cells["jpeg"].xs(5.0))


def test_a_cell_is_mixed_by_the_logarithms_of_its_own_rates() -> None:
    """By hand: retransmissions raise the rates to .2 and .8; .4 is in the middle of their logarithms."""
    found = [(np.array([bpp]), np.array([psnr_db])) for bpp, psnr_db in ((0.2, 28.0), (0.8, 34.0))]
    row = winner_rtt._row((0.1, 1.0), 0, "a scheme", ["low", "high"], found, near_bpp=0.4)
    assert (row["operating_point"], row["bpp"], row["psnr_db"]) == ("low … high", 0.4, 31.0)


def test_refusals(arq_run: netsim.Run, store: Store, small_run: netsim.Run) -> None:
    with pytest.raises(InputError, match="no deadline"):
        round_trip_grid(link_from_spec("geo"))
    with pytest.raises(InputError, match="no scheme of the run retransmits"):
        round_trip_numbers(replayed_plan(small_run), CodecCache(store))
    with pytest.raises(InputError, match="a rate of 0 bpp"):
        round_trip_numbers(replayed_plan(arq_run), CodecCache(store), near_bpp=0)

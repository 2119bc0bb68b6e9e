"""Who wins where, on tables whose crossing can be worked out, and the map that shows it."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import netsim
from netsim.analysis.replay import replayed_plan
from netsim.analysis.winner import EPS, Grid, SchemeTables, burst_grid, points_around, winner_numbers, winners
from netsim.channels.chains import bernoulli
from netsim.channels.presets import preset
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.figures.files import save
from netsim.figures.winner import draw
from tests.analysis.tables import threshold


def contender(name: str, needed: int, psnr_db: float) -> SchemeTables:
    return SchemeTables(name, "qp=30", 0.35, (threshold(4, needed, psnr_db),), (1.0,))


def two() -> list[SchemeTables]:
    """Needs all four packets, 30 dB; or any single one, 28 dB."""
    return [contender("fragile", 4, 30.0), contender("sturdy", 1, 28.0)]


def test_the_winner_changes_where_the_expectations_cross() -> None:
    """Independent losses ε: 13 + 17 (1-ε)⁴ against 28 − 15 ε⁴."""
    crossing = brentq(lambda x: 13 + 17 * (1 - x) ** 4 - 28 + 15 * x**4, 0.0, 0.1)
    grid = Grid("loss_rate", "other", np.array([0.02, 0.0307, 0.0309, 0.1]), np.array([1.0]), lambda x, y: bernoulli(x))
    found = winners(two(), grid, {}, failure_db=13.0)
    best = found[found["wins"]].sort_values("loss_rate")["scheme"].tolist()
    assert grid.x[1] < crossing < grid.x[2]
    assert best == ["fragile" if x < crossing else "sturdy" for x in grid.x]
    first = found[(found["scheme"] == "fragile") & (found["loss_rate"] == 0.1)].iloc[0]
    assert first["psnr_db"] == pytest.approx(13 + 17 * 0.9**4)
    assert first["behind_db"] == pytest.approx(28 - 15 * 0.1**4 - first["psnr_db"])


def test_impossible_channels_have_no_rows() -> None:
    grid = burst_grid()
    found = winners(two(), grid, {}, 13.0)
    assert (found["mean_burst"] >= found["loss_rate"] / (1 - found["loss_rate"]) - 1e-12).all()
    assert 0 < len(found) < 2 * len(grid.x) * len(grid.y)
    assert (found.groupby(["loss_rate", "mean_burst"])["wins"].sum() == 1).all()


def test_marks_stand_where_their_channel_is_and_are_its_own() -> None:
    found = winners(two(), burst_grid(), {"EP6": preset("EP6")}, 13.0)
    mark = found[(found["kind"] == "mark") & (found["scheme"] == "sturdy")].iloc[0]
    assert mark["loss_rate"] == preset("EP6").loss_rate
    assert mark["mean_burst"] == preset("EP6").mean_burst
    lost = preset("EP6").loss_count_probabilities(4)[4]
    assert mark["psnr_db"] == pytest.approx(28 - 15 * lost)


def test_of_equals_the_first_wins() -> None:
    pair = [contender("one", 2, 30.0), contender("twin", 2, 30.0)]
    found = winners(pair, burst_grid(), {}, 13.0)
    assert found.loc[found["wins"], "scheme"].unique().tolist() == ["one"]


def test_tables_of_several_points_are_mixed_by_their_weights() -> None:
    mixed = SchemeTables("mixed", "a … b", 0.35, (threshold(4, 4, 30.0), threshold(3, 3, 20.0)), (0.25, 0.75))
    grid = Grid("loss_rate", "other", np.array([0.0]), np.array([1.0]), lambda x, y: bernoulli(x))
    found = winners([mixed], grid, {}, 13.0)
    assert found["psnr_db"].tolist() == [22.5]


def test_points_around_a_rate_count_by_the_logarithms_of_their_rates() -> None:
    """By hand: .4 is the geometric mean of .2 and .8."""
    assert points_around([0.9, 0.8, 0.2], 0.4) == ([2, 1], [0.5, 0.5], 0.4)
    around, shares, _ = points_around([0.2, 0.4], 0.3)
    assert around == [0, 1]
    assert shares == pytest.approx([1 - math.log2(1.5), math.log2(1.5)])
    assert points_around([0.35, 0.2], 0.35) == ([0], [1.0], 0.35)
    assert points_around([0.2, 0.1], 0.35) == ([0], [1.0], 0.2)


@pytest.mark.slow
def test_the_map_is_drawn_alike_each_time_and_names_who_wins(tmp_path: Path) -> None:
    contenders = [*two(), contender("never", 4, 20.0)]
    numbers = winners(contenders, burst_grid(), {name: preset(name) for name in EPS}, 13.0)
    numbers = numbers.assign(near_bpp=0.35, images=1, failure_db=13.0)
    figure = draw(numbers)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"fragile", "sturdy", *EPS} <= set(texts)
    assert any("no such channel" in text for text in texts)
    (box,) = figure.legends
    assert "Best nowhere: never" in box.get_title().get_text()
    assert [text.get_text() for text in box.get_texts()] == [f"{x} (qp=30: 0.35 bpp)" for x in ("fragile", "sturdy")]
    one, other = (save(draw(numbers), numbers, tmp_path / name, "winner_map") for name in ("a", "b"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_a_map_of_a_run(small_run: netsim.Run) -> None:
    plan = replayed_plan(small_run)
    said: list[str] = []
    with Store(small_run.path.parent / "store.sqlite") as store:
        found = winner_numbers(plan, CodecCache(store), near_bpp=1.5, images=["a"], say=said.append)
        with pytest.raises(InputError, match="no image `c`"):
            winner_numbers(plan, CodecCache(store), images=["c"])
        with pytest.raises(InputError, match="0 bpp"):
            winner_numbers(plan, CodecCache(store), near_bpp=0)
    assert said == []  # the exact engine met every mask
    resilient = found[found["scheme"] == "jpeg2000 resilient"]
    assert resilient["operating_point"].unique().tolist() == ["bpp=1 … bpp=2"]
    assert resilient["bpp"].unique() == pytest.approx([1.5])
    quality = resilient[resilient["channel"] == "EP4"]["psnr_db"].item()
    of_a = small_run.slots.query("scheme == 'jpeg2000 resilient' and channel == 'EP4' and image == 'a'")
    points = (of_a["weight"] * of_a["psnr_db"].fillna(13.0)).groupby(of_a["operating_point"]).sum()
    rates = of_a.groupby("operating_point")["bpp"].first()
    assert quality == pytest.approx(np.interp(math.log(1.5), np.log(rates), points), abs=1e-6)
    assert set(found["scheme"]) == {"jpeg2000 resilient", "jpeg2000 prefix", "jpeg", "jpeg + 30% FEC"}
    ep4 = found[(found["channel"] == "EP4") & (found["scheme"] == "jpeg2000 prefix")]["psnr_db"].item()
    log = small_run.slots
    mine = log[(log["scheme"] == "jpeg2000 prefix") & (log["channel"] == "EP4") & (log["image"] == "a")]
    assert ep4 == pytest.approx((mine["weight"] * mine["psnr_db"].fillna(13.0)).sum())

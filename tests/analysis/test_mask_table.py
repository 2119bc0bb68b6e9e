"""Tables by hand, and that a table weighted anew says what the exact engine says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import netsim
from netsim.analysis.importance import importance_db, loss_count_extremes, packet_importance
from netsim.analysis.replay import replayed_plan, scheme_stream_key, schemes_of
from netsim.channels.chains import bernoulli, burst
from netsim.channels.markov import MarkovChannel
from netsim.channels.presets import preset
from netsim.channels.spec import channel_from_spec
from netsim.codec import OperatingPoint, Packet, Stream
from netsim.decoding.cache import CodecCache
from netsim.decoding.mask_table import (
    mask_probabilities,
    quality_table,
    reweighted,
    slot_probabilities,
    table_without_quality,
)
from netsim.decoding.store import Store
from netsim.engines.exact import all_masks
from netsim.errors import InputError
from netsim.links.profile import link_from_spec
from netsim.protection.spec import protection_from_spec
from tests.analysis.tables import additive, table_of, threshold


def test_independent_losses_of_an_erasure_code_by_the_binomial() -> None:
    table = threshold(packets=5, needed=3, psnr_db=33.0)
    shown = sum(c * 0.8**k * 0.2 ** (5 - k) for k, c in ((3, 10), (4, 5), (5, 1)))
    found = reweighted([table], [bernoulli(0.2)], failure_db=13.0)
    assert found == pytest.approx(np.array([[shown * 33 + (1 - shown) * 13]]), abs=1e-12)


def test_tables_of_other_sizes_are_weighted_each_by_its_own_masks() -> None:
    tables = [threshold(2, 2, 30.0), threshold(3, 3, 30.0)]
    found = reweighted(tables, [bernoulli(0.5), bernoulli(0.1)], failure_db=10.0)
    assert found == pytest.approx(np.array([[15.0, 26.2], [12.5, 24.58]]))
    assert mask_probabilities(bernoulli(0.5), 0).tolist() == [1.0]


def test_lossless_counts_as_a_hundred_and_failed_as_told() -> None:
    table = table_of(lambda mask: np.inf if mask.all() else np.nan, 1)
    assert table.quality_db(7.0).tolist() == [7.0, 100.0]
    assert table.failed.tolist() == [True, False]


def test_over_independent_losses_a_packet_is_worth_what_it_adds() -> None:
    gains = [5.0, 3.0, 1.0]
    table = table_of(lambda mask: 20 + float(np.array(gains) @ mask), 3, first=1)
    found = packet_importance(table, {"few": mask_probabilities(bernoulli(0.1), 3)}, 13.0)
    assert found["packet"].tolist() == [1, 2, 3]
    assert found["bytes"].tolist() == [101, 102, 103]
    assert found["importance_db"].to_numpy() == pytest.approx(gains)
    assert found["drop_alone_db"].to_numpy() == pytest.approx(gains)
    assert found["loss_probability"].to_numpy() == pytest.approx(0.1)


def test_over_bursts_a_packet_is_worth_its_neighbours_too() -> None:
    """Two packets of one dB each: expected loss with the first is 1 + P(second lost | first lost) − P(… | received)."""
    table = table_of(lambda mask: 20 + float(mask.sum()), 2)
    channel = MarkovChannel("mine", [[0.9, 0.1], [0.4, 0.6]], [0, 1], ("G", "B"))
    importance = importance_db(table.masks, table.quality_db(13.0), channel.mask_probabilities(2)[None])
    assert importance[0] == pytest.approx([1 + 0.6 - 0.1] * 2)  # such a chain looks the same backwards


def test_what_never_happens_has_no_importance() -> None:
    masks = all_masks(1)
    assert np.isnan(importance_db(masks, np.array([13.0, 30.0]), np.array([[0.0, 1.0]]))).all()


def test_extremes_of_each_loss_count() -> None:
    found = loss_count_extremes(additive([5.0, 3.0, 1.0]), 13.0).set_index("lost")
    assert found["worst_db"].tolist() == [29.0, 24.0, 21.0, 13.0]
    assert found["best_db"].tolist() == [29.0, 28.0, 25.0, 13.0]
    assert found["masks"].tolist() == [1, 3, 3, 1]
    assert [found.at[2, name] for name in ("worst_mask", "worst_lost", "best_mask")] == ["LLR", "0 1", "RLL"]
    assert found["mean_db"].tolist() == pytest.approx([29.0, 26.0, 23.0, 13.0])
    assert found["worst_failed"].tolist() == [False, False, False, True]


def test_ties_are_counted() -> None:
    found = loss_count_extremes(threshold(4, 3, 30.0), 13.0).set_index("lost")
    assert found["worst_masks"].tolist() == found["masks"].tolist() == [1, 4, 6, 4, 1]
    assert found["failed"].tolist() == [0, 0, 6, 4, 1]


@pytest.mark.parametrize("name", ["EP1", "EP4", "EP6-released", "ge-15"])
def test_an_image_alone_on_an_ideal_link_meets_the_channels_masks(name: str) -> None:
    table, channel = threshold(6, 4, 30.0), channel_from_spec(name)
    assert isinstance(channel, MarkovChannel)
    found = slot_probabilities(table, channel, link_from_spec(None))
    assert found == pytest.approx(channel.mask_probabilities(6), abs=1e-15)


def test_late_packets_count_as_lost() -> None:
    """A packet a second, and 2.5 s of time: the last two of four never help."""
    link = link_from_spec({"ideal": {"interval_s": 1.0, "deadline_s": 1.5}})
    found = slot_probabilities(threshold(4, 1, 30.0), bernoulli(0.5), link)
    assert found == pytest.approx([0.25] * 4 + [0.0] * 12)


class _Many:
    label = "many"

    def usable(self, stream: Stream, received: np.ndarray) -> np.ndarray:
        return received


def test_too_many_packets_are_refused_and_so_is_retransmission(tmp_path: Path) -> None:
    stream = Stream((Packet(b"x"),) * 17, (8, 8), OperatingPoint("bpp", 1.0))

    class Shop:
        def encode(self, stream_key: object) -> Stream:
            return stream

        def codec(self, stream_key: object) -> _Many:
            return _Many()

    class Image:
        point = OperatingPoint("bpp", 1.0)
        settings = ()

        class image:
            name = "a"

    with pytest.raises(InputError, match=r"17 packets.*2\^17"):
        table_without_quality(Shop(), Image(), protection_from_spec("none"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no mask table"):
        table_without_quality(Shop(), Image(), protection_from_spec({"arq": {"retries": 2}}))  # type: ignore[arg-type]


def test_reweighting_equals_the_exact_engine(small_run: netsim.Run) -> None:
    plan = replayed_plan(small_run)
    assert plan.run_id == small_run.manifest["run_id"]
    channels = [preset("EP2"), preset("EP4"), burst(0.2, 3)]
    summary = small_run.summary.set_index(["scheme", "operating_point", "channel"])
    with Store(small_run.path.parent / "store.sqlite") as store:
        cache = CodecCache(store)
        seen = 0
        for label, points in schemes_of(plan).items():
            for point in points:
                keys = [scheme_stream_key(plan, image, point) for image in range(2)]
                tables = [quality_table(cache, key, point.scheme.protection) for key in keys]
                means = reweighted(tables, channels, plan.failure_db).mean(axis=0)
                alone = [
                    np.mean([slot_probabilities(t, c, point.row.link) @ t.quality_db(13.0) for t in tables])
                    for c in channels
                ]
                for channel, mean, one in zip(channels, means, alone, strict=True):
                    expected = summary.loc[(label, point.scheme.operating_point, channel.name), "psnr_db"]
                    assert mean == pytest.approx(expected, abs=1e-9)
                    assert one == pytest.approx(expected, abs=1e-9)
                    seen += 1
        assert seen == len(summary) == 15


def test_another_channel_needs_no_decoding(small_run: netsim.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replayed_plan(small_run)
    with Store(small_run.path.parent / "store.sqlite") as store:
        cache = CodecCache(store)
        point = schemes_of(plan)["jpeg2000 resilient"][0]
        first = quality_table(cache, scheme_stream_key(plan, 0, point), point.scheme.protection)
        monkeypatch.setattr(CodecCache, "_decode", lambda *_: pytest.fail("decoded again"))
        again = quality_table(cache, scheme_stream_key(plan, 0, point), point.scheme.protection)
    assert np.array_equal(first.psnr_db, again.psnr_db, equal_nan=True)
    assert reweighted([again], [preset("EP6")], 13.0)[0, 0] < reweighted([again], [preset("EP2")], 13.0)[0, 0]


def test_moved_or_changed_images_are_told(small_run: netsim.Run) -> None:
    path = small_run.path.parent / "images" / "b.png"
    before = path.read_bytes()
    try:
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
        with pytest.raises(InputError, match="`b` has other pixels") as error:
            replayed_plan(small_run)
        assert "manifest.json" in error.value.where
        path.unlink()
        with pytest.raises(InputError, match="`b` is gone"):
            replayed_plan(small_run)
        path.parent.rename(path.parent.with_name("elsewhere"))
        with pytest.raises(InputError, match="no image folder") as error:
            replayed_plan(small_run)
        assert "put them back" in error.value.hint
    finally:
        if path.parent.with_name("elsewhere").exists():
            path.parent.with_name("elsewhere").rename(path.parent)
        path.write_bytes(before)
    assert replayed_plan(small_run).image_names == ("a", "b")


def test_a_manifest_without_its_scenario_is_refused(small_run: netsim.Run) -> None:
    bare = netsim.Run(small_run.path, {"name": "tiny"})
    with pytest.raises(InputError, match="does not say what ran"):
        replayed_plan(bare)


def test_frames_have_a_row_for_each_packet_and_channel() -> None:
    probabilities = {name: mask_probabilities(preset(name), 4) for name in ("EP2", "EP6")}
    found = packet_importance(threshold(4, 2, 30.0), probabilities, 13.0)
    assert isinstance(found, pd.DataFrame)
    assert len(found) == 8
    assert found["importance_db"].to_numpy() == pytest.approx((found["received_db"] - found["lost_db"]).to_numpy())

"""Images of slots: those that the run's log speaks of, checked against it, on a page that escapes all names."""

import base64
import html
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import netsim
from netsim.analysis.replay import replayed_plan
from netsim.analysis.slot_images import SentImage, chosen_slots, slot_images
from netsim.engines.array import simulate_trials
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.report.illustrated import write_report
from netsim.report.slots import ConditionSlots, SchemeCell, SlotCard, _difference, _fitting
from netsim.streams import Streams
from tests.report.conftest import EVIL, EVIL_CHANNEL, EVIL_IMAGE
from tests.report.test_report import _Tags


def _shown(run: netsim.Run, log: pd.DataFrame, trial: int, slots: list[int]) -> tuple[list, list[SentImage]]:
    plan = replayed_plan(run)
    rows = [row for row in plan.rows if row.channel_name == EVIL_CHANNEL]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(run.path.parent / "store.sqlite"))
        return rows, slot_images(plan, log, rows, trial, slots)


def test_slots_show_what_the_log_says_of_them(hostile_run: netsim.Run) -> None:
    rows, sent = _shown(hostile_run, hostile_run.log, 1, list(range(12)))
    compared = failed = 0
    for i, row in enumerate(rows):
        logged = hostile_run.slots[(hostile_run.slots["row"] == row.index) & (hostile_run.slots["trial"] == 1)]
        for one in sent:
            shown = one.shown[i]
            assert shown.logged == (row.engine == "event")
            if not shown.logged:
                continue
            then = logged.set_index("slot").loc[one.slot]
            assert (one.name, shown.scheme) == (then["image"], then["scheme"])
            assert [shown.packets.count(name) for name in ("delivered", "lost")] == [
                then["packets_delivered"],
                then["packets_lost"],
            ]
            assert shown.bpp == pytest.approx(then["bpp"])
            if shown.image is None:
                assert then["status"] == "failed"
                failed += 1
                continue
            error = (one.image.astype(float) - shown.image).astype(float)
            assert then["psnr_db"] == pytest.approx(10 * np.log10(255**2 / (error**2).mean()))
            compared += 1
    assert compared > 10
    assert failed > 0


def test_masks_are_those_of_the_array_engine_also_where_the_log_has_none(hostile_run: netsim.Run) -> None:
    rows, sent = _shown(hostile_run, hostile_run.log, 1, list(range(12)))
    (exact,) = [i for i, row in enumerate(rows) if row.engine == "exact"]
    packets = len(sent[0].shown[exact].packets)
    burst = PacketBurst((100,) * packets, (True,) + (False,) * (packets - 1))  # the codec's header is never lost
    row, seed = rows[exact], hostile_run.manifest["seed"]
    streams = Streams(seed, "losses", row.channel_name), Streams(seed, "jitter", row.link_name)
    outcomes = simulate_trials(12, lambda slot: burst, row.channel, row.link, *streams, 1, 2)
    expected = [(batch.outcome[0] == DELIVERED).tolist() for batch in outcomes]
    assert [[packet == "delivered" for packet in one.shown[exact].packets] for one in sent] == expected
    assert not all(map(all, expected))


@pytest.mark.parametrize(("column", "change"), [("packets_lost", 1), ("packets_usable", 1), ("psnr_db", 0.5)])
def test_a_slot_that_comes_out_differently_is_refused(hostile_run: netsim.Run, column: str, change: float) -> None:
    log = hostile_run.log.copy()
    log[column] += change
    with pytest.raises(InputError, match="comes out differently"):
        _shown(hostile_run, log, 0, list(range(6)))


def test_slots_with_losses_are_chosen_first_and_then_the_first_of_the_others(hostile_run: netsim.Run) -> None:
    plan = replayed_plan(hostile_run)
    rows = [row for row in plan.rows if row.channel_name != EVIL_CHANNEL]
    log = hostile_run.slots[hostile_run.slots["row"].isin([row.index for row in rows])]
    log = log[(log["trial"] == 0) & (log["engine"] == "event")]
    struck = sorted(set(log.loc[log["packets_lost"] > 0, "slot"]))
    assert 0 < len(struck) < 12
    assert chosen_slots(hostile_run.log, rows, 12, 0, 1) == struck[:1]
    free = [slot for slot in range(12) if slot not in struck]
    assert chosen_slots(hostile_run.log, rows, 12, 0, len(struck) + 1) == sorted([*struck, free[0]])
    assert chosen_slots(hostile_run.log, rows, 12, 0, 99) == list(range(12))


def _page(run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> str:
    monkeypatch.setenv("NETSIM_STORE", str(run.path.parent / "store.sqlite"))
    return run.report(tmp_path / "report.html", **options).read_text(encoding="utf-8")  # type: ignore[arg-type]


def test_page_escapes_hostile_names_of_scenario_images_and_channels(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = _page(hostile_run, tmp_path, monkeypatch)
    tags = _Tags(page)
    assert tags.open == []
    assert tags.seen.count("script") == 1
    assert not [tag for tag, names in tags.attributes for name in names if name.startswith("on")]
    text = html.unescape(page)
    for name in (EVIL, EVIL_IMAGE, EVIL_CHANNEL):
        assert name in text
        assert name not in page
    assert "49<svg" not in text


def test_page_shows_each_slot_without_scripts_and_hides_only_the_slider(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = _page(hostile_run, tmp_path, monkeypatch, trial=1, slots=[0, 3, 4])
    groups = page.split('<section class="slots"')[1:]
    assert len(groups) == 2
    for group in groups:
        assert re.findall(r"<h4>Trial 1, slot (\d+)", group) == ["0", "3", "4"]
        assert '<p class="slider" hidden>' in group
        assert 'type="range" min="1" max="3"' in group
    assert len(re.findall(r"\bhidden\b(?!\s*[;:\]=}])", re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S))) == 2
    uris = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    sizes = {Image.open(io.BytesIO(base64.b64decode(uri))).size for uri in uris}
    assert sizes == {(80, 64), (64, 64)}
    assert "event engine draws with the run&#39;s seed" in page  # of the exact entry
    assert "EP3-released: loses" in page


def test_a_report_shows_typical_and_bad_slots_of_all_trials_and_names_them(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slot shown has the rank that a count in the log gives it, and is the earliest of equal ones."""
    page = html.unescape(_page(hostile_run, tmp_path, monkeypatch))
    assert "of trial" not in page.split('id="slots"')[1].split("<h3>")[0]
    log = hostile_run.slots[hostile_run.slots["engine"] == "event"]
    trials = set()
    for group in page.split('<section class="slots"')[1:]:
        channel = EVIL_CHANNEL if EVIL_CHANNEL in group.split("<h3>")[0] else "EP3-released"
        mine = log[(log["channel"] == channel) & (log["operating_point"] != "bpp=2")].fillna({"psnr_db": 13.0})
        mean = mine.groupby(["trial", "slot"])["psnr_db"].mean()
        assert len(mean) == 24
        titles = re.findall(r"<h4>Trial (\d+), slot (\d+): .*? \((.*) of 24\)</h4>", group)
        named = {rank: (int(trial), int(slot)) for trial, slot, ranks in titles for rank in ranks.split(", ")}
        assert list(named) == ["median", "lower quartile", "5th percentile", "worst"]
        for rank, least in {"median": 12, "lower quartile": 6, "5th percentile": 2, "worst": 1}.items():
            here = named[rank]
            assert (mean < mean[here]).sum() < least <= (mean <= mean[here]).sum()
        assert named["worst"] == mean.idxmin()
        trials |= {trial for trial, _ in named.values()}
    assert trials == {0, 1}


def test_the_report_of_a_run_is_the_same_each_time(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _page(hostile_run, tmp_path, monkeypatch) == _page(hostile_run, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("options", "message"), [({"trial": 2}, "has no trial 2"), ({"slots": [12]}, "no slot 12"), ({"slots": [-1]}, "-1")]
)
def test_a_trial_or_slot_that_the_run_lacks_is_refused(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _page(hostile_run, tmp_path, monkeypatch, **options)


def test_a_run_whose_images_are_gone_still_has_a_report_that_says_so(tmp_path: Path) -> None:
    from tests.figures.synthetic import sampled_log, write_run

    log = sampled_log(["vvc"], ["EP4"], (0.35,), trials=2, slots=2)
    page = write_report(write_run(tmp_path / "run", log)).read_text(encoding="utf-8")
    assert re.search(r'<h2 id="slots">Images of slots</h2>\s*<p class="small">None: ', page)


def test_a_difference_is_white_where_there_is_none_and_eight_times_the_mean_elsewhere() -> None:
    original = np.full((1, 3, 3), 100, np.uint8)
    image = original + np.array([[[0, 0, 0], [3, 0, 0], [90, 90, 90]]], np.uint8)
    assert _difference(original, image).tolist() == [[255, 247, 0]]


def test_the_last_slots_are_left_out_where_there_is_no_room() -> None:
    card = SlotCard("Slot", "x" * 10, [SchemeCell("a", "", "", "", [], "y" * 20, "z" * 20)])
    conditions = [ConditionSlots("A", [card] * 4, False), ConditionSlots("B", [card] * 2, False)]
    assert [len(one.slots) for one in _fitting(conditions, 250)] == [3, 2]
    assert [len(one.slots) for one in _fitting(conditions, 199)] == [1, 1]
    assert _fitting(conditions, 99) == []

"""Different schemes have different rows and labels; the same scheme is refused where it is listed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

import netsim
from netsim.api import plan
from netsim.errors import InputError
from netsim.protection.spec import protection_from_spec

BASE: dict[str, Any] = {
    "images": {"samples": ["coffee"]},
    "codecs": [{"jpeg": {"quality": 50}}],
    "channels": [{"loss_rate": 0.1}],
    "trials": 4,
}
RS30 = {"reed-solomon": "30%"}


def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    return netsim.run({**BASE, **changes}, out=tmp_path / "run").summary


def jpeg(**settings: Any) -> dict[str, Any]:
    return {"jpeg": {"quality": 50, **settings}}


def test_packet_counts_make_rows_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = summary(tmp_path, monkeypatch, codecs=[jpeg(packets=2), jpeg(packets=20)])
    assert list(found["scheme"]) == ["jpeg packets=2", "jpeg packets=20"]
    assert list(found["failure_ratio"]) == pytest.approx([1 - 0.9**2, 1 - 0.9**20], abs=1e-12)


def test_packet_counts_make_rows_of_their_own_under_fec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = [jpeg(packets=10), jpeg(packets=40)]
    found = summary(tmp_path, monkeypatch, codecs=codecs, protection=RS30, channels=[{"loss_rate": 0.2}])
    assert list(found["scheme"]) == ["jpeg packets=10 + 30% FEC", "jpeg packets=40 + 30% FEC"]
    right = [binom.sf(3, 10, 0.2), binom.sf(12, 40, 0.2)]  # more lost than there is parity
    assert list(found["failure_ratio"]) == pytest.approx(right, abs=1e-12)


def test_a_label_that_is_unique_stays_as_it_is() -> None:
    planned = plan({**BASE, "codecs": [jpeg(packets=20), {"jpeg2000": {"bpp": 0.4}}], "protection": ["none", RS30]})
    labels = [row.label for row in planned.rows]
    assert labels == ["jpeg", "jpeg + 30% FEC", "jpeg2000 prefix", "jpeg2000 prefix + 30% FEC"]


def test_points_of_one_curve_share_its_label() -> None:
    planned = plan({**BASE, "codecs": [{"jpeg": {"quality": [30, 50]}}, {"jpeg": {"quality": 70}}]})
    assert {row.label for row in planned.rows} == {"jpeg"}


def test_operating_points_that_differ_slightly_have_names_of_their_own() -> None:
    planned = plan({**BASE, "codecs": [{"jpeg2000": {"bpp": [0.35, 0.3500001]}}]})
    assert [row.schemes[0].operating_point for row in planned.rows] == ["bpp=0.35", "bpp=0.3500001"]


def test_protections_that_differ_slightly_have_names_of_their_own() -> None:
    shares = [protection_from_spec({"reed-solomon": share}).name for share in (0.3, 0.3000001)]
    waits = [protection_from_spec({"arq": {"retries": 1, "timeout_s": t}}).name for t in (0.1, 0.1000001)]
    assert len({*shares, *waits}) == 4


def test_controlled_rows_are_told_apart_by_their_settings() -> None:
    control = [{"previous-interval": {"factor": 2, "interval_slots": slots}} for slots in (5, 6)]
    planned = plan({**BASE, "protection": ["none", RS30], "control": ["none", *control, "fixed"]})
    labels = [row.label for row in planned.rows]
    assert len(set(labels)) == len(labels) == 5
    assert [label for label in labels if label.endswith("interval_slots=6")]


def test_controlled_rows_are_told_apart_by_their_choices() -> None:
    entries = [jpeg(protection=["none", RS30]), jpeg(protection=["none", {"reed-solomon": "50%"}])]
    planned = plan({**BASE, "codecs": entries, "control": {"previous-interval": {"factor": 2}}})
    assert len({row.label for row in planned.rows}) == 2


TWINS = [
    ("protection", {"protection": ["none", "none"]}, "protection[1]", "protection[0]"),
    ("protection by meaning", {"protection": [RS30, {"reed-solomon": 0.3}]}, "protection[1]", "protection[0]"),
    ("no parity", {"protection": ["none", {"reed-solomon": "0%"}]}, "protection[1]", "protection[0]"),
    ("a code of no parity", {"protection": [{"reed-solomon": [10, 10]}, "none"]}, "protection[1]", "protection[0]"),
    ("codec entry", {"codecs": [jpeg(), jpeg()]}, "codecs[1]", "codecs[0]"),
    ("codec entry with a default written out", {"codecs": [jpeg(), jpeg(packets=10)]}, "codecs[1]", "codecs[0]"),
    ("codec entry with an engine", {"codecs": [jpeg(engine="array"), jpeg()]}, "codecs[1]", "codecs[0]"),
    (
        "operating point",
        {"codecs": [{"jpeg": {"quality": [50, 60, 50]}}]},
        "codecs[0].jpeg.quality[2]",
        "codecs[0].jpeg.quality[0]",
    ),
    ("point of two entries", {"codecs": [{"jpeg": {"quality": [40, 50]}}, jpeg()]}, "codecs[1]", "codecs[0]"),
    (
        "choice without a controller",
        {"codecs": [{"jpeg": {"quality": 50, "choices": [{"packets": 3}, {"packets": 3}]}}]},
        "codecs[0].jpeg.choices[1]",
        "codecs[0].jpeg.choices[0]",
    ),
    ("no controller twice", {"control": ["none", "none"]}, "control[1]", "control[0]"),
    ("controller", {"control": ["fixed", {"fixed": {"choice": 0}}]}, "control[1]", "control[0]"),
    ("channel in a range", {"channels": ["EP1..EP3", "EP2"]}, "channels[1]", "channels[0]"),
    ("link", {"link": ["ideal", "ideal"]}, "link[1]", "link[0]"),
    ("metric", {"metrics": ["psnr_db", "psnr_db"]}, "metrics[1]", "metrics[0]"),
]


@pytest.mark.parametrize(("changes", "here", "first"), [one[1:] for one in TWINS], ids=[one[0] for one in TWINS])
def test_twins_are_refused_naming_both_places(changes: dict[str, Any], here: str, first: str) -> None:
    with pytest.raises(InputError, match="twice") as caught:
        plan({**BASE, **changes})
    assert caught.value.where == here
    assert f" {first}:" in caught.value.hint


def test_a_controller_may_choose_the_same_way_at_two_levels() -> None:
    choices = [{"packets": 3}, {"packets": 5}, {"packets": 3}]
    control = {"previous-interval": {"thresholds": [0.1, 0.2]}}
    planned = plan({**BASE, "codecs": [{"jpeg": {"quality": 50, "choices": choices}}], "control": control})
    assert len(planned.rows) == 1


def test_controlled_rows_are_told_apart_by_which_choice_has_which_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two groups of three choices, (50, 60, 50) and (50, 60, 60): the same points, differently spread."""
    shares = ["none", RS30, {"reed-solomon": "50%"}]
    points = ([50, 50], [60, 60], [50, 60])
    choices = [{"quality": quality, "protection": share} for quality, share in zip(points, shares, strict=True)]
    found = summary(
        tmp_path,
        monkeypatch,
        codecs=[{"jpeg": {"choices": choices}}],
        control={"previous-interval": {"thresholds": [0.1, 0.2]}},
    )
    assert list(found["operating_point"]) == ["quality=50/60/50", "quality=50/60/60"]
    assert list(found["slots"]) == [4, 4]  # one image, four trials

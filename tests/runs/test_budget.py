"""Ways to send at one rate: a budget that counts parity, and choices with operating points of their own."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import netsim
from netsim.api import plan
from netsim.cli import app
from netsim.errors import InputError

SHARES = ["none", {"reed-solomon": "20%"}, {"reed-solomon": "40%"}, {"reed-solomon": [10, 3]}]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scenario(codec: dict[str, object], **keys: object) -> dict[str, object]:
    base = {
        "images": {"samples": ["coffee"]},
        "codecs": [codec],
        "channels": [{"loss_rate": 0.0}],
        "trials": 1,
    }
    return base | keys


@pytest.mark.parametrize("codec", ["jpeg", "webp", pytest.param("jpeg2000", marks=pytest.mark.slow)])
def test_under_a_budget_quality_falls_as_the_share_of_parity_rises(codec: str) -> None:
    asked = {"sent_bpp": 0.8, "packets": 10, "protection": [*SHARES, {"repeat": {"first": 3}}]}
    summary = netsim.run(scenario({codec: asked})).summary
    assert len(summary) == 5
    assert set(summary["operating_point"]) == {"sent_bpp=0.8"}
    np.testing.assert_allclose(summary["bpp"], 0.8, rtol=0.03)  # all that is sent; JPEG's qualities are whole numbers
    by_share = summary.set_index("protection")["psnr_db"]
    steps = [by_share[name] for name in ("none", "reed-solomon 20%", "reed-solomon 40%", "reed-solomon (10, 3)")]
    assert (np.diff(steps) < -0.3).all()
    assert by_share["repeat (1-3)"] < by_share["none"] - 0.3


def test_without_a_budget_parity_comes_on_top() -> None:
    summary = netsim.run(scenario({"jpeg": {"bpp": 0.8, "packets": 10, "protection": SHARES[:3]}})).summary
    assert summary["psnr_db"].nunique() == 1
    assert (np.diff(summary["bpp"]) > 0.1).all()


def test_the_budget_is_met_under_a_links_packet_limit() -> None:
    # 900-byte packets: more of them than `packets` asks for, and parity packets two bytes longer than any
    asked = {"sent_bpp": 0.8, "protection": [{"reed-solomon": "30%"}]}
    run = netsim.run(scenario({"webp": asked}, link={"geo": {"interval_s": 0}}))
    assert run.slots["packets_sent"].iloc[0] > 20
    assert run.summary["bpp"].iloc[0] == pytest.approx(0.8, rel=0.02)


def test_a_budget_that_is_missed_is_noted_and_one_that_is_met_is_not() -> None:
    asked = {"packets": 10, "protection": SHARES[:2]}
    run = netsim.run(scenario({"jpeg": asked | {"sent_bpp": 20}}, images={"samples": ["rocket"]}))
    sent = run.summary["bpp"]
    assert (sent < 18).all()
    labels = ["jpeg", "jpeg + 20% FEC"]
    expected = [
        f"{name}: {bpp:.3g} bit/pixel were sent where sent_bpp=20 was asked for"
        for name, bpp in zip(labels, sent, strict=True)
    ]
    assert run.manifest["notes"] == expected
    assert netsim.run(scenario({"jpeg": asked | {"sent_bpp": 0.8}})).manifest["notes"] == []


def test_a_bpp_out_of_the_codecs_reach_is_noted_once_whatever_protects_it() -> None:
    """What JPEG sends at most is what Pillow writes at quality 95; the mean is over both images."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = {"a": noise, "b": noise // 64 * 64}
    Path("images").mkdir()
    most_bpp = []
    for name, image in pixels.items():
        Image.fromarray(image).save(f"images/{name}.png")
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=95, progressive=True, optimize=True, subsampling="4:2:0")
        most_bpp.append(8 * len(file.getvalue()) / 64**2)
    mean = sum(most_bpp) / 2
    codecs = "[{jpeg: {bpp: [2, 23], protection: [none, {reed-solomon: 30%}, {arq: {retries: 1}}]}}]"
    Path("s.yaml").write_text(
        f"images: images\ncodecs: {codecs}\nchannels: [EP1, EP4]\nlink: [ideal, geo]\ntrials: 1\n"
    )
    shown = CliRunner().invoke(app, ["run", "s.yaml", "--out", "r", "--workers", "1"])
    assert shown.exit_code == 0, shown.output
    found = [note for note in netsim.load("r").manifest["notes"] if "bit/pixel" in note]
    assert len(found) == 1
    rate = float(found[0].removeprefix("jpeg: ").partition(" ")[0])
    assert rate == pytest.approx(mean, rel=0.01)  # headers apart
    assert found[0].endswith("bit/pixel were coded where bpp=23 was asked for")
    assert shown.stderr.count(found[0]) == 1


CHOICES = [
    {"quality": [80, 60], "protection": "none"},
    {"quality": [50, 30], "protection": {"reed-solomon": "30%"}},
    {"quality": [10, 5], "protection": {"reed-solomon": "60%"}},
]
CONTROL = {"previous-interval": {"interval_slots": 2, "thresholds": [0.05, 0.3]}}


def test_choices_have_operating_points_and_protections_of_their_own() -> None:
    asked = scenario(
        {"jpeg": {"choices": CHOICES}},
        channels=[{"switch": ["EP1", "EP3", "EP6"], "name": "changing"}],
        control=["none", CONTROL],
        trials=3,
        slots=60,
        seed=3,
    )
    made = plan(asked)
    alone, chosen = made.rows[:6], made.rows[6:]
    assert [row.operating_point for row in alone] == [f"quality={q}" for q in (80, 50, 10, 60, 30, 5)]
    assert [row.operating_point for row in chosen] == ["quality=80/50/10", "quality=60/30/5"]
    run = netsim.run(asked)
    summary, slots = run.summary, run.slots
    controlled = summary[summary["scheme"].str.contains("previous-interval")]
    assert controlled["operating_point"].tolist() == ["quality=80/50/10", "quality=60/30/5"]  # one row each
    assert (controlled["slots"] == 180).all()
    mine = slots[slots["operating_point"] == "quality=80/50/10"]
    assert len(mine) == 180
    seen = mine.groupby("protection")["settings"].unique()
    assert len(seen) == 3
    for protection, quality in zip(("none", "reed-solomon 30%", "reed-solomon 60%"), (80, 50, 10), strict=True):
        assert [text.rpartition(" ")[2] for text in seen[protection]] == [f"quality={quality}"]
    whole = mine[mine["status"] == "full"].groupby("protection")["psnr_db"].mean()
    assert whole["none"] > whole["reed-solomon 30%"] > whole["reed-solomon 60%"]


@pytest.mark.parametrize(
    ("codec", "message", "place"),
    [
        ({"quality": 9, "choices": CHOICES}, "has `quality`, and so have its choices", "codecs[0].jpeg.quality"),
        ({"choices": [{"quality": 9}, {"protection": "none"}]}, "no operating point", "codecs[0].jpeg.choices[1]"),
        ({"choices": [{"quality": 9}, {"quality": [9, 8]}]}, "1 and 2 operating points", "codecs[0].jpeg.choices[1]"),
        ({"choices": [{"quality": 9, "protection": ["none"]}]}, "one way to send", "choices[0].protection"),
        (
            {"choices": [{"quality": 9, "protection": "none"}], "protection": "none"},
            "each choice has a protection of its own",
            "codecs[0].jpeg.protection",
        ),
        ({"sent_bpp": 0}, "sent_bpp = 0", "codecs[0].jpeg.sent_bpp"),
        ({"sent_bpp": 1, "bpp": 1}, "both bpp and sent_bpp", "codecs[0].jpeg"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(codec: dict[str, object], message: str, place: str) -> None:
    with pytest.raises(InputError) as refused:
        plan(scenario({"jpeg": codec}))
    assert message in refused.value.message
    assert refused.value.where.endswith(place)


def test_a_budget_too_small_names_the_image_and_the_protection() -> None:
    asked = scenario({"webp": {"sent_bpp": 0.03, "protection": {"reed-solomon": "90%"}}})
    with pytest.raises(InputError, match=r"image `coffee`.*0\.03 are left beside reed-solomon 90%"):
        netsim.run(asked)

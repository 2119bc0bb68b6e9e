"""Saved channels: fitted, found by name from a scenario, with their source; and what can't be saved or read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import netsim
from netsim.channels import burst, channel_from_spec
from netsim.channels.chains import burst_and_gap
from netsim.channels.saved import channel_file, config_folder, read_channel, saved_channel_names
from netsim.cli import app
from netsim.errors import InputError

SCENARIO = {
    "images": {"samples": ["coffee"]},
    "codecs": [{"jpeg": {"quality": 30, "packets": 2}}],
    "engine": "exact",
    "seed": 2,
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CONFIG", str(tmp_path / "config"))
    received, _ = burst(0.2, 3).sample(4000, np.random.default_rng(1))
    Path("lost.txt").write_text("# 1=received\n" + "".join(str(int(bit)) for bit in received) + "\n")


def fit(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["trace", "fit", "lost.txt", "--family", "gilbert", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.mark.slow
def test_a_fitted_channel_is_a_channel_of_any_scenario(tmp_path: Path) -> None:
    facts = json.loads(fit("--save", "lab", "--json"))
    assert facts["saved"] == str(tmp_path / "config" / "channels" / "lab.yaml")
    run = netsim.run({**SCENARIO, "channels": ["lab"]})
    (spec,) = run.manifest["scenario"]["channels"]
    assert spec["name"] == "lab"
    assert spec["source"]["file"] == "lost.txt"
    assert spec["source"]["family"] == "gilbert"
    assert spec["source"]["packets"] == 4000
    _, channel = read_channel("lab")
    (fitted,) = facts["fits"]
    assert getattr(channel, "loss_rate") == pytest.approx(fitted["loss_rate"], abs=1e-15)  # noqa: B009
    assert channel.source["sha256"] == spec["source"]["sha256"]
    shown = CliRunner().invoke(app, ["channels", "show", "lab"]).stdout
    assert "lost.txt" in shown


def test_a_channel_of_the_scenarios_folder_goes_first() -> None:
    fit("--save", "lab")
    (folder := Path("project/channels")).mkdir(parents=True)
    (folder / "lab.yaml").write_text("loss_rate: 0.5\n")
    assert read_channel("lab", Path("project"))[1].name == "lab"
    assert getattr(read_channel("lab", Path("project"))[1], "loss_rate") == 0.5  # noqa: B009
    assert saved_channel_names(Path("project")) == ["lab"]
    assert config_folder().name == "config"


def test_a_saved_trace_lies_beside_the_scenario() -> None:
    (folder := Path("project/channels")).mkdir(parents=True)
    Path("project/lost.txt").write_text("# 1=lost\n0001\n")
    (folder / "roof.yaml").write_text("trace: lost.txt\n")
    (folder / "both.yaml").write_text("switch: [roof, EP4]\n")
    plan_spec, channel = read_channel("both", Path("project"))
    assert plan_spec["switch"][0]["trace"] == str(Path("project/lost.txt").resolve())
    assert channel.name == "both"


def test_a_file_is_never_replaced_and_names_stay_in_their_folder() -> None:
    fit("--save", "lab")
    with pytest.raises(InputError, match="exists"):
        fit("--save", "lab")
    for name in ("../lab", "a/b", "", ".hidden", "x" * 65, "-lab", "lab.yaml", "la b"):
        with pytest.raises(InputError, match="can't be the name"):
            channel_file(name)
    for name in ("EP4", "loss_rate", "EP4-released"):
        with pytest.raises(InputError, match="already"):
            channel_file(name)
    assert fit("--save", "lab", "--folder", "project").splitlines()[-1].endswith("project/channels/lab.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]\n", "holds no channel"),
        ("loss_rate: 2\n", "loss_rate 2 is not a probability"),
        ("loss_rate: !!python/object/apply:os.system [ls]\n", "bad.yaml"),
        ("switch: [bad, EP4]\n", "holds itself"),
        ("loss_rate: {\n", r"bad\.yaml:"),
    ],
)
def test_what_is_no_channel_file_is_refused(text: str, message: str) -> None:
    (folder := Path("channels")).mkdir()
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        netsim.plan({**SCENARIO, "channels": ["bad"]})


def test_an_unknown_name_lists_saved_channels() -> None:
    fit("--save", "lab")
    with pytest.raises(InputError) as caught:
        netsim.plan({**SCENARIO, "channels": ["lba"]})
    assert "saved: lab" in caught.value.hint


def test_the_python_face_finds_saved_channels() -> None:
    assert "lab" not in netsim.channels
    (fitted,) = json.loads(fit("--save", "lab", "--json"))["fits"]
    assert "lab" in netsim.channels
    assert list(netsim.channels).count("lab") == 1
    channel = netsim.channels["lab"]
    assert channel.name == "lab"
    assert channel.loss_rate == pytest.approx(fitted["loss_rate"], abs=1e-15)
    (row,) = netsim.plan(SCENARIO, channels=[channel]).rows
    assert row.channel.loss_rate == channel.loss_rate
    with pytest.raises(InputError, match="unknown channel `lap`") as caught:
        netsim.channels["lap"]
    assert "did you mean `lab`?" in caught.value.hint


def test_a_card_is_drawn() -> None:
    for kind, magic in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        fit("--figure", f"card.{kind}")
        assert Path(f"card.{kind}").read_bytes().startswith(magic)
    with pytest.raises(InputError, match="can't draw into"):
        fit("--figure", "card.gif")


def test_the_table_and_the_card_are_printed() -> None:
    text = fit()
    assert "BIC − best" in text
    assert "95 % band" in text
    assert "loss rate" in text


# a channel by loss rate, burst and gap ------------------------------------------------------------------------


def test_bursts_and_gaps_have_the_lengths_asked_for() -> None:
    channel = channel_from_spec({"loss_rate": 0.1, "mean_burst": 5, "mean_gap": 20})
    same = burst_and_gap(0.1, 5, 20)
    assert channel.name == same.name == "loss 10 % burst 5 gap 20"
    assert same.loss_rate == pytest.approx(0.1)
    stays = 1 / (1 - np.diag(same.transition))  # mean sojourns
    assert stays.tolist() == pytest.approx([20, 5])
    # with all of a burst lost, it is the chain of loss rate and burst
    whole = burst_and_gap(0.2, 5, 20)
    np.testing.assert_allclose(whole.mask_probabilities(6), burst(0.2, 5).mask_probabilities(6), atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "key", "hint"),
    [
        ({"loss_rate": 0.3, "mean_burst": 5, "mean_gap": 20}, "loss_rate", "lose at most 0.2"),
        ({"loss_rate": 0.1, "mean_burst": 0.5, "mean_gap": 20}, "mean_burst", "at least one packet"),
        ({"loss_rate": 0.1, "mean_burst": 5, "mean_gap": 0}, "mean_gap", "at least one packet"),
        ({"loss_rate": 0.1, "mean_gap": 20}, "mean_gap", "mean_burst"),
        ({"loss_rate": 0.5, "mean_burst": 0.9}, "mean_burst", "at least one packet"),
        ({"loss_rate": 0.8, "mean_burst": 2}, "mean_burst", "bursts last at least 4 packets"),
    ],
)
def test_the_valid_region_is_named(spec: dict[str, float], key: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        channel_from_spec(spec)
    assert caught.value.key == (key,)
    assert hint in caught.value.hint

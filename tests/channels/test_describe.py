"""``netsim channels``: the numbers, the flags, the table and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from netsim.channels import preset, preset_names, preset_variants, published
from netsim.channels.describe import describe, describe_all, discrepancies
from netsim.commands.channels import app
from netsim.errors import InputError

KEYS = {"name", "variant", "valid", "loss_rate", "mean_burst", "autocorrelation", "published"}


def run(*arguments: str) -> Any:
    root = typer.Typer()
    root.add_typer(app, name="channels")
    root.command("other")(lambda: None)
    return CliRunner().invoke(root, ["channels", *arguments])


def test_the_list_has_every_preset_in_every_variant() -> None:
    everything = json.loads(run("--json").output)
    expected = [(name, variant) for name in preset_names() for variant in preset_variants(name)]
    assert [(c["name"], c["variant"]) for c in everything] == expected
    for facts in everything:
        assert set(facts) >= KEYS
        assert "loss_count_probabilities" not in facts
    impossible = [c for c in everything if not c["valid"]]
    assert [(c["name"], c["variant"]) for c in impossible] == [("EP2", "printed"), ("EP3", "printed")]
    for facts, total in zip(impossible, ("1.0024", "1.6"), strict=True):
        assert f"rows[1] (state B) sums to {total}" in facts["error"]
        assert facts["loss_rate"] is facts["mean_burst"] is facts["autocorrelation"] is None


def test_exactly_the_known_discrepancies_are_flagged() -> None:
    flagged = {(c["name"], c["variant"]): c["discrepancies"] for c in describe_all() if c["discrepancies"]}
    assert set(flagged) == {
        ("EP2", "printed"),
        ("EP3", "printed"),
        ("EP3", "released"),
        ("EP5", "printed"),
        ("EP5", "released"),
    }
    assert flagged["EP5", "printed"] == ["loses 50.0 % where the paper says 21.4 %"]
    assert "bursts last 1.25 packets where the paper says 5.00" in flagged["EP3", "released"]


def test_gilbert_elliott_is_told_to_be_less_bursty_than_independent_loss() -> None:
    for name in ("ge-10", "ge-15"):
        assert any("shorter than under independent loss" in note for note in describe(name)["notes"])
    for name in ("uniform-10", "EP4"):
        assert describe(name)["notes"] == []


@pytest.mark.parametrize("name", ["EP4", "ge-15", "uniform-5"])
def test_show_as_json(name: str) -> None:
    result = run("show", name, "--packets", "12", "--json")
    assert result.exit_code == 0
    facts = json.loads(result.output)
    channel = preset(name)
    assert facts["name"] == name
    assert facts["variant"] == "corrected"
    assert facts["valid"] is True
    assert facts["error"] is None
    assert facts["loss_rate"] == channel.loss_rate
    assert facts["mean_burst"] == channel.mean_burst
    assert facts["autocorrelation"] == [channel.autocorrelation(k) for k in range(1, 11)]
    assert facts["loss_count_probabilities"] == channel.loss_count_probabilities(12).tolist()
    assert sum(facts["independent"]["loss_count_probabilities"]) == pytest.approx(1)
    assert facts["published"]["loss_rate"] == published(name)["loss_rate"]
    assert facts["published"]["mean_burst"] == published(name).get("mean_burst")


def test_show_of_what_is_no_chain() -> None:
    result = run("show", "EP3", "--variant", "printed", "--json")
    facts = json.loads(result.output)
    assert result.exit_code == 0
    assert facts["valid"] is False
    assert "rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)" in facts["error"]
    assert facts["loss_count_probabilities"] is None
    assert facts["published"] == {"loss_rate": 0.065, "mean_burst": 5.0}
    refused = run("show", "EP3-printed")
    assert isinstance(refused.exception, InputError)  # the main command makes exit code 2 of it
    assert "sums to 1.6" in str(refused.exception)
    assert "EP3-released" in str(refused.exception)


def test_text_fits_a_terminal_and_says_the_numbers() -> None:
    for arguments, words in (
        ([], ["EP5 printed: loses 50.0 % where the paper says 21.4 %", "sums to 1.0024", "ge-15", "13.83 %"]),
        (["show", "EP4"], ["13.832 %", "(paper: 13.80 %)", "0.9363", "lost of 10", "independent"]),
        (["show", "EP3-released", "--packets", "3"], ["5.882 %", "lost of 3", "where the paper says 6.5 %"]),
        (["show", "{loss_rate: 0.1, mean_burst: 4}"], ["loss 10 % burst 4", "mean burst  4.000"]),
    ):
        result = run(*arguments)
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert max(map(len, result.output.splitlines())) <= 100
        for word in words:
            assert word in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "EP9"], "unknown channel `EP9`"),
        (["show", "EP4", "--variant", "fixed"], "EP4 has no variant `fixed`"),
        (["show", "EP4-released", "--variant", "printed"], "EP4-released"),
        (["show", "EP4", "--packets", "0"], "0 packets"),
        (["show", "{loss_rate: 0.1}", "--variant", "printed"], "is not a preset"),
        (["show", "{loss_rate: [0.1}"], "not readable as YAML"),
        (["show", "{loss_rate: 2}"], "loss_rate 2 is not a probability"),
    ],
)
def test_mistakes_are_input_errors(arguments: list[str], message: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, InputError)
    assert message in str(error)


def test_channels_without_closed_forms_are_described_as_far_as_known(tmp_path: Path) -> None:
    (tmp_path / "dead.txt").write_text("# 1=lost\n1111\n")
    facts = describe({"trace": "dead.txt"}, packets=2, base_dir=tmp_path)
    assert facts["mean_burst"] is None  # infinite, which JSON has no word for
    assert facts["loss_count_probabilities"] == [0, 0, 1]
    switch = describe({"switch": ["EP3", "EP5"]})
    assert switch["valid"] is True
    assert switch["loss_rate"] is switch["loss_count_probabilities"] is switch["independent"] is None
    json.dumps([facts, switch], allow_nan=False)
    assert run("show", "{switch: [EP3, EP5]}").exit_code == 0


def test_discrepancies_of_what_a_scenario_says() -> None:
    assert discrepancies("EP4") == []
    assert discrepancies({"loss_rate": 0.1}) == []
    assert discrepancies({"preset": "EP5", "variant": "printed"}) == ["loses 50.0 % where the paper says 21.4 %"]
    assert discrepancies("EP3-released") == discrepancies({"preset": "EP3-released"})
    assert len(discrepancies({"switch": ["EP3-released", "EP4"]})) == 2

"""What a scenario may say of a channel, and which errors name what is wrong."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.channels import (
    Channel,
    MarkovChannel,
    SwitchingChannel,
    TraceChannel,
    bernoulli,
    channel_from_spec,
    expand_range,
    preset,
)
from netsim.errors import InputError

ROWS = [[0.9, 0.1], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("spec", "name", "loss_rate"),
    [
        ("EP4", "EP4", preset("EP4").loss_rate),
        ("EP3-released", "EP3-released", preset("EP3", "released").loss_rate),
        ("ge-15", "ge-15", 0.15),
        ("uniform-10", "uniform-10", 0.1),
        ({"preset": "EP3", "variant": "released"}, "EP3-released", preset("EP3", "released").loss_rate),
        ({"preset": "EP5-released"}, "EP5-released", 0.2),
        ({"preset": "EP3", "name": "mine"}, "mine", 0.065),
        ({"loss_rate": 0.1}, "loss 10 %", 0.1),
        ({"loss_rate": "5%"}, "loss 5 %", 0.05),
        ({"loss_rate": 0}, "loss 0 %", 0),
        ({"loss_rate": 0.1, "mean_burst": 4}, "loss 10 % burst 4", 0.1),
        ({"p": 0.25, "r": 0.75, "h": 0, "k": 1}, "GE loss 25 % burst 1.333", 0.25),
        ({"p_good": 0.9, "p_bad": 0.6, "p_intermediate": 0, "p_bad_to_good": 0.4}, "3-state loss 20 % burst 2.5", 0.2),
        ({"states": ["up", "down"], "rows": ROWS, "loss": [0, 1]}, "chain up-down", 1 / 6),
        ({"rows": ROWS, "loss": [0, 1], "name": "mine"}, "mine", 1 / 6),
    ],
)
def test_forms(spec: Any, name: str, loss_rate: float) -> None:
    channel = channel_from_spec(spec)
    assert isinstance(channel, MarkovChannel)
    assert channel.name == name
    assert channel.loss_rate == pytest.approx(loss_rate, abs=1e-6)
    assert (channel.start, channel.step_s) == ("stationary", None)


@pytest.mark.parametrize(
    "spec",
    [
        {"preset": "EP3"},
        {"preset": "uniform-5"},
        {"loss_rate": 0.1},
        {"loss_rate": 0.1, "mean_burst": 4},
        {"p": 0.25, "r": 0.75, "h": 0, "k": 1},
        {"p_good": 0.9, "p_bad": 0.5, "p_intermediate": 0, "p_bad_to_good": 0.5},
        {"states": ["G", "B"], "rows": ROWS, "loss": [0, 1]},
    ],
)
def test_every_chain_takes_name_start_and_step(spec: dict[str, Any]) -> None:
    channel = channel_from_spec({**spec, "name": "mine", "start": "G", "step_s": 0.02})
    assert isinstance(channel, MarkovChannel)
    assert (channel.name, channel.start, channel.step_s) == ("mine", "G", 0.02)


def test_traces_are_found_from_the_base_folder(tmp_path: Path) -> None:
    (tmp_path / "lost.txt").write_text("# 1=lost\na 0010\nb 1111\n")
    channel = channel_from_spec({"trace": "lost.txt", "link": "a", "step_s": 0.1}, tmp_path)
    assert isinstance(channel, TraceChannel)
    assert (channel.name, channel.loss_rate, channel.step_s) == ("trace lost a", 0.25, 0.1)
    (tmp_path / "numbers.txt").write_text("# 1=lost\n7 0011\n8 1111\n")
    assert channel_from_spec({"trace": "numbers.txt", "link": 7}, tmp_path).name == "trace numbers 7"


def test_switches_hold_any_channels() -> None:
    channel = channel_from_spec({"switch": ["EP3", {"loss_rate": 0.2}], "probabilities": [0.25, 0.75], "step_s": 0.5})
    assert isinstance(channel, SwitchingChannel)
    assert channel.name == "switch EP3/loss 20 %"
    assert channel.probabilities == (0.25, 0.75)
    assert channel.step_s == 0.5


@pytest.mark.parametrize(
    ("spec", "key", "message", "hint"),
    [
        ("EP7", (), "unknown channel `EP7`", "EP"),
        ("ep4", (), "unknown channel `ep4`", "`EP4`"),
        ("EP3-printed", (), "EP3 as printed is not a chain: rows[1] (state B) sums to 1.6", "EP3-released"),
        ({"preset": "EP9"}, ("preset",), "unknown preset `EP9`", "EP"),
        ({"preset": "EP2", "variant": "printed"}, ("variant",), "EP2 as printed is not a chain: rows[1]", "EP2"),
        ({"preset": "EP2-printed"}, ("preset",), "EP2 as printed is not a chain: rows[1]", "EP2"),
        ({"preset": "EP2-released", "variant": "printed"}, ("variant",), "preset EP2-released with variant", "once"),
        ({"preset": "EP2", "variant": "fixed"}, ("variant",), "EP2 has no variant `fixed`", "corrected"),
        ({"preset": "EP2", "start": "X"}, ("start",), "unknown start `X`", "stationary"),
        ({"preset": 3}, ("preset",), "preset is 3", "text"),
        ({"los_rate": 0.1}, ("los_rate",), "no key `los_rate`", "`loss_rate`"),
        ({"loss_rate": 0.1, "mean_brust": 3}, ("mean_brust",), "no key `mean_brust`", "`mean_burst`"),
        ({"loss_rate": -0.1}, ("loss_rate",), "loss_rate -0.1 is not a probability", "between 0 and 1"),
        (
            {"loss_rate": -0.1, "mean_burst": 3},
            ("loss_rate",),
            "loss_rate -0.1 is not a probability",
            "between 0 and 1",
        ),
        ({"loss_rate": "many"}, ("loss_rate",), "loss_rate is 'many'", "number"),
        ({"loss_rate": True}, ("loss_rate",), "loss_rate is True", "number"),
        ({"loss_rate": 0.1, "mean_burst": 0.5}, ("mean_burst",), "mean_burst 0.5 is below 1", "at least one packet"),
        ({"loss_rate": 0.9, "mean_burst": 4}, ("mean_burst",), "P(G→B) = 2.25, above 1", "at least 9 packets"),
        ({"loss_rate": 0.1, "step_s": -1}, ("step_s",), "step_s -1 is not a time step", "above"),
        ({"preset": "EP4", "step_s": 1e-20}, ("step_s",), "step_s 1e-20 is not a time step", "1e-09"),
        ({"mean_burst": 4}, (), "lacks `loss_rate`", "`loss_rate`"),
        ({"p": 0.1, "r": 0.5, "h": 0.5}, (), "lacks `k`", "`p`, `r`, `h`, `k`"),
        ({"p": 0.1, "r": 1.5, "h": 0.5, "k": 1}, ("r",), "r 1.5 is not a probability", "between 0 and 1"),
        (
            {"p_good": 0.9, "p_bad": 0.8, "p_intermediate": 0.6, "p_bad_to_good": 0.8},
            ("p_bad",),
            "rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)",
            "p_bad + p_bad_to_good",
        ),
        ({"rows": [[0.5, 0.6], [1, 0]], "loss": [0, 1]}, ("rows", 0), "rows[0] (state S0) sums to 1.1", "sum to 1"),
        (
            {"rows": [[0.95, 0.05, 0], [0.8, 0.8, 0], [0, 0.4, 0.6]], "loss": [0, 1, 0], "states": ["G", "B", "I"]},
            ("rows", 1),
            "rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)",
            "EP3 as printed in the paper has this fault",
        ),
        ({"rows": [0.5, 0.5], "loss": [0]}, ("rows", 0), "rows[0] is 0.5", "list"),
        ({"rows": "G B", "loss": [0]}, ("rows",), "rows is 'G B'", "list"),
        ({"trace": "nowhere.txt"}, ("trace",), "cannot read trace", "0s and 1s"),
        ({"trace": "nowhere.txt", "start": "G"}, ("start",), "no key `start`", "link"),
        ({"switch": []}, ("switch",), "a switch without channels", "at least one"),
        ({"switch": ["EP3", {"preset": "EPX"}]}, ("switch", 1, "preset"), "unknown preset `EPX`", "EP"),
        ({"switch": ["EP3"], "probabilities": [0.5]}, ("probabilities",), "probabilities [0.5]", "summing to 1"),
        ({"switch": ["EP3"], "probabilities": ["x"]}, ("probabilities",), "'x'", "number"),
        ({"name": "only"}, (), "is not a valid channel", "preset"),
        (7, (), "7 is not a valid channel", "preset"),
        (["EP3"], (), "['EP3'] is not a valid channel", "preset"),
    ],
)
def test_mistakes_are_named_placed_and_explained(spec: Any, key: tuple[Any, ...], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        channel_from_spec(spec)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.key == key


def test_a_range_takes_no_memory() -> None:
    for text in ("EP1..EP1001", "EP1..EP999999999", "EP1..EP" + "9" * 5000):
        with pytest.raises(InputError):
            expand_range(text)


def test_ranges() -> None:
    assert expand_range("EP1..EP6") == [f"EP{i}" for i in range(1, 7)]
    assert expand_range("EP4") == ["EP4"]
    assert expand_range("EP3-released..EP4-released") == ["EP3-released", "EP4-released"]
    for text in (
        "EP6..EP1",
        "EP1..GE3",
        "EP1..",
        "EP1..EP2..EP3",
        "EP..EP",
        "EP1..EP3-released",
    ):
        with pytest.raises(InputError, match="is not a range"):
            expand_range(text)


def every_second(offset: int = 0) -> Channel:
    """A third party's channel."""
    return TraceChannel(f"every second from {offset}", [np.arange(2) == offset])


def not_a_channel() -> str:
    return "no"


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        name: EntryPoint(name, f"{__name__}:{target}", "netsim.channels")
        for name, target in (("every-second", "every_second"), ("wrong", "not_a_channel"))
    }
    monkeypatch.setattr(registry, "_group", lambda group: points)


@pytest.mark.usefixtures("third_party")
def test_third_party_channels() -> None:
    assert channel_from_spec("every-second").name == "every second from 0"
    assert channel_from_spec({"every-second": {"offset": 1}}).name == "every second from 1"
    channel = channel_from_spec({"every-second": None, "name": "mine", "step_s": 2})
    assert (channel.name, channel.step_s) == ("mine", 2)
    with pytest.raises(InputError, match="offst") as caught:
        channel_from_spec({"every-second": {"offst": 1}})
    assert caught.value.key == ("every-second", "offst")
    assert "offset" in caught.value.hint
    with pytest.raises(InputError, match="gets 3"):
        channel_from_spec({"every-second": 3})
    with pytest.raises(InputError, match="unknown channel `every-secnd`") as caught:
        channel_from_spec("every-secnd")
    assert "`every-second`" in caught.value.hint
    with pytest.raises(InputError, match="not a channel"):
        channel_from_spec("wrong")


def test_a_spec_is_left_as_it_was() -> None:
    spec = {"switch": [{"loss_rate": 0.1}], "step_s": 1}
    channel_from_spec(spec)
    assert spec == {"switch": [{"loss_rate": 0.1}], "step_s": 1}
    assert bernoulli(0.1).step_s is None


NETEM = {"p": "1%", "r": "10%"}


@pytest.mark.parametrize(
    "losses",
    [
        {"1-h": "70%", "1-k": "0.1%"},
        {"loss_bad": 0.7, "loss_good": 0.001},
        {"h": "30%", "k": "99.9%"},
        {"1-h": 0.7, "k": 0.999},
    ],
)
def test_netems_keys_are_losses_in_the_states(losses: dict[str, object]) -> None:
    """p/(p+r)·(1−h) + r/(p+r)·(1−k)"""
    channel = channel_from_spec({**NETEM, **losses})
    assert channel.loss_rate == pytest.approx(0.01 / 0.11 * 0.7 + 0.1 / 0.11 * 0.001, abs=1e-12)
    assert round(channel.loss_rate, 6) == 0.064545


@pytest.mark.parametrize(
    ("losses", "message", "key"),
    [
        ({"1-h": "70%", "h": "30%", "k": 1}, "say the same thing", ("1-h",)),
        ({"1-h": "70%", "loss_bad": "30%", "k": 1}, "say the same thing", ("loss_bad",)),
        ({"1-h": "170%", "1-k": 0}, "1-h 1.7 is not a probability", ("1-h",)),
        ({"1-h": "70%"}, "lacks `k`", ()),
    ],
)
def test_netems_keys_are_checked(losses: dict[str, object], message: str, key: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        channel_from_spec({**NETEM, **losses})
    assert message in str(caught.value)
    assert caught.value.key == key
    if not key:
        assert "`1-k`" in caught.value.hint


@pytest.mark.parametrize(
    "rate",
    ["1..2%", "%", ".%", "1.2.3%", float("nan"), float("inf"), -(10**400), "ten", None, True],
    ids=lambda rate: str(rate)[:9],
)
def test_what_is_no_number_is_refused(rate: object) -> None:
    with pytest.raises(InputError, match="loss_rate"):
        channel_from_spec({"loss_rate": rate})


def test_a_trace_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").write_text("# 1=lost\n0010\n")
    assert channel_from_spec({"trace": "~/x"}, tmp_path / "elsewhere").loss_rate == 0.25


@pytest.mark.parametrize("path", ["~nobody-has-this-name/x", "a\0b", "x" * 300, "\ud800"])
def test_paths_that_no_file_has_are_refused(path: str) -> None:
    with pytest.raises(InputError) as caught:
        channel_from_spec({"trace": path})
    assert caught.value.key == ("trace",)


@pytest.mark.parametrize("r", [1e-320, 5e-324])
def test_probabilities_too_small_to_compute_with_are_refused(r: float) -> None:
    """p/(p+r) overflows on the way: no NaN comes out."""
    with pytest.raises(InputError, match="too small"):
        channel_from_spec({"p": 0.5, "r": r, "h": 0, "k": 1})
    assert channel_from_spec({"p": 0.5, "r": 1e-300, "h": 0, "k": 1}).loss_rate == 1

"""The presets do what the papers print, what the releases run, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.channels import preset, preset_names, preset_variants, published
from netsim.channels.presets import printed_fault, split_variant
from netsim.errors import InputError

EPS = [f"EP{i}" for i in range(1, 7)]


@pytest.mark.parametrize("name", EPS)
def test_corrected_has_the_printed_loss_rate_and_burst(name: str) -> None:
    channel, printed = preset(name), published(name)
    exact = name in ("EP3", "EP5")
    # the others follow from printed rows of four digits
    assert channel.loss_rate == pytest.approx(
        printed["loss_rate"], rel=1e-12 if exact else 0.005, abs=1e-4 * (not exact)
    )
    assert channel.mean_burst == pytest.approx(printed["mean_burst"], rel=1e-12 if exact else 0.005)


@pytest.mark.parametrize("name", ["EP1", "EP4", "EP6"])
def test_sound_patterns_are_alike_in_all_variants(name: str) -> None:
    for variant in ("released", "printed"):
        np.testing.assert_array_equal(preset(name, variant).transition, preset(name).transition)


def test_two_state_corrections() -> None:
    for name, to_bad in (("EP3", 0.01390), ("EP5", 0.02723)):
        channel = preset(name)
        assert channel.states == ("G", "B")
        assert channel.transition[0, 1] == pytest.approx(to_bad, abs=5e-6)
        assert channel.transition[1, 0] == pytest.approx(1 / published(name)["mean_burst"])


def test_ep2_is_scaled_in_row_b_alone() -> None:
    channel, printed = preset("EP2"), published("EP2")
    ratio = channel.transition[1, 0] / channel.transition[1, 1]
    assert ratio == pytest.approx(printed["p_bad_to_good"] / printed["p_bad"])
    assert channel.transition[1, 2] == 0
    assert channel.transition[0].tolist() == pytest.approx([printed["p_good"], 1 - printed["p_good"], 0])


@pytest.mark.parametrize(
    ("name", "loss_rate", "mean_burst"), [("EP2", 0.0310, 1.5863), ("EP3", 0.0588, 1.25), ("EP5", 0.2000, 2.50)]
)
def test_released_is_the_clipped_chain(name: str, loss_rate: float, mean_burst: float) -> None:
    channel = preset(name, "released")
    assert channel.loss_rate == pytest.approx(loss_rate, abs=5e-5)
    assert channel.mean_burst == pytest.approx(mean_burst, abs=5e-5)


@pytest.mark.parametrize("name", EPS)
def test_released_row_b_is_sampled_as_the_release_does(name: str) -> None:
    """One uniform u: below p_BG to G, above p_BG + p_B to I, else B."""
    numbers = published(name) | ({"p_bad_to_good": 0.4} if name == "EP5" else {})
    good, bad = numbers["p_bad_to_good"], numbers["p_bad"]
    u = (np.arange(100_000) + 0.5) / 100_000
    after = np.where(u < good, 0, np.where(u > good + bad, 2, 1))
    share = np.bincount(after, minlength=3) / len(u)
    np.testing.assert_allclose(preset(name, "released").transition[1], share, atol=1e-5)


def test_the_release_starts_uniformly_if_asked() -> None:
    """EP1's first packet is then lost with probability .62, and 1,000 packets lose .0061 instead of .0021."""
    channel = preset("EP1", "released", start="uniform")
    assert channel.loss_count_probabilities(1)[1] == pytest.approx(0.62, abs=0.005)
    state, expected = channel.start_distribution, 0.0
    for _ in range(1000):
        state = np.asarray(state @ channel.transition)
        expected += float(state @ channel.loss)
    assert expected / 1000 == pytest.approx(0.0061, abs=5e-5)


@pytest.mark.parametrize("name", ["EP1", "EP4", "ge-15"])
def test_by_default_the_first_packet_is_lost_like_any_other(name: str) -> None:
    assert preset(name).loss_count_probabilities(1)[1] == pytest.approx(preset(name).loss_rate, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "total"), [("EP2", "1.0024 (0.6304 + 0.372 + 0.0)"), ("EP3", "1.6 (0.8 + 0.8 + 0.0)")]
)
def test_printed_patterns_that_are_no_chain_are_refused(name: str, total: str) -> None:
    with pytest.raises(InputError) as caught:
        preset(name, "printed")
    assert caught.value.message == f"{name} as printed is not a chain: rows[1] (state B) sums to {total}"
    assert f"{name}-released" in caught.value.hint


def test_ep5_as_printed_loses_half() -> None:
    channel = preset("EP5", "printed")
    assert channel.loss_rate == pytest.approx(0.5, abs=1e-12)
    assert channel.mean_burst == pytest.approx(10)


@pytest.mark.parametrize(("name", "rate", "correlation"), [("ge-10", 0.1, -0.010), ("ge-15", 0.15, -0.070)])
def test_gilbert_elliott_presets(name: str, rate: float, correlation: float) -> None:
    channel = preset(name)
    assert channel.loss_rate == pytest.approx(rate, abs=1e-6)
    assert channel.mean_burst == pytest.approx(1.100, abs=5e-4)
    assert channel.autocorrelation(1) == pytest.approx(correlation, abs=5e-4)
    printed = published(name)
    assert 1 - preset(name, "printed").transition[0, 0] == pytest.approx(printed["p"])
    assert preset(name, "printed").loss.tolist() == pytest.approx([1 - printed["k"], 1 - printed["h"]])
    # the paper's three digits are the release's, cut off
    for ours, key in ((channel.transition[0, 1], "p"), (channel.transition[1, 0], "r")):
        assert 0 <= ours - printed[key] < 1e-3


@pytest.mark.parametrize("percent", [5, 10, 20])
def test_uniform_presets(percent: int) -> None:
    channel = preset(f"uniform-{percent}")
    assert channel.loss_rate == percent / 100
    assert preset_variants(channel.name) == ("corrected",)
    assert preset(channel.name, start="G").start == "G"


def test_names_tell_the_variant() -> None:
    assert preset("EP3").name == "EP3"
    assert preset("EP3", "released").name == "EP3-released"
    assert preset("EP3", label="mine").name == "mine"
    assert split_variant("EP3-released") == ("EP3", "released")
    assert split_variant("uniform-5") == ("uniform-5", None)
    assert preset_names() == ["uniform-5", "uniform-10", "uniform-20", "ge-10", "ge-15", *EPS]


@pytest.mark.parametrize(
    ("name", "variant", "near"),
    [("EP7", "corrected", "EP"), ("ep4", "corrected", "`EP4`"), ("EP4", "printd", "`printed`")],
)
def test_unknown_names_get_the_nearest(name: str, variant: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        preset(name, variant)
    assert near in caught.value.hint


def test_typed_matrices_with_a_papers_fault_are_recognised() -> None:
    typed = [[0.9798, 0.0202, 0], [0.6304, 0.372, -0.0024], [0, 0.6667, 0.3333]]
    assert printed_fault(typed).startswith("EP2 as printed")
    assert printed_fault([[0.5, 0.6], [0.5, 0.5]]) == ""
    assert printed_fault([["a"], [1, 2]]) == ""  # type: ignore[list-item]

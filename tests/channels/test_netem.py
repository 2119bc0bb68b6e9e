"""Loss lines of netem, read and written, against a simulation of its state machines and of ns-3's and ns.py's.

The simulations are written from tc-netem(8), from the paper that its models come from, and from the documentation of
the other simulators; they share nothing with the channels.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from netsim.channels import MarkovChannel, burst, channel_from_spec, preset
from netsim.channels.export import export_channel
from netsim.channels.netem import is_netem, netem_channel
from netsim.errors import InputError

PACKETS = 300_000
WINDOW = 6
SIGMA = 6.0  # of window counts; windows of one sequence depend on each other, hence the wide margin


def probability(word: str) -> float:
    return float(word.rstrip("%")) / 100


def netem_gemodel(words: list[str], rng: random.Random) -> Iterator[bool]:
    """Lost or not, packet by packet: netem looks at the state that the packet meets, then at where it goes."""
    p, *rest = map(probability, words)
    r, bad_loss, good_loss = [*rest, *[1 - p, 1.0, 0.0][len(rest) :]]
    good = True
    while True:
        leaves, u = rng.random(), rng.random()
        yield u < (good_loss if good else bad_loss)
        if leaves < (p if good else r):
            good = not good


def netem_state(words: list[str], rng: random.Random) -> Iterator[bool]:
    """The chain of four states by the names of the paper; one random number moves it, and the new state decides."""
    p13, *rest = map(probability, words)
    p31, p32, p23, p14 = [*rest, *[1 - p13, 0.0, 1.0, 0.0][len(rest) :]]
    ways = {
        "received in gap": [(p14, "lost in gap"), (p13, "lost in burst")],
        "received in burst": [(p23, "lost in burst")],
        "lost in burst": [(p32, "received in burst"), (p31, "received in gap")],
        "lost in gap": [(1.0, "received in gap")],
    }
    state = "received in gap"
    while True:
        u, total = rng.random(), 0.0
        for chance, target in ways[state]:
            total += chance
            if u < total:
                state = target
                break
        yield state.startswith("lost")


def netem(line: str, seed: int) -> np.ndarray:
    """bool [PACKETS], True = received."""
    loss, model, *words = line.split()
    assert loss == "loss"
    rng = random.Random(seed)
    machines: dict[str, Callable[[list[str], random.Random], Iterator[bool]]] = {
        "gemodel": netem_gemodel,
        "state": netem_state,
    }
    if model in machines:
        lost = machines[model](words, rng)
        return np.array([not next(lost) for _ in range(PACKETS)])
    rate = probability(words[0] if model == "random" else model)
    return np.array([rng.random() >= rate for _ in range(PACKETS)])


def assert_same_law(channel: MarkovChannel, received: np.ndarray) -> None:
    """Masks of windows that follow each other, six packets each, against the channel's exact law."""
    windows = received[: len(received) // WINDOW * WINDOW].reshape(-1, WINDOW)
    masks = np.bincount(windows @ (1 << np.arange(WINDOW)), minlength=2**WINDOW) / len(windows)
    expected = channel.mask_probabilities(WINDOW)
    # neighbouring windows are correlated: the effective number is smaller by the chain's memory
    memory = 1 + 2 * sum(max(0.0, channel.autocorrelation(lag)) for lag in range(1, 60))
    error = np.sqrt(expected * (1 - expected) * memory / len(windows))
    worst = np.abs(masks - expected) / (error + 1e-5)
    assert worst.max() < SIGMA, f"mask {int(worst.argmax()):06b}"


LINES = [
    "loss 5%",
    "loss random 12.5%",
    "loss gemodel 20%",
    "loss gemodel 3% 40%",
    "loss gemodel 3% 40% 70%",
    "loss gemodel 1% 10% 70% 0.1%",
    "loss gemodel 41.7% 97.3% 38% 5.2%",
    "loss state 5%",
    "loss state 5% 60%",
    "loss state 5% 30% 40%",
    "loss state 5% 30% 40% 80%",
    "loss state 5% 30% 40% 80% 2%",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_netem_loses_as_netem_does(line: str) -> None:
    assert_same_law(netem_channel(line), netem(line, 1))


def test_the_comparison_finds_a_difference() -> None:
    with pytest.raises(AssertionError):
        assert_same_law(netem_channel("loss gemodel 3% 40% 70%"), netem("loss gemodel 3% 40% 90%", 1))
    with pytest.raises(AssertionError):
        assert_same_law(netem_channel("loss gemodel 3% 40%"), netem("loss gemodel 3% 55%", 1))


def test_a_scenario_reads_lines_as_they_are() -> None:
    whole = "tc qdisc add dev eth0 root netem loss gemodel 1% 10% 70% 0.1%"
    channel = channel_from_spec(whole)
    assert isinstance(channel, MarkovChannel)
    assert channel.name == "loss gemodel 1% 10% 70% 0.1%"
    assert channel.loss_rate == pytest.approx(0.01 / 0.11 * 0.7 + 0.1 / 0.11 * 0.001)
    named = channel_from_spec({"netem": "loss gemodel 1 10 70 .1", "name": "mine", "start": "G", "step_s": 0.1})
    assert (named.name, named.step_s) == ("mine", 0.1)
    np.testing.assert_array_equal(named.transition, channel.transition)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("loss", None),
        ("loss gemodel", "0 numbers"),
        ("loss gemodel 1% 2% 3% 4% 5%", "5 numbers"),
        ("loss gemodel 1% x", "r is `x`"),
        ("loss gemodel 101%", "p is 101%"),
        ("loss gemodel -1%", "p is `-1%`"),
        ("loss state 60% 10% 10% 10% 50%", "p13 [+] p14 is 110%"),
        ("loss state 60% 60% 50%", "p31 [+] p32 is 110%"),
        ("loss random 1% 25%", "a correlation of random loss"),
        ("loss 1% 25%", "a correlation of random loss"),
        ("loss ecn", "probability is `ecn`"),
        ("netem delay 10ms", "has no `loss`"),
    ],
)
def test_what_netem_would_not_take_is_refused(line: str, message: str | None) -> None:
    if message is None:
        assert not is_netem(line)
        return
    with pytest.raises(InputError, match=message):
        channel_from_spec(line)


@pytest.mark.parametrize("name", ["uniform-10", "ge-10", "ge-15", "EP1", "EP2", "EP3", "EP4", "EP5", "EP6"])
def test_every_preset_exported_to_netem_loses_as_it_does_here(name: str) -> None:
    line = export_channel(preset(name), "netem")
    assert_same_law(preset(name), netem(line, 2))
    again = netem_channel(line)
    np.testing.assert_allclose(again.mask_probabilities(8), preset(name).mask_probabilities(8), atol=1e-9)


def test_the_chain_of_four_states_is_exported_with_all_its_numbers() -> None:
    channel = netem_channel("loss state 5% 30% 40% 80% 2%")
    assert export_channel(channel, "netem") == "loss state 5% 30% 40% 80% 2%"


@pytest.mark.parametrize("p13", ["1%", "99%"])
def test_a_chain_of_isolated_losses_and_bursts_needs_no_state_2(p13: str) -> None:
    """States 1, 3 and 4 alone."""
    line = f"loss state {p13} 30% 0% 100% 1%"
    assert export_channel(netem_channel(line), "netem") == line


def kernel_state(line: str, seed: int) -> np.ndarray:
    """``state`` in whole numbers of 32 bits, as net/sched/sch_netem.c compares and adds them and tc rounds them."""
    p13, p31, p32, p23, p14 = (round(probability(word) * 0xFFFFFFFF) for word in [*line.split()[2:], "0%"][:5])
    rng, state, received = random.Random(seed), 1, []
    for _ in range(PACKETS):
        u = rng.getrandbits(32)
        if state == 1:
            state = 4 if u < p14 else 3 if p14 < u < (p13 + p14) & 0xFFFFFFFF else 1
        elif state == 2:
            state = 3 if u < p23 else 2
        elif state == 3:
            state = 2 if u < p32 else 1 if p32 < u < (p31 + p32) & 0xFFFFFFFF else 3
        else:
            state = 1
        received.append(state < 3)
    return np.array(received)


def test_two_halves_do_not_start_again_at_zero_in_the_kernel() -> None:
    """tc rounds 50 % up to 2^31, and the kernel's sum of two of them is 0: bursts would not end in state 1."""
    halves = MarkovChannel("halves", [[0.9, 0, 0.1], [0, 0.6, 0.4], [0.5, 0.5, 0]], [0, 0, 1], ["1", "2", "3"])
    line = export_channel(halves, "netem")
    assert line == "loss state 10% 50% 49.9999999% 40%"
    assert_same_law(halves, kernel_state(line, 5))
    assert halves.loss_rate == pytest.approx(4 / 29)
    assert kernel_state("loss state 10% 50% 50% 40%", 5).mean() == pytest.approx(5 / 9, abs=0.01)  # only 2 and 3 remain
    assert_same_law(preset("EP6"), kernel_state(export_channel(preset("EP6"), "netem"), 6))
    for wrong, names in (("loss state 10% 50% 50%", "p31 and p32"), ("loss state 50% 9% 0% 9% 50%", "p13 and p14")):
        with pytest.raises(InputError, match=f"{names} are both 50%"):
            netem_channel(wrong)


def test_states_that_nothing_tells_apart_are_one() -> None:
    """The bad state split in two that end alike: still Gilbert's chain, for netem and for ns-3."""
    split = MarkovChannel("split", [[0.9, 0.03, 0.07], [0.2, 0.5, 0.3], [0.2, 0.1, 0.7]], [0, 1, 1])
    whole = MarkovChannel("whole", [[0.9, 0.1], [0.2, 0.8]], [0, 1])
    np.testing.assert_allclose(split.mask_probabilities(8), whole.mask_probabilities(8), atol=1e-12)
    assert export_channel(split, "netem") == "loss gemodel 10% 20%"
    assert export_channel(split, "ns3") == export_channel(whole, "ns3")


def test_what_no_model_of_netem_can_do_is_refused_with_the_reason() -> None:
    hidden = MarkovChannel("mine", [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7]], [0, 0.5, 1])
    with pytest.raises(InputError, match="netem has no model with the law of mine") as caught:
        export_channel(hidden, "netem")
    assert "gemodel has two states" in caught.value.hint
    with pytest.raises(InputError, match="steps every"):
        export_channel(preset("EP4", step_s=0.1), "netem")
    with pytest.raises(InputError, match="not a Markov chain"):
        export_channel(channel_from_spec({"switch": ["EP3", "EP5"]}), "netem")
    with pytest.raises(InputError, match="can't export to") as caught:
        export_channel(preset("EP4"), "ns2")
    assert "`ns3`" in caught.value.hint


# ns-3 ---------------------------------------------------------------------------------------------------------


def ns3_burst(rate: float, mean: float, seed: int) -> np.ndarray:
    """BurstErrorModel as its documentation has it: an event at any packet begins a burst of whole packets."""
    rng = random.Random(seed)
    received, left = [], 0
    for _ in range(PACKETS):
        if rng.random() < rate:
            left = int(rng.expovariate(1 / mean))
        received.append(left == 0)
        left = max(0, left - 1)
    return np.array(received)


@pytest.mark.parametrize("channel", [burst(0.1, 4), burst(0.3, 1.8), preset("EP3"), preset("EP5"), preset("EP1")])
def test_bursts_exported_to_ns3_lose_as_they_do_here(channel: MarkovChannel) -> None:
    text = export_channel(channel, "ns3")
    rate = float(text.split('BurstRate", DoubleValue (')[1].split(")")[0])
    mean = float(text.split("Mean=")[1].split("]")[0])
    assert_same_law(channel, ns3_burst(rate, mean, 3))


def test_independent_loss_for_ns3_and_what_ns3_can_not_do() -> None:
    assert 'SetAttribute ("ErrorRate", DoubleValue (0.1))' in export_channel(preset("uniform-10"), "ns3")
    with pytest.raises(InputError, match="ns-3 has no model") as caught:
        export_channel(preset("EP4"), "ns3")
    assert "no hidden states" in caught.value.hint
    with pytest.raises(InputError, match=r"P\(G→B\) is 0\.8") as caught:
        export_channel(MarkovChannel("short", [[0.2, 0.8], [0.9, 0.1]], [0, 1]), "ns3")


# ns.py --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform-10", "ge-15", "EP6"])
def test_a_function_for_nspy_loses_as_it_does_here(name: str) -> None:
    scope: dict[str, object] = {}
    exec(export_channel(preset(name), "ns-py"), scope)
    loss_dist = scope["loss_dist"]
    assert callable(loss_dist)
    random.seed(7)
    received = [random.uniform(0, 1) >= loss_dist(packet_id=i) for i in range(PACKETS)]
    assert_same_law(preset(name), np.array(received))

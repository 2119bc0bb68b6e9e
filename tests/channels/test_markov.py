"""One packet, many packets and many trials give the same bits; matrices that are not a chain are refused by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels import MarkovChannel, bernoulli, burst, gilbert_elliott, preset, three_state
from netsim.channels.markov import COMPILED_FROM
from netsim.errors import InputError
from tests.channels.brute_force import valid_presets
from tests.channels.test_statistics import chains

LAST = 1 - 2**-53  # the largest uniform below one


def one_by_one(channel: MarkovChannel, uniforms: Any, state: int, steps: Any) -> tuple[list[bool], int]:
    every = np.broadcast_to(steps, len(uniforms)).tolist()
    received = []
    for (u_step, u_loss), k in zip(uniforms.tolist(), every, strict=True):
        arrived, state = channel.receive_one(u_step, u_loss, state, k)
        received.append(arrived)
    return received, state


@pytest.mark.parametrize("channel", list(valid_presets()), ids=lambda c: c.name)
def test_receive_is_receive_one_n_times(channel: MarkovChannel) -> None:
    rng = np.random.default_rng(11)
    for n in (1, 10, COMPILED_FROM - 1, COMPILED_FROM, 5000):
        uniforms = rng.random((n, 2))
        received, state = channel.receive(uniforms, 0)
        assert (received.tolist(), state) == one_by_one(channel, uniforms, 0, 1)
        assert received.dtype == bool
        assert type(state) is int


@settings(max_examples=40, deadline=None)
@given(chains(), st.sampled_from([0, 1, 2, 7, "varying"]), st.sampled_from([3, 700]), st.integers(0, 2**32 - 1))
def test_steps_give_the_same_bits_on_every_path(channel: MarkovChannel, steps: Any, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    uniforms = rng.random((3, n, 2))
    # values on the borders decide alike, too
    uniforms[0, :3, 0] = [0.0, LAST, channel.transition[0, 0] % 1]
    states = rng.integers(0, len(channel.states), 3)
    steps = rng.integers(0, 5, n) if steps == "varying" else steps
    received, after = channel.receive_many(uniforms, states, steps)
    for t in range(3):
        expected, state = one_by_one(channel, uniforms[t], int(states[t]), steps)
        assert received[t].tolist() == expected
        assert after[t] == state
        single, last = channel.receive(uniforms[t], int(states[t]), steps)
        assert single.tolist() == expected
        assert last == state


def test_steps_may_differ_between_trials() -> None:
    rng, channel = np.random.default_rng(3), preset("EP4")
    uniforms, steps = rng.random((4, 300, 2)), rng.integers(0, 4, (4, 300))
    states = np.array([0, 1, 2, 0])
    received, after = channel.receive_many(uniforms, states, steps)
    for t in range(4):
        assert (received[t].tolist(), after[t]) == one_by_one(channel, uniforms[t], int(states[t]), steps[t])
    assert states.tolist() == [0, 1, 2, 0]  # the caller's array is not written to


def test_a_numpy_scalar_is_a_step_count_too() -> None:
    uniforms = np.random.default_rng(3).random((20, 2))
    channel = preset("EP4")
    assert channel.receive(uniforms, 0, np.array(2))[0].tolist() == channel.receive(uniforms, 0, 2)[0].tolist()


def test_no_step_leaves_the_state() -> None:
    channel = preset("EP6")
    for state in range(3):
        for u in (0.0, 0.3, LAST):
            assert channel.receive_one(u, 0.5, state, 0) == (state != 1, state)


def test_two_steps_are_the_squared_matrix() -> None:
    channel = preset("EP4")
    grid = (np.arange(20_000) + 0.5) / 20_000
    squared = channel.transition @ channel.transition
    for state in range(3):
        landed = np.bincount([channel.receive_one(u, 0.5, state, 2)[1] for u in grid.tolist()], minlength=3)
        np.testing.assert_allclose(landed / len(grid), squared[state], atol=1e-4)


def test_negative_steps_are_refused() -> None:
    with pytest.raises(InputError, match="-1 steps"):
        preset("EP4").receive_one(0.5, 0.5, 0, -1)


def test_the_chain_steps_before_the_packet_is_drawn() -> None:
    """From G, the first packet is lost iff the first step goes to B; drawing first would never lose it."""
    channel = three_state(0.9, 0.5, 0.0, 0.5, start="G")
    assert channel.receive_one(0.95, 0.5, 0) == (False, 1)
    assert channel.receive_one(0.85, 0.5, 0) == (True, 0)
    assert channel.receive_one(0.2, 0.5, 1) == (True, 0)  # and leaving B saves the packet
    assert channel.loss_count_probabilities(1)[1] == pytest.approx(0.1, abs=1e-12)
    uniforms = np.array([[0.95, 0.5], [0.2, 0.5]])
    assert channel.receive(uniforms, 0)[0].tolist() == [False, True]
    assert channel.receive(np.tile(uniforms, (1000, 1)), 0)[0].tolist() == [False, True] * 1000


def test_initial_states_follow_the_start_distribution() -> None:
    grid = ((np.arange(50_000) + 0.5) / 50_000).tolist()
    for start in ("stationary", "uniform", "G", "B"):
        channel = preset("EP4", start=start)
        share = np.bincount([channel.initial_state(u) for u in grid], minlength=3) / len(grid)
        np.testing.assert_allclose(share, channel.start_distribution, atol=5e-5)
    np.testing.assert_allclose(preset("EP4").start_distribution, preset("EP4").stationary)
    np.testing.assert_allclose(preset("EP4", start="uniform").start_distribution, [1 / 3] * 3)
    assert preset("EP4", start="B").start_distribution.tolist() == [0, 1, 0]


def test_rounding_opens_no_way_into_an_impossible_state() -> None:
    channel = preset("EP1")  # row B is (.1538, .8462, 0)
    assert channel.receive_one(LAST, 0.5, 1)[1] == 1
    assert channel.receive_one(LAST, 0.5, 0)[1] == 1
    tenths = MarkovChannel("tenths", [[*[0.1] * 10, 0]] * 11, [0] * 11)
    assert tenths.receive_one(LAST, 0.5, 0)[1] == 9


def test_sample_starts_a_trial_or_goes_on() -> None:
    channel = preset("EP4")
    whole, end = channel.sample(30, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    head, state = channel.sample(10, rng)
    tail, last = channel.sample(20, rng, state)
    assert (np.concatenate([head, tail]).tolist(), last) == (whole.tolist(), end)


def test_gilbert_elliott_is_as_the_paper_defines_it() -> None:
    channel = gilbert_elliott(p=0.2, r=0.5, h=0.9, k=0.99)
    np.testing.assert_allclose(channel.transition, [[0.8, 0.2], [0.5, 0.5]])  # p = P(G→B), r = P(B→G)
    np.testing.assert_allclose(channel.loss, [0.01, 0.1])  # 1−k in G, 1−h in B
    assert channel.loss_rate == pytest.approx(0.2 / 0.7 * 0.1 + 0.5 / 0.7 * 0.01)


def test_three_state_rows_are_as_in_the_paper() -> None:
    channel = three_state(p_good=0.9, p_bad=0.5, p_intermediate=0.2, p_bad_to_good=0.3)
    np.testing.assert_allclose(channel.transition, [[0.9, 0.1, 0], [0.3, 0.5, 0.2], [0, 0.8, 0.2]])
    assert channel.loss.tolist() == [0, 1, 0]
    assert channel.mean_burst == pytest.approx(1 / (1 - 0.5))


@settings(deadline=None)
@given(st.floats(0.001, 0.9), st.floats(1, 50))
def test_burst_has_the_loss_rate_and_burst_asked_for(rate: float, length: float) -> None:
    if rate / (length * (1 - rate)) > 1:
        with pytest.raises(InputError, match="above 1") as caught:
            burst(rate, length)
        assert caught.value.key == ("mean_burst",)
        return
    channel = burst(rate, length)
    assert channel.loss_rate == pytest.approx(rate, rel=1e-9)
    assert channel.mean_burst == pytest.approx(length, rel=1e-9)


def test_default_names_are_readable() -> None:
    assert bernoulli(0.05).name == "loss 5 %"
    assert burst(0.1, 4).name == "loss 10 % burst 4"
    assert gilbert_elliott(0.25, 0.75, 0, 1).name == "GE loss 25 % burst 1.333"
    assert gilbert_elliott(0, 0, 0, 1, start="G").name == "GE"
    assert burst(0.1, 4, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("rows", "loss", "message", "key"),
    [
        (
            [[1, 0, 0], [0.8, 0.8, 0], [0, 0, 1]],
            [0, 1, 0],
            r"rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)",
            ("rows", 1),
        ),
        ([[0.9, 0.1, 0], [0.5, 0.5, 0], [0, 0.3, 0.6]], [0, 1, 0], r"rows[2] (state I) sums to 0.9", ("rows", 2)),
        ([[0.9, 0.1, 1e-6], [0.5, 0.5, 0], [0, 1, 0]], [0, 1, 0], r"rows[0] (state G) sums to 1.000001", ("rows", 0)),
        ([[1, 0, 0], [0.8, 0.8, -0.6], [0, 0, 1]], [0, 1, 0], r"rows[1] (state B) holds -0.6", ("rows", 1)),
        ([[1, 0, 0], [float("nan"), 1, 0], [0, 0, 1]], [0, 1, 0], r"rows[1] (state B) holds nan", ("rows", 1)),
        ([[1, 0], [0, 1]], [0, 1], r"3 states (G, B, I) but 2 rows", ("states",)),
        ([[1, 0, 0], [0, 1, 0]], [0, 1, 0], r"rows has shape (2, 3)", ("rows",)),
        ([[1, 0, 0], [0, 1], [0, 0, 1]], [0, 1, 0], r"rows is", ("rows",)),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [0, 1], r"loss has shape (2,) for 3 states", ("loss",)),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [0, 1.5, 0], r"loss[1] (state B) is 1.5", ("loss", 1)),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [0, 1, -1], r"loss[2] (state I) is -1.0", ("loss", 2)),
    ],
)
def test_matrices_that_are_no_channel_are_refused(
    rows: Any, loss: Any, message: str, key: tuple[str | int, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        MarkovChannel("bad", rows, loss, ("G", "B", "I"))
    assert caught.value.message.startswith(message)
    assert caught.value.key == key
    assert caught.value.hint


def test_rows_within_the_tolerance_are_scaled() -> None:
    channel = MarkovChannel("near", [[0.9, 0.1 + 5e-10], [0.5, 0.5]], [0, 1])
    assert channel.transition.sum(axis=1).tolist() == [1, 1]
    assert channel.states == ("S0", "S1")


@pytest.mark.parametrize("states", [("G", "G"), ("stationary", "B"), ("G", "uniform")])
def test_ambiguous_state_names_are_refused(states: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="states"):
        MarkovChannel("bad", [[0.5, 0.5], [0.5, 0.5]], [0, 1], states)


def test_other_bad_values_are_refused() -> None:
    for make, key in (
        (lambda: bernoulli(-0.1), "loss_rate"),
        (lambda: bernoulli(float("nan")), "loss_rate"),
        (lambda: gilbert_elliott(1.2, 0.5, 0, 1), "p"),
        (lambda: gilbert_elliott(0.2, 0.5, 0, -1), "k"),
        (lambda: three_state(0.9, 1.5, 0, 0), "p_bad"),
        (lambda: burst(0.1, 0.5), "mean_burst"),
        (lambda: burst(0.1, float("inf")), "mean_burst"),
        (lambda: burst(1, 3), "loss_rate"),
        (lambda: burst(0.1, 4, start="X"), "start"),
        (lambda: bernoulli(0.1, step_s=0), "step_s"),
    ):
        with pytest.raises(InputError) as caught:
            make()
        assert caught.value.key == (key,)

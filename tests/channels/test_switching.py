"""A channel that is another one in each slot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from netsim.channels import SwitchingChannel, bernoulli, preset
from netsim.channels.base import Channel
from netsim.channels.spec import channel_from_spec
from netsim.errors import InputError

ALARM = 1e-6


def test_the_active_channel_decides_and_the_others_stay() -> None:
    channel = SwitchingChannel([preset("EP3"), preset("EP5")])
    assert channel.name == "switch EP3/EP5"
    uniforms = np.random.default_rng(1).random((40, 2))
    for active in (0, 1):
        received, (after, states, _) = channel.receive(uniforms, (active, (0, 1), 1))
        expected, state = channel.channels[active].receive(uniforms, (0, 1)[active])
        assert received.tolist() == expected.tolist()
        assert after == active
        assert states[active] == state
        assert states[1 - active] == (0, 1)[1 - active]


@pytest.mark.parametrize("steps", [1, 2])
def test_receive_is_receive_one_n_times(steps: int) -> None:
    channel = SwitchingChannel([preset("EP3"), preset("EP4")])
    rng = np.random.default_rng(2)
    state: Any = channel.initial_state(rng.random())
    for _ in range(20):
        state = channel.enter_slot(rng.random(), state)
        uniforms = rng.random((12, 2))
        received, after = channel.receive(uniforms, state, steps)
        one: list[bool] = []
        for u_step, u_loss in uniforms.tolist():
            arrived, state = channel.receive_one(u_step, u_loss, state, steps)
            one.append(arrived)
        assert (received.tolist(), after) == (one, state)


def test_each_slots_channel_is_drawn_with_its_probability() -> None:
    for shares in ([0.5, 0.5], [0.2, 0.8]):
        channel = SwitchingChannel([bernoulli(0), bernoulli(1)], None if shares[0] == 0.5 else shares)
        n = 20_000
        uniforms = np.random.default_rng(3).random(n).tolist()
        second = sum(channel.enter_slot(u, (0, (0, 0), 0))[0] for u in uniforms)
        begun = sum(channel.initial_state(u)[0] for u in uniforms)
        limit = stats.norm.isf(ALARM / 2) * (n * shares[0] * shares[1]) ** 0.5
        assert abs(second - n * shares[1]) < limit
        assert abs(begun - n * shares[1]) < limit


def test_start_states_are_independent_of_each_other_and_of_the_choice() -> None:
    channel = SwitchingChannel([preset("EP6", start="uniform")] * 2)
    drawn = [channel.initial_state(u) for u in np.random.default_rng(4).random(20_000).tolist()]
    table = np.zeros((2, 3, 3))
    for active, (a, b), _ in drawn:
        table[active, a, b] += 1
    assert stats.chisquare(table.ravel()).pvalue > ALARM


def test_a_channel_of_probability_zero_is_never_active() -> None:
    channel = SwitchingChannel([bernoulli(0), bernoulli(0.5), bernoulli(1)], [0, 1, 0])
    for u in (0.0, 0.5, 1 - 2**-53, *np.random.default_rng(5).random(200).tolist()):
        assert channel.enter_slot(u, (0, (0, 0, 0), 0))[0] == 1
        assert channel.initial_state(u)[0] == 1


def test_the_active_channel_stays_for_the_dwell_time() -> None:
    channel = SwitchingChannel([bernoulli(0), bernoulli(1)], dwell_slots=5)
    rng = np.random.default_rng(8)
    state, active = channel.initial_state(rng.random()), []
    for _ in range(5_000):
        state = channel.enter_slot(rng.random(), state)
        active.append(state[0])
        received, state = channel.receive(rng.random((3, 2)), state)
        assert received.tolist() == [state[0] == 0] * 3
    blocks = np.array(active).reshape(-1, 5)
    assert (blocks == blocks[:, :1]).all()
    changes = int((blocks[1:, 0] != blocks[:-1, 0]).sum())  # of 999 independent draws from two: Binomial(999, ½)
    assert stats.binomtest(changes, len(blocks) - 1, 0.5).pvalue > ALARM


@pytest.mark.parametrize("dwell_slots", [0, -1, 2.0, True, "3"])
def test_a_dwell_time_is_a_whole_number_of_slots(dwell_slots: Any) -> None:
    with pytest.raises(InputError) as caught:
        channel_from_spec({"switch": ["EP3", "EP5"], "dwell_slots": dwell_slots})
    assert caught.value.key[-1] == "dwell_slots"
    assert repr(dwell_slots) in str(caught.value)


def test_switches_nest() -> None:
    inner = SwitchingChannel([bernoulli(0), bernoulli(1)])
    channel = SwitchingChannel([inner, bernoulli(0.5)], [1, 0])
    rng = np.random.default_rng(6)
    state, seen = channel.initial_state(rng.random()), set()
    for _ in range(40):
        state = channel.enter_slot(rng.random(), state)
        received, state = channel.receive(rng.random((5, 2)), state)
        seen.add(tuple(received.tolist()))
    assert seen == {(True,) * 5, (False,) * 5}


@pytest.mark.parametrize(
    ("channels", "shares", "key"),
    [
        ([], None, "switch"),
        ([preset("EP3"), preset("EP5", step_s=0.1)], None, "switch"),
        ([preset("EP3")], [0.5], "probabilities"),
        ([preset("EP3"), preset("EP5")], [1.0], "probabilities"),
        ([preset("EP3"), preset("EP5")], [1.5, -0.5], "probabilities"),
    ],
)
def test_impossible_switches_are_refused(channels: list[Channel], shares: list[float] | None, key: str) -> None:
    with pytest.raises(InputError) as caught:
        SwitchingChannel(channels, shares)
    assert caught.value.key == (key,)

"""check-channel: every channel of netsim passes, and each broken contract is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netsim.channels import TraceChannel, channel_from_spec
from netsim.channels.conformance import CHECKS, check_channel
from netsim.channels.markov import MarkovChannel
from netsim.cli import app

CHAIN = ("mine", [[0.9, 0.1], [0.3, 0.7]], [0, 1])


def failed(channel) -> set[str]:
    return {result.name for result in check_channel(channel) if not result.passed}


@pytest.mark.parametrize(
    "spec",
    [
        *("EP4", "ge-15", {"loss_rate": 0.0}, {"loss_rate": 1.0}),
        *({"loss_rate": 0.1, "mean_burst": 4, "step_s": 2}, {"switch": ["EP3", "EP5"]}),
    ],
    ids=str,
)
def test_channels_of_netsim_keep_the_contract(spec) -> None:
    assert failed(channel_from_spec(spec)) == set()
    assert failed(TraceChannel("t", [np.arange(50) % 7 > 0, np.arange(20) % 3 > 0])) == set()


class Redrawn(MarkovChannel):
    def receive(self, uniforms, state, steps=1):
        return super().receive(np.random.rand(*uniforms.shape), state, steps)


class OneStep(MarkovChannel):
    def receive(self, uniforms, state, steps=1):
        return super().receive(uniforms, state, 1)


class Forgets(MarkovChannel):
    def receive(self, uniforms, state, steps=1):
        return super().receive(uniforms, state, steps)[0], 0


class Integers(MarkovChannel):
    def receive(self, uniforms, state, steps=1):
        received, state = super().receive(uniforms, state, steps)
        return received.astype(int), state


class Overstates(MarkovChannel):
    loss_rate = 0.3  # it is 0.25

    def mask_probabilities(self, packets, start=None):
        return super().mask_probabilities(packets, start)[::-1]


class Remembers(MarkovChannel):
    calls = 0

    def receive(self, uniforms, state, steps=1):
        self.calls += 1
        received, state = super().receive(uniforms, state, steps)
        return received ^ (self.calls % 2 == 0), state


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (Redrawn, {"many as one", "only uniforms"}),
        (OneStep, {"steps apart"}),
        (Forgets, {"many as one", "split as whole"}),
        (Integers, {"shape and type"}),
        (Overstates, {"loss rate met", "probabilities agree"}),
        (Remembers, {"only uniforms"}),
    ],
)
def test_a_broken_sentence_is_found_by_its_check(kind, named: set[str]) -> None:
    assert named <= failed(kind(*CHAIN))
    assert failed(MarkovChannel(*CHAIN)) == set()


def test_the_command_lists_each_check_and_ends_with_1_where_one_fails(empty_registry: None) -> None:
    from netsim.errors import InputError
    from netsim.registry import register

    done = CliRunner().invoke(app, ["check-channel", "EP4", "--json"])
    assert done.exit_code == 0
    assert [check["name"] for check in json.loads(done.output)["checks"]] == list(CHECKS)
    assert CliRunner().invoke(app, ["check-channel", "{loss_rate: 0.1, mean_burst: 4}"]).exit_code == 0
    register("channel", "broken")(lambda: Integers(*CHAIN))
    done = CliRunner().invoke(app, ["check-channel", "broken"])
    assert done.exit_code == 1
    assert "FAILED" in done.output
    with pytest.raises(InputError, match="unknown channel"):
        CliRunner().invoke(app, ["check-channel", "EP44"], catch_exceptions=False)


def test_the_channel_that_the_page_shows_keeps_the_contract(empty_registry: None) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "channel.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python title=\"mychannel.py\"\n(.*?)```", page, re.DOTALL)
    exec(example, {"__name__": "mychannel"})
    channel = channel_from_spec({"rotating": {"period": 4}})
    assert failed(channel) == set()
    received, _ = channel.receive(np.zeros((8, 2)), channel.initial_state(0.0))
    assert received.tolist() == [True, True, True, False] * 2

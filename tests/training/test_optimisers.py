"""Which parameter learns how, the course of the rate, spikes, and the weight average."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.core.optimisers import Optimisers, SpikeFilter, ema_update, rate_factor
from netcodecs.training.core.soap import Soap
from netcodecs.training.progressive.objective import grouping
from torch import nn


def _group(network: Backbone, name: str) -> tuple[str, float]:
    return grouping(name, dict(network.named_parameters())[name])


def test_kernels_have_soap_and_the_rest_adam(started: Backbone) -> None:
    network = Backbone(started.kind, mca=True)
    for name in ("g_a.0.weight", "g_a.1.expand.weight", "hyper.analysis.down_32.weight", "aggregation.fusion.weight"):
        assert _group(network, name) == ("soap", 1.0), name
    for name in ("g_a.1.depthwise.weight", "g_s.0.bias", "log_gain", "hyper.synthesis.linear.weight"):
        assert _group(network, name) == ("adam", 0.7), name
    assert _group(network, "hyper.prior.logits") == ("adam", 2.0)


def test_every_parameter_is_updated_once_at_its_own_rate() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4))
    network[0].bias.requires_grad_(False)  # type: ignore[union-attr]
    optimisers = Optimisers(network, grouping, 0.01)
    assert sum(p.numel() for p in optimisers.parameters) == 12 + 36 + 4
    before = copy.deepcopy(network.state_dict())
    for step in range(3):
        network(torch.ones(1, 3, 3, 3)).square().sum().backward()
        optimisers.step(0.5)
        moved = {n: float((t - before[n]).abs().max()) for n, t in network.state_dict().items()}
        if step == 0:  # Adam's first step is its rate; SOAP's first one only measures
            assert moved["1.weight"] == pytest.approx(0.5 * 0.7 * 0.01, rel=1e-3)
            assert moved["0.weight"] == 0
    assert moved["0.weight"] > 0
    assert moved["0.bias"] == 0


def test_state_is_put_back_where_it_was() -> None:
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    first, second = (Optimisers(network, grouping, 0.01) for network in networks)
    for step in range(6):
        if step == 3:
            networks[1].load_state_dict(networks[0].state_dict())
            second.restore({name: t.clone() for name, t in first.tensors().items()})
        for network, optimisers in ((networks[0], first), (networks[1], second)):
            network.zero_grad()
            network(torch.ones(1, 3, 3, 3)).square().sum().backward()
            if network is networks[0] or step >= 3:
                optimisers.step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True))


def test_the_rate_rises_for_a_fiftieth_and_falls_to_zero() -> None:
    assert rate_factor(0.0, 0.02) == pytest.approx(0.01)
    assert rate_factor(0.01, 0.02) == pytest.approx(0.51 * 0.5 * (1 + math.cos(math.pi * 0.01)))
    shares = [i / 1000 for i in range(20, 1001)]
    factors = [rate_factor(share, 0.02) for share in shares]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == pytest.approx(1.0, abs=0.01)
    assert rate_factor(0.25, 0.02) == pytest.approx(0.5 + math.sqrt(0.5) / 2)
    assert rate_factor(1.0, 0.02) == rate_factor(1.5, 0.02) == 0


def test_spikes_are_skipped_and_large_gradients_shortened() -> None:
    spikes = SpikeFilter()
    for step in range(200):
        assert spikes.scale(1.0, step) == 1.0
    assert spikes.scale(11.0, 200) == 0
    assert spikes.skipped == 1
    usual = spikes.usual_norm
    assert spikes.scale(5.0, 201) == pytest.approx(2 * (0.98 * usual + 0.1) / 5.0)
    assert spikes.scale(math.nan, 202) == spikes.scale(math.inf, 203) == 0
    assert SpikeFilter().scale(0.0, 0) == 1.0


def test_gradients_that_have_grown_for_good_are_accepted_after_some_steps() -> None:
    spikes = SpikeFilter()
    spikes.usual_norm = 1.0
    for _ in range(7):  # 1.2⁷ > 3 > 1.2⁶
        assert spikes.scale(30.0, 101) == 0
    assert spikes.scale(30.0, 101) > 0
    assert SpikeFilter().scale(1000.0, 50) == 1.0  # too early to know what is usual


def test_the_average_is_the_mean_of_the_weights_it_saw_with_decaying_shares() -> None:
    average, values = [torch.zeros(()), torch.zeros((), dtype=torch.int64)], [3.0, 5.0, 7.0]
    for step, value in enumerate(values, 10_000):
        ema_update(average, [torch.tensor(value), torch.ones((), dtype=torch.int64)], 0.9, step)
    assert float(average[0]) == pytest.approx(0.1 * (7 + 0.9 * 5 + 0.81 * 3))
    assert int(average[1]) == 0  # counters are not weights
    early = [torch.zeros(())]
    ema_update(early, [torch.tensor(1.0)], 0.998, 1)
    assert float(early[0]) == pytest.approx(1 - 2 / 11)


def test_soap_and_adam_are_given_parameters_of_their_own(started: Backbone) -> None:
    optimisers = Optimisers(copy.deepcopy(started), grouping, 1e-3)
    assert isinstance(optimisers._optimisers["soap"], Soap)
    assert isinstance(optimisers._optimisers["adam"], torch.optim.Adam)
    counts = [sum(len(g["params"]) for g in o.param_groups) for o in optimisers._optimisers.values()]
    assert sum(counts) == len(optimisers.parameters) == len(list(started.parameters()))

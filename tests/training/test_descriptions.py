"""Copies of the dearest channels: where they lie, what they hold, and when they are heard."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone, M
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.training.begin import prepare
from netcodecs.training.crops import random_crops
from netcodecs.training.descriptions import Described, coded_at_all_rates, describe, loss_costs
from netcodecs.training.guesses import copies_for_mca, guesses_of
from netcodecs.training.ordering import in_order, put_in_order
from torch import Tensor

LAMBDA = torch.tensor(LAMBDAS[2:3])
LOST = 0.1


@pytest.fixture(scope="module")
def crops(photos: list[Tensor]) -> list[Tensor]:
    return [random_crops(photos, 4, 128, torch.Generator().manual_seed(1))]


def _ordered(started: Backbone, crops: list[Tensor], *, scr: bool) -> Backbone:
    network = Backbone(started.widths, scr=scr, mca=True)
    network.load_state_dict(network.state_dict() | started.state_dict())
    put_in_order(network, *in_order(started, crops))
    return network.eval()


def _described(
    network: Backbone, crops: list[Tensor], size: int
) -> tuple[dict[int, tuple[float, ...]], list[Described]]:
    coded = coded_at_all_rates(network, crops)
    dearest, costs = loss_costs(network, crops)
    chosen = copies_for_mca(coded, dearest, costs, size, LOST)
    return chosen, describe(network, coded, chosen)


@torch.no_grad()
@pytest.mark.parametrize(("scr", "size"), [(True, 4), (False, 1)])
def test_a_copy_is_the_original_quantised_more_coarsely(
    scr: bool, size: int, started: Backbone, crops: list[Tensor]
) -> None:
    network = _ordered(started, crops, scr=scr)
    before = network.analysed(crops[0], network.gains(LAMBDA)[0])
    chosen, described = _described(network, crops, size)
    gain, inverse = network.gains(LAMBDA)
    after = network.analysed(crops[0], gain)
    assert [len(ratios) for ratios in chosen.values()] == [2, 1, 1]
    scales, means = network.entropy_parameters(network.model.h_a(after))
    for (group, ratios), one in zip(chosen.items(), described, strict=True):
        for ratio, at in zip(ratios, one.copies, strict=True):
            for place in range(size):
                original = after[:, one.group + place]
                torch.testing.assert_close(before[:, size * group + place], original)
                torch.testing.assert_close(after[:, at + place], ratio * original)
                torch.testing.assert_close(scales[:, at + place], ratio * scales[:, one.group + place])
                torch.testing.assert_close(means[:, at + place], ratio * means[:, one.group + place])
                assert float(inverse[0, at + place] * ratio) == pytest.approx(float(inverse[0, one.group + place]))


@torch.no_grad()
def test_the_first_channel_of_luma_is_dearest_and_its_copies_lie_far_off(
    started: Backbone, crops: list[Tensor]
) -> None:
    """An nth of the bits lies between the descriptions: not all in a packet."""
    network = _ordered(started, crops, scr=True)
    described = _described(network, crops, 4)[1]
    assert described[0].group == 0
    bits = coded_at_all_rates(network, crops)[len(LAMBDAS) // 2].bits
    for one in described:
        shares = [float(bits[:at].sum() / bits.sum()) for at in one.copies]
        parts = len(one.copies) + 1
        for number, share in enumerate(sorted(shares), 1):
            assert share == pytest.approx(number / parts, abs=0.2)
    used = [at for one in described for at in (one.group, *one.copies)]
    assert len(set(used)) == len(used)
    assert all(at % 4 == 0 for at in used)


@torch.no_grad()
def test_finer_copies_where_more_is_lost(started: Backbone, crops: list[Tensor]) -> None:
    network = _ordered(started, crops, scr=True)
    coded = coded_at_all_rates(network, crops)
    dearest, costs = loss_costs(network, crops)
    rare, often = (copies_for_mca(coded, dearest, costs, 4, lost) for lost in (0.01, 0.3))
    assert all(sum(rare[group]) <= sum(often[group]) for group in rare)
    assert sum(rare[dearest[0]]) < sum(often[dearest[0]])


@torch.no_grad()
def test_costs_are_those_of_the_pictures(started: Backbone, crops: list[Tensor]) -> None:
    """Of the groups that were tried out; nearly the same for all, since the transform began as an orthonormal one."""
    network = _ordered(started, crops, scr=True)
    dearest, costs = loss_costs(network, crops)
    known = costs[dearest]
    assert dearest[0] == 0
    assert int(torch.isfinite(costs).sum()) == len(dearest) == 12
    assert float(known.max() / known.min()) < 3
    gain, inverse = network.gains(LAMBDA)
    whole = network.model.g_a(crops[0]) * gain * inverse
    without = whole.clone()
    without[:, :4] = 0
    error = (network.model.g_s(without) - network.model.g_s(whole)).square().mean()
    energy = whole[:, :4].square().mean((0, 2, 3)).sum()
    assert float(error / energy) == pytest.approx(float(costs[0]), rel=1e-3)


@pytest.fixture(scope="module")
def prepared(started: Backbone, crops: list[Tensor]) -> tuple[Backbone, list[Described]]:
    network = _ordered(started, crops, scr=True)
    described = _described(copy.deepcopy(network), crops, 4)[1]
    prepare(network, "gilbert-elliott", crops)
    return network, described


@torch.no_grad()
def _shown(network: Backbone, picture: Tensor, lost: list[int], changed: list[int]) -> Tensor:
    """What is decoded when coded channels are lost, and what arrives of others is another value."""
    gain, inverse = network.gains(LAMBDA)
    received = torch.round(network.analysed(picture, gain))
    received[:, changed] += 3
    mask = torch.ones(1, M, 1, 1)
    mask[:, lost] = 0
    return network.synthesised(received * mask, mask, inverse)


def test_a_copy_is_heard_where_the_original_is_lost_and_only_there(
    prepared: tuple[Backbone, list[Described]], crops: list[Tensor]
) -> None:
    network, described = prepared
    picture = crops[0][:1]
    dearest = described[0]
    first, second = dearest.copies
    whole = _shown(network, picture, [], [])
    for at in dearest.copies:
        torch.testing.assert_close(_shown(network, picture, [], list(range(at, at + 4))), whole)
    lost = [dearest.group + 1]
    guessed = _shown(network, picture, lost, [])
    assert float((_shown(network, picture, lost, [first + 1]) - guessed).abs().max()) > 0.05
    torch.testing.assert_close(_shown(network, picture, lost, [first]), guessed)  # that is of samples that arrived
    both = [dearest.group + 1, first + 1]
    assert float((_shown(network, picture, both, [second + 1]) - _shown(network, picture, both, [])).abs().max()) > 0.05


def test_with_each_copy_lost_less_is_left(prepared: tuple[Backbone, list[Described]], crops: list[Tensor]) -> None:
    network, described = prepared
    picture = crops[0][:1]
    dearest = described[0]
    lost: list[int] = []
    found = []
    for at in (dearest.group, *dearest.copies):
        lost += range(at, at + 4)
        found.append(-10 * math.log10(float((_shown(network, picture, lost, []) - picture).square().mean())))
    assert found[0] > found[1] > found[2] + 3


@torch.no_grad()
def test_guesses_are_the_best_linear_ones(prepared: tuple[Backbone, list[Described]], crops: list[Tensor]) -> None:
    """With hardly a loss of anything else, of the neighbours and of a fine copy the copy says all."""
    network, described = prepared
    coded = coded_at_all_rates(network, crops)
    features, guesses, reach = guesses_of(coded, described, 4, 1e-6)
    assert [(f.lost, f.received) for f in features[:2]] == [
        ((described[0].group,), described[0].copies[:1]),
        ((described[0].group, described[0].copies[0]), ()),
    ]
    heard = rearranged(coded[-1].latent) * coded[-1].inverse
    assert reach > float(heard[:, described[0].group].abs().max())
    weights = guesses[0].weights
    copy_of = described[0].copies[0]
    assert float(weights[copy_of, 1, 1]) > 0.7
    others = [c for c in range(M) if c not in (guesses[0].channel, copy_of, described[0].copies[1])]
    assert not weights[others].any()
    assert float(weights[guesses[0].channel, 1, 1]) == 0

"""How methods begin: from the baseline's pictures, their channels in order, their modules out of the way."""

from __future__ import annotations

import math

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone, Coded, M, widen
from netcodecs.progressive.methods import METHODS
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.training.begin import begun, check_start, for_all_rates, prepare
from netcodecs.training.crops import random_crops
from netcodecs.training.ordering import in_order
from torch import Tensor

from netsim.errors import InputError

LAMBDA = torch.tensor(LAMBDAS[2:3])


@pytest.fixture(scope="module")
def picture(photos: list[Tensor]) -> Tensor:
    return photos[0][None, :, 64:192, 64:192].float() / 255


@pytest.fixture(scope="module")
def crops(photos: list[Tensor]) -> list[Tensor]:
    return [random_crops(photos[1:], 4, 128, torch.Generator().manual_seed(1))]


def _prepared(started: Backbone, name: str, crops: list[Tensor]) -> Backbone:
    network = begun(started, METHODS[name], crops)
    if network.aggregation is not None:
        prepare(network, METHODS[name].losses, crops)
    return network


@torch.no_grad()
def _coded(network: Backbone, picture: Tensor) -> Coded:
    coded: Coded = network.eval()(picture, LAMBDA)
    return coded


def _psnr_db(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float(((a - b) ** 2).mean()))


def test_channels_in_order_are_the_same_function(started: Backbone, picture: Tensor, crops: list[Tensor]) -> None:
    before = _coded(started, picture)
    network = begun(started, METHODS["progdtd"], crops)
    after = _coded(network, picture)
    assert not torch.equal(network.log_gain, started.log_gain) or not torch.equal(
        network.model.g_a[-1].weight, started.model.g_a[-1].weight
    )
    assert _psnr_db(after.picture, picture) == pytest.approx(_psnr_db(before.picture, picture), abs=1e-4)
    assert float(after.bits) == pytest.approx(float(before.bits), rel=1e-5)


def test_channels_come_with_the_most_bits_first(started: Backbone, crops: list[Tensor]) -> None:
    """Asked again, the renumbered network has nothing to renumber."""
    assert in_order(started, crops)[0].tolist() != list(range(M))
    order, hyper_order = in_order(begun(started, METHODS["progdtd"], crops), crops)
    torch.testing.assert_close(order[:64], torch.arange(64))
    torch.testing.assert_close(hyper_order[:8], torch.arange(8))


@torch.no_grad()
def test_rearranged_latent_gives_the_baselines_picture(started: Backbone, picture: Tensor, crops: list[Tensor]) -> None:
    ordered, network = (begun(started, METHODS[name], crops) for name in ("progdtd", "scr-ge"))
    gain, inverse = ordered.gains(LAMBDA)
    latent, mixed = ordered.analysed(picture, gain), network.analysed(picture, gain)
    ones = torch.ones_like(latent)
    assert not torch.equal(latent, mixed)
    torch.testing.assert_close(network.synthesised(mixed, ones, inverse), ordered.synthesised(latent, ones, inverse))


@pytest.mark.parametrize("name", ["mca-ge", "scr-mca-ge"])
def test_aggregation_begins_by_passing_on_what_arrived(
    name: str, started: Backbone, picture: Tensor, crops: list[Tensor]
) -> None:
    """As many channels as its outputs have room for; not exactly, since one output of GELU is not quite straight."""
    before, after = (_coded(_prepared(started, n, crops), picture) for n in ("progdtd", name))
    assert _psnr_db(after.picture, picture) == pytest.approx(_psnr_db(before.picture, picture), abs=0.3)


@torch.no_grad()
def test_aggregation_begins_by_guessing_what_was_lost(started: Backbone, picture: Tensor, crops: list[Tensor]) -> None:
    """From copies, and from the neighbours that rearrangement leaves, before any step of training."""
    lost = torch.ones(1, M, 1, 1)
    lost[:, :2] = 0
    quality_db = {}
    for name in ("scr-ge", "scr-mca-ge"):
        network = _prepared(started, name, crops)
        gain, inverse = network.gains(LAMBDA)
        received = network.analysed(picture, gain) * lost
        quality_db[name] = _psnr_db(network.synthesised(received, lost, inverse), picture)
    assert quality_db["scr-mca-ge"] > quality_db["scr-ge"] + 3


def test_rearrangement_is_its_own_inverse_and_spreads_each_channel_over_four() -> None:
    latent = torch.arange(8 * 6 * 4, dtype=torch.float32).reshape(1, 8, 6, 4)
    mixed = rearranged(latent)
    assert torch.equal(rearranged(mixed), latent)
    g, c, i, j, a, b = 1, 2, 1, 0, 0, 1  # FACTS: yr[4g+c, 2i+a, 2j+b] = y[4g+2a+b, 2i+(c>>1), 2j+(c&1)]
    assert mixed[0, 4 * g + c, 2 * i + a, 2 * j + b] == latent[0, 4 * g + 2 * a + b, 2 * i + (c >> 1), 2 * j + (c & 1)]
    lost = torch.ones_like(latent)
    lost[:, 5] = 0
    assert (rearranged(lost)[0] == 0).flatten(1).sum(1).tolist() == [0, 0, 0, 0, 6, 6, 6, 6]


def test_parameters_are_as_published() -> None:
    """Table 2 of paper 1; gains fold away."""
    for method, published in (("mbt-mean", 7_028_003), ("scr-ge", 7_028_003), ("scr-mca-ge", 7_479_847)):
        network = Backbone(scr=METHODS[method].scr, mca=METHODS[method].mca)
        assert sum(p.numel() for name, p in network.named_parameters() if "gain" not in name) == published


@torch.no_grad()
def test_network_of_one_rate_begins_all(started: Backbone, picture: Tensor) -> None:
    """At the largest λ it is what it was; at smaller ones its quantisation is coarser."""
    one = Backbone(started.widths, lambdas=LAMBDAS[-1:])
    gains = {n: getattr(started, n)[-1:] for n in ("log_gain", "log_inverse_gain")}
    one.load_state_dict(started.state_dict() | gains)
    spread = for_all_rates(one.eval())
    coded = [spread(picture, torch.tensor([lam])) for lam in LAMBDAS]
    was = one(picture, torch.tensor([0.1]))  # any λ: it has one gain
    torch.testing.assert_close(coded[-1].picture, was.picture)
    bits = [float(c.bits) for c in coded]
    assert bits == sorted(bits)
    assert for_all_rates(spread) is spread
    with pytest.raises(InputError, match=r"λ = 0.001, 0.002"):
        for_all_rates(Backbone(started.widths, lambdas=(0.001, 0.002)))


def test_modules_that_the_method_lacks_are_refused(crops: list[Tensor]) -> None:
    has_both = Backbone((12, 48, 128), scr=True, mca=True)
    for name in ("mbt-mean", "scr-ge", "mca-ge"):
        with pytest.raises(InputError, match=f"{name} can't begin from weights with SCR and MCA"):
            check_start(has_both, METHODS[name])
    check_start(has_both, METHODS["scr-mca-u"])
    check_start(Backbone((12, 48, 128)), METHODS["scr-ge"])
    with pytest.raises(ValueError, match="begins from a baseline"):
        begun(has_both, METHODS["progdtd"], crops)


@torch.no_grad()
def test_widened_network_with_aggregation_is_the_same_function(
    started: Backbone, picture: Tensor, crops: list[Tensor]
) -> None:
    narrow = _prepared(started, "scr-mca-ge", crops)
    full = widen(narrow)
    assert full.widths == (128, 128, 128)
    torch.testing.assert_close(_coded(full, picture).picture, _coded(narrow, picture).picture, atol=1e-3, rtol=0)

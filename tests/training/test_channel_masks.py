"""What happens to channels in training: tail drop, and losses event by event as netsim's channels draw them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import M, N
from netcodecs.progressive.methods import METHODS
from netcodecs.training.progressive.channel_masks import (
    UNIFORM_RATES,
    received_by,
    sample_channel_mask,
    tail_drop,
)
from netcodecs.training.progressive.emphasis import Emphasis

from netsim.channels.presets import preset
from netsim.errors import InputError


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_tail_drop_keeps_the_first_channels() -> None:
    """int(p·C) + 1 of C, from one to all of them; the same p for the latent and its hyperprior."""
    kept = torch.tensor([0.0, 0.25, 0.5, 0.999])
    for channels in (M, N):
        masks = tail_drop(kept, channels)
        assert masks.sum(1).tolist() == [int(p * channels) + 1 for p in kept.tolist()]
        assert bool((masks.int().diff(dim=1) <= 0).all())


def test_both_tails_are_dropped_alike() -> None:
    """The same share of the latent and of its hyperprior; half of the images are sent whole."""
    mask = sample_channel_mask(METHODS["scr-mca-ge"], 500, generator())
    assert mask is not None
    latent, hyper = mask.sent.sum(1) / M, mask.sent_hyper.sum(1) / N
    assert float((latent - hyper).abs().max()) < 0.01
    assert not bool(mask.received.all())
    dropped = latent[latent < 1]
    assert len(dropped) / 500 == pytest.approx(0.5, abs=0.07)
    assert float(dropped.mean()) == pytest.approx(0.5, abs=0.05)


def test_methods_lose_what_they_say() -> None:
    assert sample_channel_mask(METHODS["mbt-mean"], 4, generator()) is None
    dropped = sample_channel_mask(METHODS["progdtd"], 40, generator())
    assert dropped is not None
    assert bool(dropped.received.all())
    random = sample_channel_mask(METHODS["random"], 40, generator())
    assert random is not None
    assert bool(random.sent.all())
    assert bool(random.sent_hyper.all())
    assert not bool(random.received.all())


def test_gilbert_elliott_losses_are_the_channels_own_event_by_event() -> None:
    """Each image a chain from state G; per channel first the step, then the draw."""
    received = received_by("gilbert-elliott", 6, generator(7))
    uniforms = generator(7).random((6, M, 2)).tolist()
    chain = preset("ge-10", "released", start="G")
    for image, mask in zip(uniforms, received.tolist(), strict=True):
        state = chain.states.index("G")
        for (u_step, u_loss), arrived in zip(image, mask, strict=True):
            expected, state = chain.receive_one(u_step, u_loss, state)
            assert arrived == expected


def test_gilbert_elliott_loses_a_tenth_and_steps_before_its_first_draw() -> None:
    lost = ~received_by("gilbert-elliott", 20_000, generator()).numpy()
    chain = preset("ge-10", "released", start="G")
    assert chain.loss_rate == pytest.approx(0.1, abs=0.001)
    assert lost[:, 20:].mean() == pytest.approx(chain.loss_rate, abs=0.001)
    good = chain.states.index("G")
    after_a_step = float(chain.transition[good] @ chain.loss)
    deviation = np.sqrt(after_a_step / len(lost))
    assert abs(lost[:, 0].mean() - after_a_step) < 4 * deviation < abs(lost[:, 0].mean() - chain.loss[good])


def test_uniform_losses_spare_half_of_the_images() -> None:
    lost = ~received_by("uniform", 20_000, generator()).numpy()
    rates = np.array(UNIFORM_RATES)
    spared = 0.5 + 0.5 * ((1 - rates) ** M).mean()
    assert (~lost.any(1)).mean() == pytest.approx(spared, abs=0.015)
    assert lost.mean() == pytest.approx(0.5 * rates.mean(), abs=0.001)
    assert lost.mean(1).max() < 2 * rates.max()


def test_shares_of_whole_and_of_lossless_images_can_be_chosen() -> None:
    rates = np.array(UNIFORM_RATES)
    mask = sample_channel_mask(METHODS["scr-mca-u"], 20_000, generator(), Emphasis(whole_share=1, lossless_share=0))
    assert mask is not None
    assert bool(mask.sent.all())
    assert (~mask.received).float().mean() == pytest.approx(rates.mean(), abs=0.001)
    mask = sample_channel_mask(METHODS["scr-mca-u"], 2_000, generator(), Emphasis(whole_share=0, lossless_share=1))
    assert mask is not None
    assert bool(mask.received.all())
    assert mask.sent.float().mean() == pytest.approx(0.5, abs=0.03)
    for wrong in ({"whole_share": 1.5}, {"lossless_share": -0.1}, {"balance": np.inf}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Emphasis(**wrong)


def test_uniform_losses_have_each_of_the_rates() -> None:
    """Losses per image are a mixture of binomials over the fifteen rates, and of none: its third moment, too."""
    lost = (~received_by("uniform", 40_000, generator(1)).numpy()).sum(1)
    rates = np.array(UNIFORM_RATES)
    for order in (1, 2, 3):
        pairs = np.prod([lost - i for i in range(order)], axis=0).mean() / np.prod([M - i for i in range(order)])
        assert pairs == pytest.approx(0.5 * (rates**order).mean(), rel=0.06)

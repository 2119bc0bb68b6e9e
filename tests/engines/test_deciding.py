"""Long streams of which the first packets decide: against the sum over all masks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from netsim.channels.markov import MarkovChannel
from netsim.channels.spec import channel_from_spec
from netsim.engines import exact
from netsim.engines.deciding import deciding_beginnings
from netsim.links.packets import DELIVERED, LATE, LOST, PacketBurst
from netsim.links.profile import link_from_spec

BoolArray = NDArray[np.bool_]
PACKETS = 18


def _prefix(received: BoolArray) -> BoolArray:
    return np.logical_and.accumulate(received, axis=-1)


def _two_chains(received: BoolArray) -> BoolArray:
    usable = np.zeros_like(received)
    for first in (0, 1):
        usable[..., first::2] = np.logical_and.accumulate(received[..., first::2], axis=-1)
    return usable


def _every_packet(received: BoolArray) -> BoolArray:
    return received


def _quality(usable: BoolArray) -> NDArray[np.float64]:
    """Any function will do; it tells each usable mask from the others."""
    return np.asarray(np.sqrt(usable @ np.arange(1.0, usable.shape[-1] + 1) ** 1.7))


def _chain(spec: object) -> MarkovChannel:
    found = channel_from_spec(spec)
    assert isinstance(found, MarkovChannel)
    return found


@pytest.mark.parametrize("receiver", [_prefix, _two_chains])
@pytest.mark.parametrize("spec", ["EP1", "EP4", "EP5", "ge-15", "uniform-20", {"preset": "EP1", "start": "B"}])
def test_the_mean_is_the_sum_over_all_masks(receiver: object, spec: object) -> None:
    usable: object = receiver
    assert callable(usable)
    channel = _chain(spec)
    burst = PacketBurst((100,) * (PACKETS + 1), (True, *(False,) * PACKETS))
    [batch] = exact.distributions(
        1, lambda slot: burst, channel, link_from_spec(None), 0.5, lambda slot: None, lambda slot: usable
    )
    lost = batch.outcome == LOST
    assert batch.residual_mass == 0
    assert batch.weight.sum() == pytest.approx(1, abs=1e-12)
    assert len(batch.weight) < 10_000
    assert not lost[:, 0].any()

    masks = exact.all_masks(PACKETS)
    probability = channel.mask_probabilities(PACKETS, channel.start_distribution)
    everything = np.concatenate([np.ones((len(masks), 1), dtype=bool), masks], axis=1)
    expected = probability @ _quality(usable(everything))
    assert batch.weight @ _quality(usable(~lost)) == pytest.approx(expected, rel=1e-11)
    assert batch.weight @ lost.sum(axis=1) == pytest.approx(probability @ (~masks).sum(axis=1), rel=1e-11)


def test_what_is_too_late_is_not_usable() -> None:
    link = link_from_spec({"geo": {"interval_s": 1.0, "deadline_s": 15.5, "rate_bps": 9600}})
    burst = PacketBurst((900,) * PACKETS, (False,) * PACKETS)
    channel = _chain("EP4")
    [batch] = exact.distributions(1, lambda slot: burst, channel, link, 0.5, lambda _: None, lambda _: _prefix)
    late = np.arange(PACKETS) >= 15
    masks = exact.all_masks(PACKETS)
    expected = channel.mask_probabilities(PACKETS) @ _quality(_prefix(masks & ~late))
    assert (batch.outcome[:, late] != DELIVERED).all()
    assert (batch.outcome[:, ~late] != LATE).all()
    assert batch.weight @ _quality(_prefix(batch.outcome == DELIVERED)) == pytest.approx(expected, rel=1e-11)
    lost_late = channel.mask_probabilities(PACKETS) @ (~masks & late).sum(axis=1)
    assert batch.weight @ (batch.outcome == LATE).sum(axis=1) == pytest.approx(late.sum() - lost_late, rel=1e-11)


def test_masks_for_each_count_of_losses_behind_long_beginnings_are_too_many() -> None:
    assert deciding_beginnings(300, _prefix) is not None
    assert deciding_beginnings(400, _prefix) is None


def test_beginnings_of_a_receiver_that_uses_every_packet_are_too_many() -> None:
    assert deciding_beginnings(20, _every_packet) is None
    found = deciding_beginnings(3, _every_packet)
    assert found is not None
    assert found.length.tolist() == [3] * 8


def test_a_prefix_is_decided_by_the_first_loss() -> None:
    found = deciding_beginnings(40, _prefix)
    assert found is not None
    assert sorted(found.length.tolist()) == [*range(1, 41), 40]


def test_beginnings_are_the_shortest_and_every_mask_has_one() -> None:
    found = deciding_beginnings(PACKETS, _two_chains)
    assert found is not None
    assert (0.5**found.length).sum() == 1
    for mask, length in zip(found.masks, found.length, strict=True):
        others = mask & (np.arange(PACKETS) < length)
        shorter = mask & (np.arange(PACKETS) < length - 1), mask | (np.arange(PACKETS) >= length - 1)
        assert (_two_chains(mask) == _two_chains(others)).all()
        assert (_two_chains(shorter[0]) != _two_chains(shorter[1])).any()

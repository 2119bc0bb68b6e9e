"""Masks and bursts that the array engine draws, against their exact laws, for every preset."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.channels import MarkovChannel, preset
from netsim.engines.array import simulate_trials
from netsim.links.packets import LOST, PacketBurst
from netsim.streams import Streams
from tests.channels.test_sampling import ALARM, chi_square_p
from tests.statistics.samples import CHANNELS, IDEAL, PACKETS, array_masks

LONGEST = 40  # longer bursts are counted together
BURSTS = 4_000  # about so many, where 1.5 million trials have them


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda c: c.name)
def test_masks_of_ten_packets_follow_their_exact_law(channel: MarkovChannel) -> None:
    """Of the second slot, so that the chain has run on from the first."""
    offer = PacketBurst((1,) * PACKETS, (False,) * PACKETS)
    masks = array_masks(channel, 200_000, 2, offer, seed=11)[:, 1]
    counts = np.bincount(masks, minlength=1 << PACKETS)
    assert chi_square_p(counts, channel.mask_probabilities(PACKETS)) > ALARM


def burst_lengths(channel: MarkovChannel) -> np.ndarray:
    """Lengths of the runs that begin with the second packet, at most one a trial: independent of each other.

    int64, LONGEST + 1 for all that are longer.
    """
    packets = LONGEST + 2
    offer, losses = PacketBurst((1,) * packets, (False,) * packets), Streams(12, "losses", channel.name)
    begins = channel.mask_probabilities(2)[0b01]  # received, then lost
    trials = int(min(1_500_000, max(50_000, BURSTS / begins)))
    found = []
    for first in range(0, trials, 50_000):
        [batch] = simulate_trials(1, lambda slot: offer, channel, IDEAL, losses, Streams(12), first, first + 50_000)
        lost = batch.outcome == LOST
        runs = lost[~lost[:, 0] & lost[:, 1], 1:]
        found.append(np.where(runs.all(axis=1), LONGEST + 1, (~runs).argmax(axis=1)))
    return np.concatenate(found)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda c: c.name)
def test_burst_lengths_follow_their_law(channel: MarkovChannel) -> None:
    law = channel.burst_length_probabilities(LONGEST)
    counts = np.bincount(burst_lengths(channel), minlength=LONGEST + 2)
    assert counts.sum() > 200
    assert chi_square_p(counts, np.append(law, max(0.0, 1 - law.sum()))) > ALARM


def test_the_checks_see_a_wrong_law() -> None:
    """Bursts of EP3 as released are not those of EP3, nor are its masks."""
    right, wrong = preset("EP3"), preset("EP3", "released")
    law = right.burst_length_probabilities(LONGEST)
    counts = np.bincount(burst_lengths(wrong), minlength=LONGEST + 2)
    assert chi_square_p(counts, np.append(law, max(0.0, 1 - law.sum()))) < ALARM
    offer = PacketBurst((1,) * PACKETS, (False,) * PACKETS)
    masks = np.bincount(array_masks(wrong, 100_000, 1, offer)[:, 0], minlength=1 << PACKETS)
    assert chi_square_p(masks, right.mask_probabilities(PACKETS)) < ALARM

"""The exact engine against a million trials of the array engine, with real codecs."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.channels import MarkovChannel
from tests.statistics.samples import CHANNELS, SCHEMES, STANDARD_ERRORS, array_masks, deviation, exact_masks, started
from tests.statistics.samples import table as decoded_table

TRIALS, SLOTS = 1_000_000, 2


_SOME = ("uniform-10", "ge-15", "EP1", "EP3", "EP4", "EP5", "EP6")


@pytest.mark.parametrize(
    "channel",
    [pytest.param(c, id=c.name, marks=() if c.name in _SOME else pytest.mark.slow) for c in CHANNELS],
)
def test_exact_equals_a_million_trials(channel: MarkovChannel) -> None:
    """Mean PSNR, its square and the failure ratio of three codecs, slots of a trial correlated."""
    offer = decoded_table("jpeg + RS(10, 7)").offer
    masks = array_masks(channel, TRIALS, SLOTS, offer)
    for scheme in SCHEMES:
        decoded = decoded_table(scheme)
        law = np.mean(list(exact_masks(channel, SLOTS, decoded.offer)), axis=0)
        for values in (decoded.quality, decoded.quality**2, decoded.failed.astype(np.float64)):
            off = deviation(values[masks].mean(axis=1), float(values @ law))
            assert off < STANDARD_ERRORS, f"{scheme} over {channel.name}: {off:.1f} standard errors"


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_all_schemes_meet_the_same_losses(scheme: str) -> None:
    """What the test above rests on: a protected packet more changes nothing for the packets at risk."""
    for channel in CHANNELS[3:6]:
        mine = array_masks(channel, 2_000, SLOTS, decoded_table(scheme).offer)
        assert (mine == array_masks(channel, 2_000, SLOTS, decoded_table("jpeg + RS(10, 7)").offer)).all()


@pytest.mark.parametrize("name", ["ge-15", "EP1", "EP4", "EP5"])
@pytest.mark.parametrize("start", ["G", "B", "uniform"])
def test_from_a_fixed_start_slot_by_slot(name: str, start: str) -> None:
    """The chain runs on through the slots; each slot has a law of its own."""
    channel, decoded = started(name, start), decoded_table("jpeg2000 resilient")
    masks = array_masks(channel, 200_000, 3, decoded.offer)
    for slot, law in enumerate(exact_masks(channel, 3, decoded.offer)):
        off = deviation(decoded.quality[masks[:, slot]], float(decoded.quality @ law))
        assert off < STANDARD_ERRORS, f"slot {slot}: {off:.1f} standard errors"


def test_slots_of_a_trial_are_correlated() -> None:
    """So counting slots as independent would understate the error: why the tests above take one number a trial."""
    decoded = decoded_table("jpeg2000 prefix")
    quality = decoded.quality[array_masks(started("EP5", "stationary"), 100_000, 2, decoded.offer)]
    assert np.corrcoef(quality[:, 0], quality[:, 1])[0, 1] > 0.1

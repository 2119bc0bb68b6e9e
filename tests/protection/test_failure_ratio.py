"""RS(10, k) over every error pattern: the failure ratio of 10⁵ simulated slots against the closed form."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from netsim.channels.spec import channel_from_spec
from netsim.codec import OperatingPoint, Packet, Stream
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.links.profile import IDEAL
from netsim.protection.reed_solomon import ReedSolomon
from netsim.streams import Streams

PACKETS, TRIALS, SLOTS = 10, 500, 200
PATTERNS = ["EP1", "EP2", "EP3", "EP4", "EP5", "EP6"]
SHARES = [0, 10, 30, 50, 70]


def streams(name):
    return Streams(11, "losses", name), Streams(11, "jitter")


def masks_by_arrays(name):
    """bool [trials, slots, packets]: independent trials, each from a stationary start."""
    offer = PacketBurst((900,) * PACKETS, (False,) * PACKETS)
    slots = simulate_trials(SLOTS, lambda slot: offer, channel_from_spec(name), IDEAL, *streams(name), 0, TRIALS)
    return np.stack([slot.outcome == DELIVERED for slot in slots], axis=1)


def masks_by_events(name):
    """The same from SimPy; a slot of the engine holds all of a trial's images, as the chain runs on alike."""
    count = SLOTS * PACKETS
    offer, channel = PacketBurst((900,) * count, (False,) * count), channel_from_spec(name)
    trials = [simulate_trial(1, lambda *_: offer, channel, IDEAL, *streams(name), t)[0].received for t in range(TRIALS)]
    return np.stack(trials).reshape(TRIALS, SLOTS, PACKETS)


def check_failure_ratio(name, masks, percent):
    protection = ReedSolomon(share=Fraction(percent, 100))
    k = protection.data_packets(PACKETS)
    protected = protection.protect(Stream((Packet(b"x"),) * k, (8, 8), OperatingPoint("bpp", 1.0)))
    failed = ~protected.recover(masks).all(axis=-1)
    assert failed.size == 100_000
    expected = channel_from_spec(name).loss_count_probabilities(PACKETS)[PACKETS - k + 1 :].sum()
    # slots of one trial are correlated, trials are not: the interval comes from the scatter of their means
    means = failed.mean(axis=1)
    if expected * failed.size < 50:  # too rare for a scatter: failures come as a Poisson count
        low, high = stats.poisson.interval(0.9999, expected * failed.size)
        assert low <= failed.sum() <= high
    else:
        margin = stats.t.ppf(1 - 0.0001 / 2, TRIALS - 1) * means.std(ddof=1) / np.sqrt(TRIALS)
        assert abs(means.mean() - expected) <= margin


@pytest.fixture(scope="module", params=PATTERNS)
def pattern(request):
    return request.param, masks_by_arrays(request.param)


@pytest.mark.parametrize("percent", SHARES)
def test_failure_ratio_within_its_interval(pattern, percent):
    check_failure_ratio(*pattern, percent)


@pytest.mark.slow
def test_failure_ratio_of_the_event_engine_within_its_interval():
    masks = masks_by_events("EP4")
    for percent in SHARES:
        check_failure_ratio("EP4", masks, percent)

"""The link as a queue: M/D/1, driven by a Poisson source of single packets."""

import numpy as np
import pytest

from netsim.links.clock import SLOT, Clock
from netsim.links.link import Link
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.receiver import FeedbackPath, Receiver
from netsim.links.timing import link_ticks
from netsim.links.transmission import SlotTransmission


class NoLosses:
    """Stands in for a channel that loses nothing and draws nothing."""

    step_s = None

    def prepare(self, slot):
        pass

    def sample_slot(self, slot):
        pass


def waits_of_poisson_packets(load, packets):
    service_s = 1.0
    profile = LinkProfile(rate_bps=8000, overhead_bytes=100)  # 1000 bytes take 1 s
    clock, ticks = Clock(), link_ticks(profile)
    link = Link(clock, profile, NoLosses(), Receiver(clock, FeedbackPath(clock, ticks)))
    burst, transmissions = PacketBurst((900,), (False,)), []
    # exponential gaps, stratified: one from the middle of each of n equally probable ranges, in random order;
    # the mean wait then scatters by 0.5 %, where independent gaps would need three times as many packets
    gaps = -np.log1p(-(np.arange(packets) + 0.5) / packets) * service_s / load
    due = [ticks.at_least(time_s) for time_s in np.random.default_rng(41).permutation(gaps).cumsum().tolist()]
    arrivals = np.array([ticks.seconds(time) for time in due])

    def source():
        for slot, time in enumerate(due):
            yield clock.wait_until(time, SLOT)
            transmissions.append(SlotTransmission(slot, burst, clock.now, ticks, None, [0.0]))
            link.send(transmissions[-1])

    clock.process(source())
    clock.run()
    return arrivals, np.array([one.sent_s[0] for one in transmissions]) - arrivals


@pytest.mark.slow
def test_mean_wait_of_m_d_1_within_one_per_cent():
    load = 0.3
    arrivals, waits = waits_of_poisson_packets(load, 120_000)
    assert len(waits) == 120_000
    assert waits.mean() == pytest.approx(load / (2 * (1 - load)), rel=0.01)  # Pollaczek–Khinchine, service 1 s
    assert (waits == 0).mean() == pytest.approx(1 - load, rel=0.01)
    # and every single wait follows Lindley's recursion W' = max(0, W + service − gap)
    steps = np.concatenate([[0.0], np.cumsum(1.0 - np.diff(arrivals))])
    np.testing.assert_allclose(waits, steps - np.minimum.accumulate(steps), atol=1e-8)

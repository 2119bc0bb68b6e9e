"""The array engine gives the event engine's receptions and times, bit for bit."""

import numpy as np
import pytest

from netsim.channels.spec import channel_from_spec
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.links.packets import PacketBurst
from netsim.links.profile import link_from_spec
from netsim.philox import uniforms
from netsim.streams import Streams

TRIALS, SLOTS = 12, 5
CHANNELS = ["uniform-10", "ge-15", "EP1", "EP4", "EP5-released", {"preset": "EP6", "start": "uniform"}]
CHANNELS += [{"switch": ["EP3", "EP5"]}, {"preset": "EP4", "step_s": 0.002}]
LINKS = [
    None,
    {"geo": {"deadline_s": 12}},
    {"wlan": {"period_s": 0.01, "deadline_s": 0.01}},
    {"mobile": {"queue_packets": 6, "period_s": 0.05, "deadline_s": 0.2, "jitter_s": 0.1}},
]


def offer(slot: int) -> PacketBurst:
    """Slots differ in number of packets, sizes and protection."""
    sizes = tuple(200 + 37 * ((5 * i + slot) % 17) for i in range(8 + slot))
    return PacketBurst(sizes, tuple(i == 0 and slot % 2 == 0 for i in range(len(sizes))))


@pytest.mark.parametrize("channel", CHANNELS, ids=str)
@pytest.mark.parametrize("link", LINKS, ids=str)
def test_array_equals_event(channel: object, link: object) -> None:
    chain, profile = channel_from_spec(channel), link_from_spec(link)
    losses, jitter = Streams(7, "losses"), Streams(7, "jitter")
    batches = list(simulate_trials(SLOTS, offer, chain, profile, losses, jitter, 3, 3 + TRIALS))
    assert [batch.slot for batch in batches] == list(range(SLOTS))
    for t in range(TRIALS):
        trial = simulate_trial(SLOTS, lambda slot, _: offer(slot), chain, profile, losses, jitter, 3 + t)
        for batch, slot in zip(batches, trial, strict=True):
            assert batch.trials[t] == 3 + t
            np.testing.assert_array_equal(batch.outcome[t], slot.outcome)
            np.testing.assert_array_equal(batch.arrival_s[t], slot.arrival_s)
            np.testing.assert_array_equal(batch.sent_s[t], slot.sent_s)
            assert (batch.start_s[t], batch.end_s[t]) == (slot.start_s, slot.end_s)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 23])
def test_compiled_streams_are_numpys(count: int) -> None:
    streams = Streams(2**40 + 3, "anything", "else")
    expected = np.stack([streams.at(trial, 9).random(count) for trial in range(4, 9)])
    np.testing.assert_array_equal(uniforms(streams.key, 4, 9, 9, count), expected)

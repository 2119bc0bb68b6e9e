"""The event engine against bare SimPy; the array engine against the event engine."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import simpy

from benchmarks.result import Result, faster, rivals_s
from netsim.channels import preset
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.links.packets import PacketBurst
from netsim.links.profile import link_from_spec
from netsim.streams import Streams

__all__ = ["array_engine", "event_engine"]

SLOTS = 50
TRIALS = 20_000
COMPARED = 20
LINK = link_from_spec({"geo": {"interval_s": 2.0, "deadline_s": 25.0}})
OFFER = PacketBurst((850,) * 11, (True, *(False,) * 10))
LOSSES, JITTER = Streams(7, "losses"), Streams(7, "jitter")


def _event_trial(trial: int) -> list[np.ndarray]:
    channel = preset("EP4")
    return [slot.outcome for slot in simulate_trial(SLOTS, lambda s, _: OFFER, channel, LINK, LOSSES, JITTER, trial)]


def _bare_simpy(packets: int) -> int:
    """The least that SimPy can do with a packet: a source puts it into a Store, a sink takes it out."""
    env = simpy.Environment()
    store = simpy.Store(env)
    taken: list[int] = []

    def source() -> Generator[simpy.Event, None, None]:
        for packet in range(packets):
            yield env.timeout(1.0)
            yield store.put(packet)

    def sink() -> Generator[simpy.Event, int, None]:
        while True:
            taken.append((yield store.get()))

    env.process(source())
    env.process(sink())
    env.run()
    return len(taken)


def event_engine() -> list[Result]:
    """Packets per second of one trial over a GEO link with serialisation, propagation, deadline and EP4."""
    packets = SLOTS * len(OFFER.sizes_bytes)
    ours_s, bare_s = rivals_s(lambda: _event_trial(0), lambda: _bare_simpy(packets), 40)
    return [faster("event engine, whole GEO link", packets / ours_s, packets / bare_s, 0.6, "packets/s")]


def array_engine() -> list[Result]:
    """The same link, channel and slots in many trials at once; some trials' receptions are compared bit by bit."""
    channel = preset("EP4")

    def batches(trials: int) -> Iterator[np.ndarray]:
        for batch in simulate_trials(SLOTS, lambda s: OFFER, channel, LINK, LOSSES, JITTER, 0, trials):
            yield batch.outcome

    def all_trials() -> None:
        for _ in batches(TRIALS):
            pass

    many = np.stack([fate[:COMPARED].copy() for fate in batches(TRIALS)])  # [slot, trial, packet]
    one_by_one = np.stack([np.stack(_event_trial(trial)) for trial in range(COMPARED)], axis=1)
    if not np.array_equal(many, one_by_one):
        raise AssertionError("array and event engine disagree")
    packets = SLOTS * len(OFFER.sizes_bytes)
    ours_s, event_s = rivals_s(all_trials, lambda: _event_trial(0))
    return [faster("array engine against event engine", TRIALS * packets / ours_s, packets / event_s, 200, "packets/s")]

"""Channel sampling against a loop over packets in plain Python, as the papers' scripts have it."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from benchmarks.result import Result, faster, rivals_s
from netsim.channels import MarkovChannel, preset, preset_names
from netsim.philox import uniforms
from netsim.streams import Streams

__all__ = ["channel_sampling"]

PACKETS = 200  # of a trial
TILE, TILES = 40, 40  # trials at once: as the array engine has them, 128 KiB of uniforms
LOOP_PACKETS = 100_000


def channel_sampling() -> list[Result]:
    """Packets per second of every preset.

    Ours: what the array engine does, compiled Philox and the compiled chain, a tile of trials at a time.
    Two references: a loop cut to its channel, with one ``random.random()`` per step and per uncertain draw, if/else
    on the state, append; and the usual loop over any matrix, with ``numpy.random.choice(states, p=row)`` per step.
    """
    return [result for name in preset_names() for result in _both(preset(name))]


def _both(channel: MarkovChannel) -> list[Result]:
    key = Streams(7, "losses", channel.name).key
    received = np.empty((TILE * TILES, PACKETS), dtype=bool)
    room = np.empty((TILE, 2 + 2 * PACKETS))

    def ours() -> None:
        for first in range(0, TILE * TILES, TILE):
            drawn = uniforms(key, first, first + TILE, 0, 2 + 2 * PACKETS, room)
            states = channel.initial_states(drawn[:, 0])
            pairs = drawn[:, 2:].reshape(TILE, PACKETS, 2)
            received[first : first + TILE], _ = channel.receive_many(pairs, states)

    results = []
    for name, loop, packets in (
        ("random.random", plain_loop(channel), LOOP_PACKETS),
        ("numpy.random.choice", choice_loop(channel), LOOP_PACKETS // 20),
    ):
        ours_s, loop_s = rivals_s(ours, lambda loop=loop, packets=packets: loop(packets))  # type: ignore[misc]
        rate, loop_rate = received.size / ours_s, packets / loop_s
        title = f"channel sampling, {channel.name}, against a {name} loop"
        results.append(faster(title, rate, loop_rate, 300, "packets/s"))
    return results


def choice_loop(channel: MarkovChannel) -> Callable[[int], list[bool]]:
    """The loop that a script has for any chain: one ``choice`` among the states per packet, one draw of the loss."""
    states, rows, loss = range(len(channel.states)), channel.transition, channel.loss

    def loop(packets: int) -> list[bool]:
        received, state = [], 0
        for _ in range(packets):
            state = np.random.choice(states, p=rows[state])
            received.append(np.random.random() >= loss[state])
        return received

    return loop


def plain_loop(channel: MarkovChannel) -> Callable[[int], list[bool]]:
    """The loop that a script would have for this channel: packets → True where received."""
    if len(channel.states) == 1:
        return _independent(float(channel.loss[0]))
    if len(channel.states) == 2:
        return _two_states(channel)
    return _three_states(channel)


def _independent(loss_rate: float) -> Callable[[int], list[bool]]:
    def loop(packets: int) -> list[bool]:
        received = []
        for _ in range(packets):
            received.append(random.random() >= loss_rate)
        return received

    return loop


def _two_states(channel: MarkovChannel) -> Callable[[int], list[bool]]:
    to_bad, to_good = float(channel.transition[0, 1]), float(channel.transition[1, 0])
    loss_good, loss_bad = channel.loss.tolist()
    certain = {loss_good, loss_bad} <= {0.0, 1.0}

    def loop(packets: int) -> list[bool]:
        received, bad = [], False
        for _ in range(packets):
            u = random.random()
            if bad:
                if u < to_good:
                    bad = False
            elif u < to_bad:
                bad = True
            if certain:
                received.append(not bad)
            else:
                received.append(random.random() >= (loss_bad if bad else loss_good))
        return received

    return loop


def _three_states(channel: MarkovChannel) -> Callable[[int], list[bool]]:
    """States G, B, I; only B loses, and always."""
    (stay_good, _, _), (to_good, stay_bad, _), (_, leave, _) = channel.transition.tolist()

    def loop(packets: int) -> list[bool]:
        received, state = [], 0
        for _ in range(packets):
            u = random.random()
            if state == 0:
                if u >= stay_good:
                    state = 1
            elif state == 1:
                if u < to_good:
                    state = 0
                elif u >= to_good + stay_bad:
                    state = 2
            elif u < leave:
                state = 1
            received.append(state != 1)
        return received

    return loop

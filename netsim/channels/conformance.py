"""Does a channel keep its contract? A battery that anybody runs on their own class (``netsim check-channel NAME``).

Each check is one sentence of ``netsim.channels.Channel``, tried with seeded uniforms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.calls import received_packet, received_packets
from netsim.errors import InputError

__all__ = ["CHECKS", "ChannelCheck", "check_channel"]

_SEED = 20260
_PACKETS = 200  # of a trial, compared packet by packet
_TRIALS = 8
_SAMPLED = 1 << 17  # packets whose loss rate is counted
_BATCHES = 64
_SIGMA = 6.0  # a false alarm in some 1e8 batteries


@dataclass(frozen=True)
class ChannelCheck:
    """One check's outcome. detail: what was tried, or what went wrong and where."""

    name: str
    passed: bool
    detail: str


class _Broken(Exception):
    """A sentence of the contract that does not hold."""


def _trials() -> list[tuple[float, NDArray[np.float64]]]:
    """Uniforms of some trials: for the initial state, and float64 [n, 2]; the edges of [0, 1) among them."""
    found = []
    for trial in range(_TRIALS):
        rng = np.random.default_rng([_SEED, trial])
        uniforms = rng.random((_PACKETS, 2))
        uniforms[rng.integers(0, _PACKETS, 8), rng.integers(0, 2, 8)] = 0.0
        uniforms[rng.integers(0, _PACKETS, 8), rng.integers(0, 2, 8)] = np.nextafter(1.0, 0.0)
        found.append((float(rng.random()), uniforms))
    return found


def _entered(channel: Channel, u: float) -> Any:
    return channel.enter_slot(u, channel.initial_state(u))


def _one_by_one(channel: Channel, uniforms: NDArray[np.float64], state: Any, steps: Any = 1) -> tuple[list[bool], Any]:
    received = []
    for i, (u_step, u_loss) in enumerate(uniforms.tolist()):
        arrived, state = received_packet(channel, u_step, u_loss, state, int(np.broadcast_to(steps, len(uniforms))[i]))
        received.append(bool(arrived))
    return received, state


def shape_and_type(channel: Channel) -> str:
    """``receive`` returns bool [n] and a state, also for no packet and for one; ``receive_one`` a bool and a state.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    u, uniforms = _trials()[0]
    for count in (0, 1, _PACKETS):
        received_packets(channel, uniforms[:count], _entered(channel, u))
        _one_by_one(channel, uniforms[:count], _entered(channel, u))
    return f"0, 1 and {_PACKETS} packets"


def many_as_one(channel: Channel) -> str:
    """Packets in one call are received as one at a time, and leave the same state.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    for trial, (u, uniforms) in enumerate(_trials()):
        received, after = received_packets(channel, uniforms, _entered(channel, u))
        alone, after_alone = _one_by_one(channel, uniforms, _entered(channel, u))
        _same(f"trial {trial}", received, alone)
        _same_future(channel, f"trial {trial}", after, after_alone)
    return f"{_TRIALS} trials of {_PACKETS} packets"


def split_as_whole(channel: Channel) -> str:
    """Two calls one after the other give what one call gives.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    for trial, (u, uniforms) in enumerate(_trials()):
        whole, _ = received_packets(channel, uniforms, _entered(channel, u))
        cut = 1 + 23 * trial
        first, state = received_packets(channel, uniforms[:cut], _entered(channel, u))
        second, _ = received_packets(channel, uniforms[cut:], state)
        _same(f"trial {trial}, cut after {cut} packets", whole, [*first.tolist(), *second.tolist()])
    return f"{_TRIALS} trials"


def steps_apart(channel: Channel) -> str:
    """Numbers of steps between packets, one for all or one each, are kept alike by both methods.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    for trial, (u, uniforms) in enumerate(_trials()):
        each = np.random.default_rng([_SEED, 1, trial]).integers(0, 9, _PACKETS)
        for steps in (3, each):
            received, _ = received_packets(channel, uniforms, _entered(channel, u), steps)
            alone, _ = _one_by_one(channel, uniforms, _entered(channel, u), steps)
            _same(f"trial {trial}, {'3 steps' if steps is not each else '0 to 8 steps'} apart", received, alone)
    return "3 steps, and 0 to 8 steps apart"


def only_uniforms(channel: Channel) -> str:
    """Equal uniforms, equal losses: nothing else is random, and no call changes the channel or a state.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    for trial, (u, uniforms) in enumerate(_trials()):
        state = _entered(channel, u)
        kept, before = deepcopy(state), uniforms.copy()
        first, _ = received_packets(channel, uniforms, state)
        first = first.copy()
        np.random.seed(trial)
        second, _ = received_packets(channel, uniforms, kept)
        _same(f"trial {trial}, the second time", first, second)
        third, _ = received_packets(channel, uniforms, state)
        _same(f"trial {trial}, from the same state again", first, third)
        if not np.array_equal(before, uniforms):
            raise _Broken(f"trial {trial}: the caller's uniforms are changed")
    return f"{_TRIALS} trials, three times each"


def loss_rate_met(channel: Channel) -> str:
    """``loss_rate``, where there is one, is the share of packets lost from a start that a trial has.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    rate = getattr(channel, "loss_rate", None)
    if rate is None:
        return "the channel states no loss_rate"
    if not 0 <= rate <= 1:
        raise _Broken(f"loss_rate is {rate}")
    shares = []
    for batch in range(_BATCHES):
        rng = np.random.default_rng([_SEED, 2, batch])
        state = _entered(channel, float(rng.random()))
        received, _ = received_packets(channel, rng.random((_SAMPLED // _BATCHES, 2)), state)
        shares.append(1 - received.mean())
    share, error = float(np.mean(shares)), float(np.std(shares, ddof=1)) / math.sqrt(_BATCHES)
    if abs(share - rate) > _SIGMA * error + 1e-3:
        raise _Broken(f"loss_rate is {rate:.4g}, but {share:.4g} ± {error:.2g} of {_SAMPLED:,} packets are lost")
    return f"{100 * share:.3g} % of {_SAMPLED:,} packets lost, loss_rate {100 * rate:.3g} %"


def probabilities_agree(channel: Channel) -> str:
    """Closed forms, where there are some: masks sum to one, and their loss counts are those stated.

    Args:
        channel: The channel to check.

    Returns:
        What was tried, for the report.
    """
    masks_of, counts_of = (getattr(channel, f"{name}_probabilities", None) for name in ("mask", "loss_count"))
    if masks_of is None:
        return "the channel states no mask_probabilities"
    for packets in (1, 2, 5):
        masks = np.asarray(masks_of(packets), dtype=float)
        if masks.shape != (2**packets,) or (masks < -1e-12).any() or abs(masks.sum() - 1) > 1e-9:
            raise _Broken(f"mask_probabilities({packets}) has shape {masks.shape} and sum {masks.sum():.9g}")
        lost = packets - np.array([bin(mask).count("1") for mask in range(2**packets)])
        counted = np.bincount(lost, masks, packets + 1)
        if counts_of is not None and np.abs(np.asarray(counts_of(packets)) - counted).max() > 1e-9:
            raise _Broken(f"loss_count_probabilities({packets}) is not what mask_probabilities({packets}) gives")
    return "windows of 1, 2 and 5 packets"


def _same(where: str, ours: Any, theirs: Any) -> None:
    differing = np.flatnonzero(np.asarray(ours) != np.asarray(theirs))
    if len(differing):
        raise _Broken(f"{where}: packet {int(differing[0])} of {len(ours)} differs")


def _same_future(channel: Channel, where: str, state: Any, other: Any) -> None:
    """States may be of any type: they are equal if what follows is."""
    uniforms = np.random.default_rng([_SEED, 3]).random((_PACKETS, 2))
    ours, theirs = (received_packets(channel, uniforms, after)[0] for after in (state, other))
    _same(f"{where}, after the state returned", ours, theirs)


CHECKS: dict[str, Callable[[Channel], str]] = {
    "shape and type": shape_and_type,
    "many as one": many_as_one,
    "split as whole": split_as_whole,
    "steps apart": steps_apart,
    "only uniforms": only_uniforms,
    "loss rate met": loss_rate_met,
    "probabilities agree": probabilities_agree,
}
"""Name of each check, in order, with the function that makes it."""


def check_channel(channel: Channel) -> list[ChannelCheck]:
    """Run every check on a channel.

    Args:
        channel: A channel.

    Returns:
        One outcome per check, in the order of ``CHECKS``; an exception inside a check counts as a failure.

    Raises:
        InputError: ``channel`` is a class or a name.
    """
    if not isinstance(channel, Channel):
        hint = 'an instance: MyChannel(), or netsim.channels["my-channel"]'
        raise InputError(f"check_channel takes a channel, not {channel!r}", hint=hint)
    results = []
    for name, check in CHECKS.items():
        try:
            results.append(ChannelCheck(name, True, check(channel)))
        except _Broken as broken:
            results.append(ChannelCheck(name, False, str(broken)))
        except InputError as error:
            results.append(ChannelCheck(name, False, error.message))
        except Exception as error:  # a channel under test may raise anything
            results.append(ChannelCheck(name, False, f"{type(error).__name__}: {error}"))
    return results

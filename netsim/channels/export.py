"""Channels for other simulators: the line that loses packets by the same law, or the reason why none does."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.markov import MarkovChannel
from netsim.channels.netem import sum_wraps
from netsim.errors import InputError, did_you_mean

__all__ = ["TARGETS", "export_channel"]

_TINY = 1e-12


def export_channel(channel: Channel, target: str) -> str:
    """What another simulator needs to lose packets as a channel does.

    Args:
        channel: The channel.
        target: ``netem``, ``ns3`` or ``ns-py``.

    Returns:
        The text to put there: arguments of ``tc``, C++ or Python.

    Raises:
        InputError: An unknown target, or none of its models has this channel's law; the message says why.

    >>> from netsim.channels import preset
    >>> export_channel(preset("EP4"), "netem")
    'loss state 6.37% 36.31% 22.97% 43.38%'
    """
    if target not in TARGETS:
        raise InputError(f"can't export to `{target}`", hint=did_you_mean(target, TARGETS), key=("to",))
    if not isinstance(channel, MarkovChannel):
        message = f"{channel.name} is not a Markov chain"
        raise InputError(message, hint="`netsim trace convert` writes recordings; a fitted channel can be exported")
    if channel.step_s is not None:
        message = f"{channel.name} steps every {channel.step_s:g} s"
        raise InputError(message, hint=f"{target} steps once per packet: leave `step_s` out")
    return TARGETS[target](channel if target == "ns-py" else _reduced(channel))


def _reduced(channel: MarkovChannel) -> MarkovChannel:
    """The channel without states that it leaves for ever, and with one state for those that lose and go on alike."""
    used = np.flatnonzero(channel.stationary > 0)
    if len(used) < len(channel.states):
        rows, states = channel.transition[np.ix_(used, used)], [channel.states[i] for i in used]
        channel = MarkovChannel(channel.name, rows, channel.loss[used], states)
    kinds = _kinds(channel.transition, channel.loss)
    first = [kinds.index(kind) for kind in range(max(kinds) + 1)]
    if len(first) == len(kinds):
        return channel
    members = np.eye(len(first))[kinds]
    start = members.T @ channel.start_distribution
    merged = MarkovChannel(
        channel.name, (channel.transition @ members)[first], channel.loss[first], [channel.states[i] for i in first]
    )
    merged.start_distribution = start / start.sum()
    return merged


def _kinds(matrix: NDArray[np.float64], loss: NDArray[np.float64]) -> list[int]:
    """A number per state, the same for states that nothing observable tells apart.

    States of a kind have one loss and the same probability of each kind after them (J. Kemeny, J. Snell, "Finite Markov
    Chains", 1960, section 6.3: such a chain can be lumped, whatever its start).
    """
    kinds: list[int] = [0] * len(loss)
    while True:
        after = matrix @ np.eye(max(kinds) + 1)[kinds]
        found: list[int] = []  # the first state of each kind
        new: list[int] = []
        for i in range(len(loss)):
            same = (k for k, j in enumerate(found) if abs(loss[i] - loss[j]) < _TINY and kinds[i] == kinds[j])
            kind = next((k for k in same if np.abs(after[i] - after[found[k]]).max() < _TINY), len(found))
            if kind == len(found):
                found.append(i)
            new.append(kind)
        if len(found) == max(kinds) + 1:
            return new
        kinds = new


def _netem(channel: MarkovChannel) -> str:
    """``loss random`` of one state, ``gemodel`` of two, ``state`` of what fits netem's chain of four."""
    size, matrix, loss = len(channel.states), channel.transition, channel.loss
    if size == 1 or np.ptp(loss) < _TINY:
        return f"loss random {_percent(loss[0])}"
    if size == 2:
        good, bad = (0, 1) if loss[0] <= loss[1] else (1, 0)
        p, r = matrix[good, bad], matrix[bad, good]
        numbers = [p, r, loss[bad], loss[good]]
        while len(numbers) > 2 and abs(numbers[-1] - (1.0 if len(numbers) == 3 else 0.0)) < _TINY:
            numbers.pop()
        return "loss gemodel " + " ".join(map(_percent, numbers))
    if size <= 4:
        for names in combinations((1, 3, 2, 4), size):
            for order in permutations(range(size)):
                line = _four_states(matrix, loss, dict(zip(names, order, strict=True)))
                if line:
                    return line
    raise InputError(
        f"netem has no model with the law of {channel.name}",
        hint="gemodel has two states; `state` has at most four, each of which loses all packets or none, with the\n"
        "transitions 1→1, 1→3, 1→4, 2→2, 2→3, 3→1, 3→2, 3→3 and 4→1 only",
    )


def _four_states(matrix: NDArray[np.float64], loss: NDArray[np.float64], places: dict[int, int]) -> str:
    """The line of a chain with these states of netem, 1 to 4, in these places; empty if it has none."""
    if not {1, 3} <= set(places) or any(
        abs(loss[place] - (state in (3, 4))) > _TINY for state, place in places.items()
    ):
        return ""
    allowed = {(1, 1), (1, 3), (1, 4), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (4, 1)}
    for one, i in places.items():
        for other, j in places.items():
            if (one, other) not in allowed and matrix[i, j] > _TINY:
                return ""

    def p(one: int, other: int, missing: float) -> float:
        return float(matrix[places[one], places[other]]) if one in places and other in places else missing

    numbers = [p(1, 3, 0.0), p(3, 1, 0.0), p(3, 2, 0.0), p(2, 3, 1.0), p(1, 4, 0.0)]
    for one, other in ((1, 2), (0, 4)):  # the two ways out of state 3, and out of state 1
        if sum_wraps(numbers[one], numbers[other]):
            numbers[other] -= 1e-9
    if 4 not in places:
        numbers.pop()
    return "loss state " + " ".join(map(_percent, numbers))


def _ns3(channel: MarkovChannel) -> str:
    """``RateErrorModel`` of independent loss, ``BurstErrorModel`` of two states that lose nothing or everything.

    ns-3 starts a burst with probability BurstRate at *every* packet, also inside a burst, and draws its length as the
    whole part of a random number; a length of 0 ends the burst that was. With an exponential number of mean m, one more
    packet is lost with probability q = exp(−1/m) whatever was before: P(B→B) = q, and P(G→B) = BurstRate · q.
    """
    matrix, loss = channel.transition, channel.loss
    if len(channel.states) == 1 or np.ptp(loss) < _TINY:
        return (
            "Ptr<RateErrorModel> em = CreateObject<RateErrorModel> ();\n"
            'em->SetAttribute ("ErrorUnit", StringValue ("ERROR_UNIT_PACKET"));\n'
            f'em->SetAttribute ("ErrorRate", DoubleValue ({_number(loss[0])}));'
        )
    no_hidden = "ns-3's error models have no hidden states: RateErrorModel is independent, BurstErrorModel two states"
    if len(channel.states) != 2 or sorted(loss.tolist()) != [0.0, 1.0]:
        raise InputError(f"ns-3 has no model with the law of {channel.name}", hint=no_hidden)
    good, bad = (0, 1) if loss[0] == 0 else (1, 0)
    begin, stay = float(matrix[good, bad]), float(matrix[bad, bad])
    if stay <= _TINY or begin > stay + _TINY:
        message = f"ns-3 has no model with the law of {channel.name}: P(G→B) is {begin:.4g}, above P(B→B), {stay:.4g}"
        raise InputError(message, hint="BurstErrorModel can't make bursts shorter than those of independent loss")
    return (
        "Ptr<BurstErrorModel> em = CreateObject<BurstErrorModel> ();\n"
        f'em->SetAttribute ("BurstRate", DoubleValue ({_number(min(1.0, begin / stay))}));\n'
        'em->SetAttribute ("BurstSize",\n'
        f'  StringValue ("ns3::ExponentialRandomVariable[Mean={_number(-1 / math.log(stay))}]"));'
    )


def _ns_py(channel: MarkovChannel) -> str:
    """A function for ``Wire``'s ``loss_dist``, which asks for the loss rate of each packet: any chain will do."""
    rows = [[float(value) for value in row] for row in channel.transition]
    start = [float(value) for value in channel.start_distribution]
    return (
        "import random\n"
        "\n"
        "\n"
        "def loss_dist_of_chain(rows, loss, start):\n"
        '    """Steps once per packet, then gives the loss rate of the new state."""\n'
        "    state = random.choices(range(len(loss)), start)[0]\n"
        "\n"
        "    def loss_dist(packet_id=None):\n"
        "        nonlocal state\n"
        "        state = random.choices(range(len(loss)), rows[state])[0]\n"
        "        return loss[state]\n"
        "\n"
        "    return loss_dist\n"
        "\n"
        "\n"
        f"loss_dist = loss_dist_of_chain({rows}, {channel.loss.tolist()}, {start})\n"
        "# wire = Wire(env, delay_dist, loss_dist=loss_dist)"
    )


TARGETS: dict[str, Callable[[MarkovChannel], str]] = {"netem": _netem, "ns3": _ns3, "ns-py": _ns_py}
"""Simulators that channels are exported to."""


def _percent(probability: float) -> str:
    return f"{float(f'{100 * probability:.12g}'):.12g}%"


def _number(value: float) -> str:
    return f"{value:.12g}"

"""Markov channels by their usual parameters: Bernoulli, Gilbert–Elliott, three states, or loss rate, burst and gap."""

from __future__ import annotations

from netsim.channels.markov import MarkovChannel
from netsim.channels.matrices import ROW_SUM_TOLERANCE, check_probability
from netsim.errors import InputError

__all__ = ["bernoulli", "burst", "burst_and_gap", "gilbert_elliott", "lossy_states", "three_state"]


def bernoulli(
    loss_rate: float, *, name: str = "", start: str = "stationary", step_s: float | None = None
) -> MarkovChannel:
    """Independent loss: every packet is lost with probability ``loss_rate``.

    Args:
        loss_rate: Probability of loss.
        name: Name in logs and figures; empty: made of the numbers.
        start: State before the first packet: a state's name, or ``stationary``.
        step_s: Seconds per step of the chain; None: one step per packet.

    Returns:
        The channel.

    Raises:
        InputError: ``loss_rate`` is outside 0…1.

    >>> bernoulli(0.1).loss_rate, bernoulli(0.1).name
    (0.1, 'loss 10 %')
    """
    check_probability("loss_rate", loss_rate)
    return MarkovChannel(name or f"loss {_percent(loss_rate)}", [[1.0]], [loss_rate], ("G",), start, step_s)


def gilbert_elliott(
    p: float, r: float, h: float, k: float, *, name: str = "", start: str = "stationary", step_s: float | None = None
) -> MarkovChannel:
    """Gilbert–Elliott: p = P(G→B), r = P(B→G); a packet is lost with probability 1−k in G and 1−h in B.

    Source: Sha et al., Towards Loss-Resilient Image Coding, section 3.4, equations 4 and 5.

    Args:
        p: P(G→B) per step.
        r: P(B→G) per step.
        h: Probability that a packet arrives in B.
        k: Probability that a packet arrives in G.
        name: Name in logs and figures; empty: made of the numbers.
        start: State before the first packet: a state's name, or ``stationary``.
        step_s: Seconds per step of the chain; None: one step per packet.

    Returns:
        The channel.

    Raises:
        InputError: A probability is outside 0…1.

    >>> gilbert_elliott(0.25, 0.75, h=0.0, k=1.0).loss_rate
    0.25
    """
    for key, value in (("p", p), ("r", r), ("h", h), ("k", k)):
        check_probability(key, value)
    return lossy_states(p, r, 1 - h, 1 - k, name=name, start=start, step_s=step_s)


def lossy_states(
    p: float,
    r: float,
    loss_bad: float,
    loss_good: float,
    *,
    name: str = "",
    start: str = "stationary",
    step_s: float | None = None,
) -> MarkovChannel:
    """Gilbert–Elliott by its loss probabilities in B and G, as netem's ``gemodel p r 1-h 1-k`` has them.

    Args:
        p: P(G→B) per step.
        r: P(B→G) per step.
        loss_bad: Probability of loss in B.
        loss_good: Probability of loss in G.
        name: Name in logs and figures; empty: made of the numbers.
        start: State before the first packet: a state's name, or ``stationary``.
        step_s: Seconds per step of the chain; None: one step per packet.

    Returns:
        The channel.

    Raises:
        InputError: A probability is outside 0…1.

    >>> round(lossy_states(0.01, 0.1, loss_bad=0.7, loss_good=0.001).loss_rate, 6)
    0.064545
    """
    for key, value in (("p", p), ("r", r), ("loss_bad", loss_bad), ("loss_good", loss_good)):
        check_probability(key, value)
    channel = MarkovChannel(name, [[1 - p, p], [r, 1 - r]], [loss_good, loss_bad], ("G", "B"), start, step_s)
    channel.name = name or _statistical_name("GE", channel)
    return channel


def three_state(
    p_good: float,
    p_bad: float,
    p_intermediate: float,
    p_bad_to_good: float,
    *,
    name: str = "",
    start: str = "stationary",
    step_s: float | None = None,
) -> MarkovChannel:
    """Three-state chain: good G and intermediate I lose nothing, bad B loses every packet.

    Rows, columns (G, B, I): G = (p_G, 1−p_G, 0); B = (p_BG, p_B, 1−p_B−p_BG); I = (0, 1−p_I, p_I).
    Source: Wang et al., ResiComp, Fig. 10 and Table I.

    Args:
        p_good: p_G, the probability to stay in G.
        p_bad: p_B, the probability to stay in B.
        p_intermediate: p_I, the probability to stay in I.
        p_bad_to_good: p_BG.
        name: Name in logs and figures; empty: made of the numbers.
        start: State before the first packet: a state's name, or ``stationary``.
        step_s: Seconds per step of the chain; None: one step per packet.

    Returns:
        The channel.

    Raises:
        InputError: Row B sums to more than one, or a probability is outside 0…1.

    >>> round(three_state(0.99968, 0.8462, 0.0, 0.1538).loss_rate, 4)  # EP1
    0.0021
    """
    given = {"p_good": p_good, "p_bad": p_bad, "p_intermediate": p_intermediate, "p_bad_to_good": p_bad_to_good}
    for key, value in given.items():
        check_probability(key, value)
    rest = 1 - p_bad - p_bad_to_good
    # what is left for I is never below zero: where p_B + p_BG exceed one, the row's sum tells
    to_intermediate = rest if rest > ROW_SUM_TOLERANCE else 0.0
    rows = [
        [p_good, 1 - p_good, 0.0],
        [p_bad_to_good, p_bad, to_intermediate],
        [0.0, 1 - p_intermediate, p_intermediate],
    ]
    channel = MarkovChannel(name, rows, [0, 1, 0], ("G", "B", "I"), start, step_s)
    channel.name = name or _statistical_name("3-state", channel)
    return channel


def burst(
    loss_rate: float, mean_burst: float, *, name: str = "", start: str = "stationary", step_s: float | None = None
) -> MarkovChannel:
    """Two-state chain with this loss rate (ε) and mean burst (γ, packets), lossless in G, lossy in B.

    P(B→G) = 1/γ and P(G→B) = ε/(γ(1−ε)).

    Args:
        loss_rate: ε, the share of packets lost in the long run.
        mean_burst: γ, the mean length of a run of losses, in packets.
        name: Name in logs and figures; empty: made of the numbers.
        start: State before the first packet: a state's name, or ``stationary``.
        step_s: Seconds per step of the chain; None: one step per packet.

    Returns:
        The channel.

    Raises:
        InputError: No such chain exists: mean_burst < 1, or so short that P(G→B) would exceed one.

    >>> channel = burst(0.1, 4)
    >>> round(channel.loss_rate, 12), round(channel.mean_burst, 12), channel.name
    (0.1, 4.0, 'loss 10 % burst 4')
    """
    check_probability("loss_rate", loss_rate)
    if not 1 <= mean_burst < float("inf"):
        hint = "a burst lasts at least one packet"
        raise InputError(
            f"mean_burst {mean_burst} is below 1" if mean_burst < 1 else f"mean_burst {mean_burst}",
            hint=hint,
            key=("mean_burst",),
        )
    if loss_rate == 1:
        raise InputError(
            f"loss_rate 1 with mean_burst {mean_burst:g}: where everything is lost bursts never end",
            hint="give `loss_rate: 1` alone",
            key=("loss_rate",),
        )
    to_bad = loss_rate / (mean_burst * (1 - loss_rate))
    if to_bad > 1 + ROW_SUM_TOLERANCE:
        raise InputError(
            f"loss_rate {loss_rate:g} with mean_burst {mean_burst:g} needs P(G→B) = {to_bad:.4g}, above 1",
            hint=f"at a loss rate of {loss_rate:g} bursts last at least {loss_rate / (1 - loss_rate):.4g} packets",
            key=("mean_burst",),
        )
    to_bad, to_good = min(to_bad, 1.0), 1 / mean_burst
    label = name or f"loss {_percent(loss_rate)} burst {mean_burst:.4g}"
    return MarkovChannel(label, [[1 - to_bad, to_bad], [to_good, 1 - to_good]], [0, 1], ("G", "B"), start, step_s)


def burst_and_gap(
    loss_rate: float,
    mean_burst: float,
    mean_gap: float,
    *,
    name: str = "",
    start: str = "stationary",
    step_s: float | None = None,
) -> MarkovChannel:
    """Gilbert's chain with this loss rate, whose bursts and loss-free gaps last so long in the mean.

    Inside a burst each packet is lost with probability h = ε (b + g) / b, for a loss rate ε, mean burst b and mean gap
    g; P(B→G) = 1/b and P(G→B) = 1/g. With h = 1 it is ``burst``; below, ``mean_burst`` of the channel, the mean run of
    losses, is shorter than b, because a burst then holds received packets, too.

    Args:
        loss_rate: Share of packets lost in the long run.
        mean_burst: Mean length of a burst, in packets.
        mean_gap: Mean length of a gap, in packets.
        name: The channel's; empty: made of the numbers.
        start: State before the first packet.
        step_s: Seconds per step; None: a step per packet.

    Returns:
        The channel.

    Raises:
        InputError: A mean below 1, or a loss rate that bursts and gaps of these lengths can't reach.

    Source: E. Gilbert, "Capacity of a burst-noise channel", Bell Syst. Tech. J. 39 (1960).

    >>> channel = burst_and_gap(0.1, 5, 20)
    >>> round(channel.loss_rate, 12), channel.loss.tolist(), channel.name
    (0.1, [0.0, 0.5], 'loss 10 % burst 5 gap 20')
    """
    check_probability("loss_rate", loss_rate)
    for key, value in (("mean_burst", mean_burst), ("mean_gap", mean_gap)):
        if not 1 <= value < float("inf"):
            noun = key.removeprefix("mean_")
            raise InputError(f"{key} {value:g} is below 1", hint=f"a {noun} lasts at least one packet", key=(key,))
    inside = loss_rate * (mean_burst + mean_gap) / mean_burst
    if inside > 1 + ROW_SUM_TOLERANCE:
        most = mean_burst / (mean_burst + mean_gap)
        raise InputError(
            f"loss_rate {loss_rate:g} with mean_burst {mean_burst:g} and mean_gap {mean_gap:g} needs a loss of "
            f"{inside:.4g} inside bursts, above 1",
            hint=f"bursts of {mean_burst:g} and gaps of {mean_gap:g} packets lose at most {most:.4g}: a lower "
            "loss_rate, longer bursts, or shorter gaps",
            key=("loss_rate",),
        )
    p, r = 1 / mean_gap, 1 / mean_burst
    label = name or f"loss {_percent(loss_rate)} burst {mean_burst:.4g} gap {mean_gap:.4g}"
    return MarkovChannel(label, [[1 - p, p], [r, 1 - r]], [0.0, min(1.0, inside)], ("G", "B"), start, step_s)


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def _statistical_name(kind: str, channel: MarkovChannel) -> str:
    """A readable name from what a chain does, or its kind alone where it has no single long-run behaviour."""
    try:
        return f"{kind} loss {_percent(channel.loss_rate)} burst {channel.mean_burst:.4g}"
    except InputError:
        return kind

"""Loss lines of netem, the network emulator of Linux, as channels.

Source: tc-netem(8), section LOSS, and S. Salsano, F. Ludovici, A. Ordine, "Definition of a general and intuitive loss
model for packet networks and its implementation in the Netem module in the Linux kernel" (2009).

``loss gemodel p [r [1-h [1-k]]]`` is Gilbert–Elliott: p = P(good→bad), r = P(bad→good), loss 1−h in the bad state and
1−k in the good one. ``loss state p13 [p31 [p32 [p23 [p14]]]]`` is a chain of four states: 1 received in a gap, 2
received in a burst, 3 lost in a burst, 4 lost alone in a gap. netem draws a packet of ``gemodel`` before it steps, the
channels here after it; from a stationary start the law is the same. netem itself starts in the good state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from netsim.channels.chains import bernoulli, lossy_states
from netsim.channels.markov import MarkovChannel
from netsim.errors import InputError

__all__ = ["is_netem", "netem_channel", "sum_wraps"]

_PERCENT = re.compile(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(%?)", re.ASCII | re.IGNORECASE)
_HINT = "`loss 1%`, `loss random 1%`, `loss gemodel p [r [1-h [1-k]]]` or `loss state p13 [p31 [p32 [p23 [p14]]]]`"
_NAMES: Mapping[str, tuple[str, ...]] = {
    "gemodel": ("p", "r", "1-h", "1-k"),
    "state": ("p13", "p31", "p32", "p23", "p14"),
}


def is_netem(text: str) -> bool:
    """Whether a text is a loss line of netem; what follows ``loss`` may still be wrong.

    Args:
        text: Any text.

    Returns:
        True if netem's reader is to read it.

    >>> is_netem("loss gemodel 1% 10%"), is_netem("tc qdisc add dev eth0 root netem loss 1%"), is_netem("EP4")
    (True, True, False)
    """
    words = text.split()
    return bool(words) and len(words) > 1 and (words[0] == "loss" or "netem" in words)


def netem_channel(
    text: str, *, name: str = "", start: str = "stationary", step_s: float | None = None
) -> MarkovChannel:
    """The channel that loses packets as netem does.

    Args:
        text: ``loss …``, or a whole ``tc`` command that ends with it. A number without ``%`` counts as per cent, as tc
            reads it.
        name: The channel's; empty: the line.
        start: State before the first packet.
        step_s: Seconds per step; None: a step per packet, as in netem.

    Returns:
        The channel.

    Raises:
        InputError: Not a loss line, an option that is not a loss model here, or probabilities that make no chain.

    >>> channel = netem_channel("loss gemodel 1% 10% 70% 0.1%")
    >>> round(channel.loss_rate, 6), channel.name
    (0.064545, 'loss gemodel 1% 10% 70% 0.1%')
    """
    words = text.split()
    if "loss" not in words:
        raise InputError(f"`{text}` has no `loss`", hint=_HINT)
    words = words[words.index("loss") :]
    label, options = name or " ".join(words), {"start": start, "step_s": step_s}
    model = words[1] if len(words) > 1 else ""
    if model in _NAMES:
        values = _values(text, words[2:], _NAMES[model])
        if model == "gemodel":
            p = values[0]
            r, bad, good = [*values[1:], *(1 - p, 1.0, 0.0)[len(values) - 1 :]]
            return lossy_states(p, r, bad, good, name=label, **options)  # type: ignore[arg-type]
        return _four_states(text, values, label, options)
    rest = words[2:] if model == "random" else words[1:]
    values = _values(text, rest[:1], ("probability",))
    if len(rest) > 1 and not _PERCENT.fullmatch(rest[1]):
        hint = f"end the line with the loss, other options of netem go before it\n{_HINT}"
        raise InputError(f"`{text}`: `{rest[1]}` is not a loss", hint=hint)
    if len(rest) > 1:
        message = f"`{text}`: a correlation of random loss is not a Markov chain"
        raise InputError(
            message, hint="netem mixes random numbers, which gives another loss rate; use gemodel or state"
        )
    return bernoulli(values[0], name=label, **options)  # type: ignore[arg-type]


def _values(text: str, words: list[str], names: tuple[str, ...]) -> list[float]:
    """Probabilities from what tc takes: numbers in per cent."""
    if not 1 <= len(words) <= len(names):
        few = f"{len(words)} numbers" if len(words) != 1 else "1 number"
        raise InputError(f"`{text}` has {few} for {', '.join(names)}", hint=_HINT)
    found = []
    for word, name in zip(words, names, strict=False):
        match = _PERCENT.fullmatch(word)
        if not match:
            raise InputError(f"`{text}`: {name} is `{word}`", hint=f"a number in per cent\n{_HINT}")
        value = float(f"{match[1]}{match[2] or ''}") / 100
        if value > 1:
            raise InputError(f"`{text}`: {name} is {word}", hint="between 0% and 100%")
        found.append(value)
    return found


def sum_wraps(one: float, other: float) -> bool:
    """Whether netem's sum of two probabilities starts again at 0; two halves do, each rounded up to 2^31.

    Args:
        one: A probability. tc rounds it to a whole number of (2^32 − 1)ths, the kernel adds in 32 bits.
        other: Another way out of the same state.

    Returns:
        True if it does, so that netem never takes one of the two ways.

    >>> sum_wraps(0.5, 0.5), sum_wraps(0.3, 0.7)
    (True, False)
    """
    return sum(round(probability * (2**32 - 1)) for probability in (one, other)) >= 2**32


def _four_states(text: str, values: list[float], label: str, options: Mapping[str, object]) -> MarkovChannel:
    """States 1 to 4; missing numbers are tc's: p31 = 100 % − p13, p32 = 0, p23 = 100 %, p14 = 0."""
    p13, *rest = values
    p31, p32, p23, p14 = [*rest, *(1 - p13, 0.0, 1.0, 0.0)[len(rest) :]]
    for total, names in ((p13 + p14, "p13 + p14"), (p31 + p32, "p31 + p32")):
        if total > 1 + 1e-12:
            hint = "the probabilities of leaving one state: at most 100%; netem would clip them in silence"
            raise InputError(f"`{text}`: {names} is {100 * total:g}%", hint=hint)
    for one, other, names in ((p13, p14, "p13 and p14"), (p31, p32, "p31 and p32")):
        if sum_wraps(one, other):
            hint = "netem's sum of them, 2^32, starts again at 0, so that it never takes the second way: 49.9999999%"
            raise InputError(f"`{text}`: {names} are both 50%", hint=hint)
    rows = [
        [max(0.0, 1 - p13 - p14), 0.0, p13, p14],
        [0.0, 1 - p23, p23, 0.0],
        [p31, p32, max(0.0, 1 - p31 - p32), 0.0],
        [1.0, 0.0, 0.0, 0.0],
    ]
    used = [0, *([1] if p32 > 0 else []), 2, *([3] if p14 > 0 else [])]
    kept = [[rows[i][j] for j in used] for i in used]
    loss = [(0.0, 0.0, 1.0, 1.0)[i] for i in used]
    return MarkovChannel(label, kept, loss, [str(i + 1) for i in used], **options)  # type: ignore[arg-type]

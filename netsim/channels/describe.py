"""What a channel really does, beside what was printed of it: the content of ``netsim channels``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.chains import bernoulli
from netsim.channels.markov import MarkovChannel
from netsim.channels.presets import (
    NORMALISED,
    TWO_STATE,
    VARIANTS,
    preset,
    preset_names,
    preset_variants,
    published,
    split_variant,
)
from netsim.channels.spec import channel_from_spec
from netsim.errors import InputError

__all__ = ["LAGS", "describe", "describe_all", "discrepancies"]

LAGS = range(1, 11)

# a printed number agrees if it is within 1 % or within its own rounding (three and two decimals)
RELATIVE_TOLERANCE = 0.01
LOSS_RATE_ROUNDING, MEAN_BURST_ROUNDING = 0.0005, 0.005


def describe(
    spec: str | Mapping[str, Any], variant: str | None = None, packets: int = 10, base_dir: Path | None = None
) -> dict[str, Any]:
    """One channel in numbers, ready for JSON (what is unknown or infinite is None).

    Args:
        spec: A preset's name, with or without its variant (``EP3``, ``EP3-released``), or whatever else a scenario may
            say.
        variant: Of a preset; None: the one in the name, else ``corrected``.
        packets: Window length L of the loss counts.
        base_dir: Folder at which paths of traces start.

    Returns:
        name, variant, valid, loss_rate, mean_burst, autocorrelation (lags 1…10), published (the paper's loss_rate and
        mean_burst, or None), discrepancies and notes (sentences), error (None if valid), states, rows, loss, source (of
        a fitted channel), packets, loss_count_probabilities (L + 1 numbers, index = packets lost), independent
        (mean_burst and loss_count_probabilities of independent loss at the same rate). A printed variant that is not a
        chain is described with ``valid`` False and its error.

    Raises:
        InputError: An unknown name, variant or key, or ``packets`` < 1.

    >>> one = describe("EP3", "printed")
    >>> one["valid"], one["error"]
    (False, 'EP3 as printed is not a chain: rows[1] (state B) sums to 1.6 (0.8 + 0.8 + 0.0)')
    """
    if packets < 1:
        raise InputError(f"{packets} packets", hint="a window holds at least one packet")
    name, short_variant = split_variant(spec) if isinstance(spec, str) else ("", None)
    if name not in preset_names():
        if variant is not None:
            raise InputError(
                f"`{spec}` is not a preset, so it has no variant `{variant}`", hint="presets have variants"
            )
        channel = channel_from_spec(spec, base_dir)
        facts = {"name": channel.name, "variant": None, "published": None}
        return (
            facts | _statistics(channel) | {"discrepancies": [], "notes": _notes(channel)} | _counts(channel, packets)
        )
    if variant is not None and short_variant not in (None, variant):
        raise InputError(f"`{spec}` with variant {variant}", hint="say the variant once")
    chosen = variant or short_variant or VARIANTS[0]
    facts = _describe_preset(name, chosen)
    return facts | _counts(preset(name, chosen) if facts["valid"] else None, packets)


def describe_all() -> list[dict[str, Any]]:
    """All presets in all their variants, without the counts.

    Returns:
        One description per preset and variant.
    """
    return [_describe_preset(name, variant) for name in preset_names() for variant in preset_variants(name)]


def discrepancies(spec: str | Mapping[str, Any]) -> list[str]:
    """Where a channel does not do what its paper prints.

    Args:
        spec: As in a scenario.

    Returns:
        One phrase per number; none for a channel that no paper prints.

    Raises:
        InputError: An unknown preset or variant.

    >>> discrepancies("EP5-released")
    ['loses 20.0 % where the paper says 21.4 %', 'bursts last 2.50 packets where the paper says 10.00']
    >>> discrepancies({"loss_rate": 0.1})
    []
    """
    if isinstance(spec, Mapping):
        if "switch" in spec:
            return [f"{part}: {sentence}" for part in spec["switch"] for sentence in discrepancies(part)]
        if "preset" not in spec:
            return []
        name, short_variant = split_variant(str(spec["preset"]))
        variant = str(spec.get("variant", short_variant or VARIANTS[0]))
    else:
        name, short = split_variant(spec)
        variant = short or VARIANTS[0]
        if name not in preset_names():  # a plug-in
            return []
    found: list[str] = _describe_preset(name, variant)["discrepancies"]
    return found


def _describe_preset(name: str, variant: str) -> dict[str, Any]:
    printed = published(name)
    facts: dict[str, Any] = {
        "name": name,
        "variant": variant,
        "published": {"loss_rate": printed["loss_rate"], "mean_burst": printed.get("mean_burst")},
    }
    try:
        channel = preset(name, variant)
    except InputError as error:
        if variant != "printed":  # an unknown variant, say
            raise
        return facts | _statistics(None, error.message) | {"discrepancies": [error.message], "notes": []}
    return (
        facts
        | _statistics(channel)
        | {
            "discrepancies": _discrepancies(channel, printed),
            "notes": [*_remarks(name, variant), *_notes(channel)],
        }
    )


def _statistics(channel: Channel | None, error: str | None = None) -> dict[str, Any]:
    """Numbers of any channel that has them; those that it lacks are None."""
    lag = getattr(channel, "autocorrelation", None)
    chain = channel if isinstance(channel, MarkovChannel) else None
    return {
        "valid": channel is not None,
        "error": error,
        "loss_rate": _finite(getattr(channel, "loss_rate", None)),
        "mean_burst": _finite(getattr(channel, "mean_burst", None)),
        "autocorrelation": [lag(k) for k in LAGS] if lag else None,
        "states": list(chain.states) if chain else None,
        "rows": chain.transition.tolist() if chain else None,
        "loss": chain.loss.tolist() if chain else None,
        "source": dict(channel.source) if channel is not None else {},
    }


def _counts(channel: Channel | None, packets: int) -> dict[str, Any]:
    counts = getattr(channel, "loss_count_probabilities", None)
    independent = None
    if counts is not None:
        same_rate = bernoulli(min(1.0, max(0.0, channel.loss_rate)))  # type: ignore[union-attr]
        independent = {
            "mean_burst": _finite(same_rate.mean_burst),
            "loss_count_probabilities": same_rate.loss_count_probabilities(packets).tolist(),
        }
    return {
        "packets": packets,
        "loss_count_probabilities": counts(packets).tolist() if counts else None,
        "independent": independent,
    }


def _discrepancies(channel: MarkovChannel, printed: Mapping[str, float]) -> list[str]:
    found = []
    rate, burst = printed["loss_rate"], printed.get("mean_burst")
    if not _agrees(channel.loss_rate, rate, LOSS_RATE_ROUNDING):
        found.append(f"loses {_percent(channel.loss_rate)} where the paper says {_percent(rate)}")
    if burst is not None and not _agrees(channel.mean_burst, burst, MEAN_BURST_ROUNDING):
        found.append(f"bursts last {channel.mean_burst:.2f} packets where the paper says {burst:.2f}")
    return found


def _agrees(ours: float, printed: float, rounding: float) -> bool:
    return abs(ours - printed) <= max(rounding, RELATIVE_TOLERANCE * printed)


def _remarks(name: str, variant: str) -> list[str]:
    """What the numbers don't show: how a pattern was corrected, and where the paper contradicts itself."""
    printed = published(name)
    if variant == "printed" and "loss_rate_in_text" in printed:
        table, text = _percent(printed["loss_rate"]), _percent(printed["loss_rate_in_text"])
        return [f"the paper's table says {table}, its text {text}"]
    if variant != "corrected":
        return []
    if name in NORMALISED:
        return ["row B, which does not sum to one as printed, is scaled"]
    if name in TWO_STATE:
        return ["two states with exactly the printed loss rate and burst"]
    return []


def _notes(channel: Channel) -> list[str]:
    """What a user would not expect of a channel with memory."""
    rate, burst = getattr(channel, "loss_rate", None), getattr(channel, "mean_burst", None)
    if rate is None or burst is None or not 0 < rate < 1:
        return []
    independent = 1 / (1 - rate)
    if burst >= independent - 1e-9:
        return []
    return [f"bursts are shorter than under independent loss: {burst:.3f} against {independent:.3f} packets"]


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"

"""Whether schemes send at the rate that was asked for: a codec may stop short of it, or have no setting between two."""

from __future__ import annotations

from collections.abc import Mapping

from netsim.codec import Stream
from netsim.decoding.streams import StreamKey, stream_key_of
from netsim.protection.calls import protected_stream
from netsim.protection.rate_budget import SENT_BPP
from netsim.scenario.plan import Plan, Scheme
from netsim.text import few

__all__ = ["RATE_MISSED", "counted_bpp", "rate_notes"]

RATE_MISSED = 0.05
"""Share of the asked rate from which on a run notes the difference."""


def counted_bpp(stream_key: StreamKey, stream: Stream) -> float | None:
    """The rate of a stream that its operating point is about.

    Args:
        stream_key: The stream's address.
        stream: The stream.

    Returns:
        For ``bpp`` the codec's own bytes, for ``sent_bpp`` with what the protection adds; None: it names no rate.
    """
    if stream_key.point.key == SENT_BPP and stream_key.protection is not None:
        return protected_stream(stream_key.protection, stream).sent.bpp
    return stream.bpp if stream_key.point.key == "bpp" else None


def rate_notes(plan: Plan, rates: Mapping[StreamKey, float]) -> list[str]:
    """Which schemes miss their rate, as a mean over the images, by more than ``RATE_MISSED``.

    Args:
        plan: The plan.
        rates: ``counted_bpp`` of each stream that has one.

    Returns:
        One sentence for each scheme and operating point, the worst first; one for all where they are many.
    """
    if not rates:
        return []
    notes: dict[tuple[str, str], tuple[float, str]] = {}
    for first in range(len(plan.rows) // len(plan.rows.channels)):
        row = plan.rows[first]
        for scheme in row.schemes:
            keys = [stream_key_of(plan, row, image, scheme) for image in range(len(plan.image_names))]
            found = [rates[key] for key in keys if key in rates]
            if not found:
                continue
            mean, asked = sum(found) / len(found), scheme.point.value
            if (off := abs(mean / asked - 1)) > RATE_MISSED:
                name, what = _named(scheme)
                sentence = f"{name}: {mean:.3g} bit/pixel were {what} where {scheme.operating_point} was asked for"
                notes.setdefault((name, scheme.operating_point), (off, sentence))
    worst = [sentence for _, sentence in sorted(notes.values(), key=lambda note: -note[0])]
    many = f"operating points miss the rate asked for by more than {100 * RATE_MISSED:g} %"
    return few(worst, many, "The worst")


def _named(scheme: Scheme) -> tuple[str, str]:
    """Whose rate it is: of all that a scheme sends, or of the codec's own bytes, which its protections share."""
    if scheme.point.key == SENT_BPP:
        return scheme.label, "sent"
    return f"{scheme.codec.label} {scheme.distinction}".rstrip(), "coded"

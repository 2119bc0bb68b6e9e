"""Numbers of a scenario that have no effect, or another than asked: said by ``validate`` and ``run``, never refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from netsim.links.profile import LinkProfile
from netsim.protection.base import Protection
from netsim.protection.reed_solomon import ReedSolomon
from netsim.text import few, number_text

if TYPE_CHECKING:
    from netsim.channels.base import Channel
    from netsim.scenario.plan import Plan, PlanRow

__all__ = ["plan_notes"]


def plan_notes(plan: Plan) -> list[str]:
    """One sentence for each number that does not do what a reader may expect.

    Args:
        plan: The plan.

    Returns:
        Sentences, each once, in the plan's order; one for many of a kind.
    """
    links: dict[str, None] = {}
    clocks: dict[str, None] = {}
    speeds: dict[str, None] = {}
    packets: dict[str, None] = {}
    for row in plan.rows:
        links |= dict.fromkeys(_link_notes(row, plan.written.links.get(row.link_name)))
        clocks |= dict.fromkeys(_clock_note(row))
        speeds |= dict.fromkeys(_speed_note(row.channel))
        packets |= dict.fromkeys(_packet_notes(row))
    return [
        *links,
        *few(list(clocks), "channels over links step in time where no time passes"),
        *few(list(speeds), "channels play a recording at another speed than it was recorded at"),
        *few(list(packets), "schemes have no parity or other packets than asked for"),
        *_sampling_notes(plan),
    ]


def _link_notes(row: PlanRow, written: Any) -> Iterator[str]:
    """written: the link as the scenario has it."""
    link = row.link
    given = next(iter(written.values())) if isinstance(written, Mapping) else None
    given = given if isinstance(given, Mapping) else {}
    protections = [scheme.protection for scheme in row.schemes]
    if link.deadline_s is not None and link.propagation_s > link.deadline_s:
        yield (
            f"link {link.name}: every packet is late: propagation_s {link.propagation_s:.6g} is longer than "
            f"deadline_s {number_text(link.deadline_s)}"
        )
    if "rate_bps" in given:
        yield from _rate_note(link, protections)
    answered = row.control is not None or any(one.arq is not None for one in protections)
    if "feedback_delay_s" in given and not answered:
        yield f"link {link.name}: feedback_delay_s has no effect without `control` or ARQ"


def _rate_note(link: LinkProfile, protections: list[Protection]) -> Iterator[str]:
    """Whether the largest packet leaves the wire long before the next may start."""
    if link.mtu_bytes is None or not link.interval_s:
        return
    longest_s = 8 * link.mtu_bytes / link.rate_bps
    if longest_s <= link.interval_s:
        yield (
            f"link {link.name}: a packet starts every {number_text(link.interval_s)} s (interval_s) and takes "
            f"{longest_s:.3g} s at most (rate_bps {number_text(link.rate_bps)}): a higher rate_bps starts none sooner"
        )


def _clock_note(row: PlanRow) -> Iterator[str]:
    """Whether no time passes for a channel that steps in time."""
    link, arq = row.link, any(scheme.protection.arq is not None for scheme in row.schemes)  # whose timers take time
    timeless = math.isinf(link.rate_bps) and not link.interval_s and link.period_s is None
    if row.channel.step_s is not None and timeless and not arq:
        yield (
            f"channel {row.channel_name} over link {link.name}: step_s {number_text(row.channel.step_s)}, but all "
            "packets of all slots start at 0 s: the channel never steps, and a trial stays in its first state or record"
        )


def _speed_note(channel: Channel) -> Iterator[str]:
    """Whether a recording runs faster or slower than it was recorded."""
    step_s, recorded_s = channel.step_s, channel.recorded_step_s
    if step_s is None or recorded_s is None or not recorded_s > 0:
        return
    slower = step_s / recorded_s
    if max(slower, 1 / slower) > _UNLIKE:
        factor = max(slower, 1 / slower)
        speed = f"{factor:{',.0f' if factor >= 10 else '.2g'}} times as {'slowly' if slower > 1 else 'fast'}"
        yield (
            f"channel {channel.name}: step_s {number_text(step_s)}, but the recording has a packet every "
            f"{recorded_s:.4g} s: it is played {speed}"
        )


_UNLIKE = 1.05  # a ratio of times below this is taken for rounding


def _packet_notes(row: PlanRow) -> Iterator[str]:
    for scheme in row.schemes:
        protection = scheme.protection
        asked, codec = dict(scheme.asked).get("packets"), dict(scheme.codec.settings).get("packets")
        if not isinstance(protection, ReedSolomon) or not isinstance(codec, int):
            continue
        sent = sum(map(sum, protection.block_sizes(codec)))
        if protection.share and sent == codec:
            yield f"{scheme.label}: {protection.name} adds no parity to {codec} packet{'' if codec == 1 else 's'}"
        elif isinstance(asked, int) and sent != asked:
            yield f"{scheme.label}: packets {asked} under {protection.name} sends {sent}: {codec} of data"


def _sampling_notes(plan: Plan) -> Iterator[str]:
    asked: Mapping[str, Any] = plan.resolved
    if all(row.engine == "exact" for row in plan.rows):
        for key in ("trials", "precision"):
            if asked.get(key) is not None:
                yield f"{key} has no effect: the exact engine samples nothing"

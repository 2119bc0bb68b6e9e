"""The schemes of a plan, for studies that look at streams and not at channels."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.decoding.streams import StreamKey, stream_key_of
from netsim.protection.base import Protection
from netsim.scenario.plan import Plan

__all__ = ["PlanScheme", "plan_schemes"]


@dataclass(frozen=True)
class PlanScheme:
    """A scheme at one operating point, with every image of the plan as it is to be coded."""

    label: str
    operating_point: str
    images: tuple[StreamKey, ...]
    protection: Protection


def plan_schemes(plan: Plan) -> list[PlanScheme]:
    """Each scheme and operating point once, in the plan's order, whatever the channels.

    Args:
        plan: The plan.

    Returns:
        The schemes.
    """
    found: dict[tuple[str, str], PlanScheme] = {}
    for row in plan.rows:
        for scheme in row.schemes:
            key = (scheme.label, scheme.operating_point)
            if key not in found:
                images = (stream_key_of(plan, row, image, scheme) for image in range(len(plan.image_names)))
                found[key] = PlanScheme(*key, tuple(images), scheme.protection)
    return list(found.values())

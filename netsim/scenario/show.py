"""A plan for the eye, and as JSON."""

from __future__ import annotations

import json

from netsim.scenario.notes import plan_notes
from netsim.scenario.plan import Plan

__all__ = ["plan_json", "plan_text"]


def plan_text(plan: Plan) -> str:
    """A few lines: what will be sent over what, how often."""
    points: dict[str, dict[str, None]] = {}
    for row in plan.rows:
        points.setdefault(row.label, {})[row.operating_point] = None
    schemes = [f"{label}: {', '.join(known)}" for label, known in points.items()]
    lines = [
        f"{plan.name}: {len(plan.rows)} rows",
        f"  images    {', '.join(plan.image_names)}",
        f"  channels  {', '.join(dict.fromkeys(row.channel_name for row in plan.rows))}",
        f"  links     {', '.join(dict.fromkeys(row.link_name for row in plan.rows))}",
        "  schemes   " + "\n            ".join(schemes),
        f"  each      {plan.trials} trials of {plan.slots} slots, seed {plan.seed}",
    ]
    return "\n".join([*lines, *(f"  note      {note}" for note in plan_notes(plan))])


def plan_json(plan: Plan) -> str:
    """Every row with its schemes, channel and link."""
    rows = [
        {
            "row": row.index,
            "scheme": row.label,
            "operating_points": [scheme.operating_point for scheme in row.schemes],
            "protections": [scheme.protection_name for scheme in row.schemes],
            "channel": row.channel_name,
            "link": row.link_name,
        }
        for row in plan.rows
    ]
    head = {"name": plan.name, "run_id": plan.run_id, "images": list(plan.image_names)}
    size = {"trials": plan.trials, "slots": plan.slots, "seed": plan.seed}
    return json.dumps({**head, **size, "notes": plan_notes(plan), "rows": rows}, indent=2)

"""A plan for the eye, and as JSON."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from netsim.scenario.notes import plan_notes
from netsim.text import counted_noun

if TYPE_CHECKING:
    from netsim.scenario.plan import Plan

__all__ = ["plan_html", "plan_json", "plan_line", "plan_text"]


def plan_line(plan: Plan) -> str:
    """A plan in one line: ``6 channels × 7 schemes: 42 rows; 100 trials of 4 slots over 4 images``.

    Args:
        plan: The plan.

    Returns:
        ``6 channels × 7 schemes: 42 rows; …``
    """
    channels, links = ({getattr(row, name) for row in plan.rows} for name in ("channel_name", "link_name"))
    schemes = len(plan.rows) // (len(channels) * len(links))
    grid = [counted_noun(len(channels), "channel"), counted_noun(schemes, "scheme")]
    grid += [counted_noun(len(links), "link")] if len(links) > 1 else []
    rows, images = counted_noun(len(plan.rows), "row"), counted_noun(len(plan.image_names), "image")
    if all(row.engine == "exact" for row in plan.rows):
        return f"{' × '.join(grid)}: {rows}; {images}, exact engine"
    until = "" if plan.precision_db is None else f"trials until ±{plan.precision_db:g} dB"
    trials = until or counted_noun(plan.trials, "trial")
    return f"{' × '.join(grid)}: {rows}; {trials} of {counted_noun(plan.slots, 'slot')} over {images}"


def plan_html(plan: Plan) -> str:
    """A table of the plan's rows, for a notebook.

    Args:
        plan: The plan.

    Returns:
        HTML; rows beyond a limit are counted.
    """
    head = "".join(f"<th>{name}</th>" for name in ("scheme", "operating point", "channel", "link", "engine"))
    rows = [
        (row.label, row.operating_point, row.channel_name, row.link_name, row.engine) for row in plan.rows[:_HTML_ROWS]
    ]
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    left = len(plan.rows) - len(rows)
    more = f"<p>and {counted_noun(left, 'more row')}</p>" if left else ""
    return f"<p><b>{escape(plan.name)}</b>: {escape(plan_line(plan))}</p><table><tr>{head}</tr>{body}</table>{more}"


_HTML_ROWS = 50


def plan_text(plan: Plan) -> str:
    """A few lines: what will be sent over what, how often.

    Args:
        plan: The plan.

    Returns:
        Lines of text.
    """
    points: dict[str, dict[str, None]] = {}
    for row in plan.rows:
        points.setdefault(row.label, {})[row.operating_point] = None
    schemes = [f"{label}: {', '.join(known)}" for label, known in points.items()]
    lines = [
        f"{plan.name}: {counted_noun(len(plan.rows), 'row')}",
        f"  images    {', '.join(plan.image_names)}",
        f"  channels  {', '.join(dict.fromkeys(row.channel_name for row in plan.rows))}",
        f"  links     {', '.join(dict.fromkeys(row.link_name for row in plan.rows))}",
        "  schemes   " + "\n            ".join(schemes),
        f"  each      {counted_noun(plan.trials, 'trial')} of {counted_noun(plan.slots, 'slot')}, seed {plan.seed}",
    ]
    return "\n".join([*lines, *(f"  note      {note}" for note in plan_notes(plan))])


def plan_json(plan: Plan) -> str:
    """Every row with its schemes, channel and link.

    Args:
        plan: The plan.

    Returns:
        JSON.
    """
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

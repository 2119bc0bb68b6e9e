"""A run's validation.csv as a table for its model card."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["curve_table", "last_row"]

_ROWS_SHOWN = 12


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def last_row(path: Path) -> dict[str, str]:
    """The last row of a curve."""
    return _rows(path)[-1]


def curve_table(path: Path, by: str, title: Callable[[float], str], cell: Callable[[Mapping[str, str]], str]) -> str:
    """Markdown: first and last validation and some between, a column for each value of the column ``by``."""
    rows = _rows(path)
    steps = sorted({int(row["steps"]) for row in rows})
    shown = sorted({steps[round(i * (len(steps) - 1) / (_ROWS_SHOWN - 1))] for i in range(_ROWS_SHOWN)})
    values = sorted({float(row[by]) for row in rows})
    lines = ["| step | hours | " + " | ".join(map(title, values)) + " |", "|---" * (2 + len(values)) + "|"]
    for step in shown:
        here = {float(row[by]): row for row in rows if int(row["steps"]) == step}
        hours = float(next(iter(here.values()))["active_s"]) / 3600
        lines.append(f"| {step:,} | {hours:.2f} | " + " | ".join(cell(here[value]) for value in values) + " |")
    return "\n".join(lines)

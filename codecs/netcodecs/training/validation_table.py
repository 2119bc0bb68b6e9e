"""A run's validation.csv as a table for its model card."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["validation_table"]

_ROWS_SHOWN = 12


def validation_table(path: Path, cell: Callable[[Mapping[str, str]], str]) -> str:
    """Markdown: first and last validation and some between, a column per λ.

    Args:
        path: The table that ``TrainingRun`` writes.
        cell: What is shown of a row.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = sorted({int(row["steps"]) for row in rows})
    shown = sorted({steps[round(i * (len(steps) - 1) / (_ROWS_SHOWN - 1))] for i in range(_ROWS_SHOWN)})
    lambdas = sorted({float(row["lambda"]) for row in rows})
    lines = [
        "| step | hours | " + " | ".join(f"λ = {lam:g}" for lam in lambdas) + " |",
        "|---" * (2 + len(lambdas)) + "|",
    ]
    for step in shown:
        here = {float(row["lambda"]): row for row in rows if int(row["steps"]) == step}
        hours = float(next(iter(here.values()))["active_s"]) / 3600
        lines.append(f"| {step:,} | {hours:.2f} | " + " | ".join(cell(here[lam]) for lam in lambdas) + " |")
    return "\n".join(lines)

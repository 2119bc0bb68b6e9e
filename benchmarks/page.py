"""The table of results in docs/benchmarks.md, between its two marks."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.machine import processor_name

__all__ = ["machine", "table", "write_page"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def table(results: Sequence[Mapping[str, Any]], header: bool = True) -> str:
    """Results as a Markdown table."""
    lines = ["| benchmark | ours | reference | unit | ratio | target | met |", "|---|---|---|---|---|---|---|"]
    lines = lines if header else []
    for line in results:
        numbers = [_number(line[key]) for key in ("ours", "reference")]
        met = "yes" if line["met"] else "**no**"
        ratio, target = _number(line["ratio"]), _number(line["target"])
        lines.append(f"| {line['name']} | {' | '.join(numbers)} | {line['unit']} | {ratio}× | {target}× | {met} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    """
    >>> _number(123456.0), _number(0.0345), _number(300)
    ('123,000', '0.0345', '300')
    """
    if abs(value) >= 10_000:
        magnitude = 10 ** (len(str(int(abs(value)))) - 3)
        return f"{round(value / magnitude) * magnitude:,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """The hardware that the numbers come from, as the system tells it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    return f"{processor_name()}, {cores} cores, {system}, Python {platform.python_version()}"


def write_page(results: Sequence[Mapping[str, Any]]) -> Path:
    """Put the table between the marks of the page; returns its path."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    measured = f"{BEGIN}\nMeasured on: {machine()}.\n\n{table(results)}\n{END}"
    PAGE.write_text(before + measured + after, encoding="utf-8")
    return PAGE

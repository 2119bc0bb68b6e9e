"""What a study writes beside comparison.csv: tables, texts, figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim.figures.style import csv_bytes, figure_bytes, save
from netsim.runs.atomic import write_atomically
from netsim.runs.folder import RunFolder, fresh_folder
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Output", "Table", "Text", "study_folder", "write_outputs", "write_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """NAME.csv."""

    name: str
    frame: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Text:
    """A text under its own file name."""

    file_name: str
    text: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """NAME.png, NAME.svg and NAME.csv; without numbers (images) NAME.png alone."""

    name: str
    figure: Figure
    numbers: pd.DataFrame | None = None


Output = Table | Text | Drawing


def write_outputs(folder: Path, outputs: Iterable[Output]) -> list[Path]:
    """Write each output, whole or not at all; returns the files."""
    written: list[Path] = []
    for one in outputs:
        if isinstance(one, Table):
            written.append(write_table(folder, f"{one.name}.csv", one.frame))
        elif isinstance(one, Text):
            written.append(_write_bytes(folder, one.file_name, one.text.encode()))
        elif one.numbers is None:
            written.append(_write_bytes(folder, f"{one.name}.png", figure_bytes(one.figure, "png")))
        else:
            written += save(one.figure, one.numbers, folder, one.name)
    return written


def study_folder(plan: Plan | None, folder: Path) -> Path:
    """A new folder, with the manifest of a plan that is not run as a sweep."""
    from netsim.runs.manifest import manifest

    path = fresh_folder(folder)
    if plan is not None:
        RunFolder(path).write_manifest({**manifest(plan, [], 1), "status": "finished"})
    return path


def write_table(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write a table as CSV, whole or not at all; returns its path."""
    return _write_bytes(folder, name, csv_bytes(table))


def _write_bytes(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    write_atomically(path, lambda file: file.write(content))
    return path

"""What every recipe writes alike: tables, and a folder for what is no sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.figures.style import csv_bytes
from netsim.runs.files import write_atomically
from netsim.runs.folder import RunFolder, fresh_folder
from netsim.scenario.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["study_folder", "write_bytes", "write_table"]


def study_folder(plan: Plan, folder: Path) -> Path:
    """A new folder with the manifest of a plan that is not run as a sweep."""
    from netsim.runs.manifest import manifest

    path = fresh_folder(folder)
    RunFolder(path).write_manifest({**manifest(plan, [], 1), "status": "finished"})
    return path


def write_table(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write a table as CSV, whole or not at all; returns its path."""
    return write_bytes(folder, name, csv_bytes(table))


def write_bytes(folder: Path, name: str, content: bytes) -> Path:
    """Write a file, whole or not at all; returns its path."""
    path = folder / name
    write_atomically(path, lambda file: file.write(content))
    return path

"""What a study writes beside comparison.csv: tables, texts, figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError
from netsim.figures.files import csv_bytes, figure_bytes, save
from netsim.runs.atomic import write_atomically
from netsim.runs.folder import RunFolder, fresh_folder
from netsim.scenario.plan import Plan
from netsim.signatures import kind_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Output", "Table", "Text", "checked_outputs", "study_folder", "write_outputs", "write_table"]


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


def checked_outputs(study: str, returned: Any) -> list[Output]:
    """What a study's ``draw`` returned or yielded.

    Args:
        study: The study's name.
        returned: What ``draw`` returned.

    Returns:
        The outputs.

    Raises:
        InputError: It is not a series of outputs, or one of them has a member of another type.
    """
    if isinstance(returned, Output) or not isinstance(returned, Iterable):
        hint = "yield each Drawing, Table or Text of netsim.studies.outputs, or return a list of them"
        raise InputError(f"study `{study}`: draw returns {kind_of(returned)}", hint=hint)
    outputs = list(returned)
    for number, one in enumerate(outputs, 1):
        _check_output(f"study `{study}`: output {number} of draw", one)
    return outputs


def _check_output(place: str, output: Any) -> None:
    import pandas as pd
    from matplotlib.figure import Figure

    if not isinstance(output, Output):
        hint = "Drawing(name, figure, numbers), Table(name, frame) or Text(file_name, text) of netsim.studies.outputs"
        raise InputError(f"{place} is {kind_of(output)}", hint=hint)
    kinds: dict[str, Any] = {"name": str, "file_name": str, "text": str, "frame": pd.DataFrame, "figure": Figure}
    for field in fields(output):
        value, kind = getattr(output, field.name), kinds.get(field.name, pd.DataFrame | None)
        if not isinstance(value, kind):
            wanted = getattr(kind, "__name__", "DataFrame, or None")
            members = ", ".join(one.name for one in fields(output))
            hint = f"{type(output).__name__}({members}): `{field.name}` is a {wanted}"
            raise InputError(f"{place} is a {type(output).__name__} with {field.name} = {kind_of(value)}", hint=hint)
        if field.name in ("name", "file_name") and Path(value).name != value:
            raise InputError(f"{place} is called `{value}`", hint="the name of a file, without a folder")


def write_outputs(folder: Path, outputs: Iterable[Output]) -> list[Path]:
    """Write each output, whole or not at all.

    Args:
        folder: Where to.
        outputs: What a study draws.

    Returns:
        Paths of the files.
    """
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


def study_folder(plan: Plan | None, folder: Path, exist: str = "number") -> Path:
    """A new folder, with the manifest of a plan that is not run as a sweep.

    Args:
        plan: The plan; None: a study without one.
        folder: The folder.
        exist: What to do where it exists: ``number`` takes FOLDER-2, …; ``fail`` raises; ``overwrite`` deletes the run.

    Returns:
        The new folder.

    Raises:
        InputError: ``exist`` refuses the folder.
    """
    from netsim.runs.manifest import manifest

    path = fresh_folder(folder, exist)
    if plan is not None:
        RunFolder(path).write_manifest({**manifest(plan, [], 1), "status": "finished"})
    return path


def write_table(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write a table as CSV, whole or not at all.

    Args:
        folder: Where to.
        name: The file's name.
        table: Its rows.

    Returns:
        The file's path.
    """
    return _write_bytes(folder, name, csv_bytes(table))


def _write_bytes(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    write_atomically(path, lambda file: file.write(content))
    return path

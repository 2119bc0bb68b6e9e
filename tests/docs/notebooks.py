"""Runs the notebooks of the documentation: ``python -m tests.docs.notebooks`` writes their outputs anew."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """A notebook, run in ``folder``. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec",)} | {"language_info": {"name": "python"}}
    return notebook


def texts(notebook: Any) -> list[list[str]]:
    """What each code cell printed or returned, as text; addresses of objects left out."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            said = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            found.append([re.sub(r"0x[0-9a-f]+", "0x", text) for text in said])
    return found


def main() -> None:
    """Run all notebooks and store their outputs."""
    with tempfile.TemporaryDirectory() as store:
        os.environ["NETSIM_STORE"] = str(Path(store) / "store.sqlite")
        for path in NOTEBOOKS:
            with tempfile.TemporaryDirectory() as folder:
                nbformat.write(executed(path, Path(folder)), path)


if __name__ == "__main__":
    main()

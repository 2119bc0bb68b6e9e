"""The same from Python: ``netsim.reproduce(recipe)``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netsim.runs.progress import Reporter
from netsim.studies.recipe import find_recipe
from netsim.studies.reproduce import Reproduced
from netsim.studies.reproduce import reproduce as reproduce_recipe

__all__ = ["reproduce"]


def reproduce(
    name: str,
    *,
    full: bool = False,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    workers: int = 1,
    exist: str = "number",
) -> Reproduced:
    """Run a paper's table or figure, as ``netsim reproduce`` does.

    Args:
        name: PAPER/ARTEFACT.
        full: The paper's size; else minutes.
        out: The results' folder; None: runs/PAPER-ARTEFACT-quick (or -full).
        overrides: Further overrides of the recipe's scenario, as ``key.path=value``.
        workers: Processes.
        exist: Where the folder holds another run: ``number`` (OUT-2, …), ``fail`` or ``overwrite``.

    Returns:
        ``comparison`` and ``orders`` as pandas frames, ``notes``, and ``files``.

    Raises:
        InputError: An unknown or faulty recipe, or bad input.
    """
    folder = None if out is None else Path(out)
    return reproduce_recipe(find_recipe(name), full, folder, workers, Reporter(), overrides=overrides, exist=exist)

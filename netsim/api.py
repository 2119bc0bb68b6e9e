"""The same from Python: ``netsim.plan``, ``netsim.run(scenario)``, ``netsim.load(run)``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.analysis.summary_files import write_summary
from netsim.errors import InputError
from netsim.results import Run, open_run
from netsim.runs.pipeline import run_plan
from netsim.runs.progress import ConsoleReporter, Reporter
from netsim.scenario.document import Document
from netsim.scenario.load import plan_document
from netsim.scenario.plan import Plan
from netsim.shipped import find_scenario

__all__ = ["load", "plan", "run"]

Scenario = str | Path | Mapping[str, Any]


def plan(scenario: Scenario | Plan | None = None, overrides: Sequence[str] = (), **keys: Any) -> Plan:
    """What a scenario would run.

    Args:
        scenario: A YAML file, a shipped scenario's name, a mapping with the same keys, or nothing where all
            keys are given by name.
        overrides: ``key.path=value`` assignments, the values read as YAML.
        **keys: A scenario's keys (``images``, ``codecs``, ``channels``, ...); they replace those of ``scenario``.

    Returns:
        The plan: its rows, printed as a table in a notebook.

    Raises:
        InputError: For bad input. It quotes the value and its key path, and the line where a file holds it.

    >>> plan(codecs=[{"jpeg": {"quality": 30}}], channels=["EP1", "EP4"], engine="array")
    <Plan scenario: 2 channels × 1 scheme: 2 rows; 100 trials of 4 slots over 4 images>
    """
    if isinstance(scenario, Plan):
        if overrides or keys:
            raise InputError("a plan is complete: it takes no further keys", hint="give them to netsim.plan")
        return scenario
    if scenario is not None and not isinstance(scenario, str | Path | Mapping):
        raise InputError(
            f"{type(scenario).__name__} is not a scenario", hint="a YAML file's path, or a mapping of keys"
        )
    if scenario is None or isinstance(scenario, Mapping):
        document, folder, name = Document.of_values(scenario or {}), Path.cwd(), "scenario"
    else:
        path = find_scenario(Path(scenario))
        document, folder, name = Document.read(path), path.parent, path.stem
    return plan_document(document.with_values(keys).with_overrides(overrides), folder, name)


def run(
    scenario: Scenario | Plan | None = None,
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    workers: int = 1,
    progress: bool | None = None,
    exist: str = "number",
    fresh: bool = False,
    cluster: str | None = None,
    **keys: Any,
) -> Run:
    """Run a scenario and read the result back.

    With workers > 1 the calling script needs the usual ``if __name__ == "__main__"`` guard, and plug-ins registered at
    run time must be defined in a module that a worker process can import.

    Args:
        scenario: A YAML file, a shipped scenario's name, a mapping with the same keys, a plan, or nothing where
            all keys are given by name.
        out: The run's folder (default runs/NAME-N).
        overrides: ``key.path=value`` assignments, the values read as YAML.
        workers: Processes.
        progress: Whether to show it; None: in a notebook only.
        exist: What to do where ``out`` holds a run already: ``number`` (OUT-2, …), ``fail`` or ``overwrite``.
        fresh: Take nothing from the store, and replace what it remembers.
        cluster: Ray in place of processes: ``ray`` starts it on this machine, ``auto`` finds the cluster of this node,
            ``HOST:PORT`` is a cluster's address.
        **keys: A scenario's keys; they replace those of ``scenario``.

    Returns:
        The finished run.

    Raises:
        InputError: For bad input. It quotes the value and its key path, and the line where a file holds it.
    """
    shown = "ipykernel" in sys.modules if progress is None else progress
    reporter = ConsoleReporter() if shown else Reporter()
    folder = Path(out) if out is not None else None
    made = plan(scenario, overrides, **keys)
    return open_run(run_plan(made, folder, workers, reporter, write_summary, exist=exist, fresh=fresh, cluster=cluster))


def load(path: str | Path) -> Run:
    """Read a finished run.

    Args:
        path: The folder of the run.

    Returns:
        The run: ``log``, ``slots`` and ``summary`` are pandas frames, ``manifest`` is a dict.

    Raises:
        InputError: The folder holds no finished run.
    """
    return open_run(path)

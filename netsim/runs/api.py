"""The same from Python: ``netsim.run(scenario)``, ``netsim.load(run)``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from netsim.errors import InputError
from netsim.runs.pipeline import run_plan
from netsim.runs.progress import ConsoleReporter, Reporter
from netsim.runs.results import Run, load_run
from netsim.scenario.document import Document
from netsim.scenario.load import load_plan, plan_document
from netsim.scenario.plan import Plan

__all__ = ["load", "plan", "run"]


def plan(scenario: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Plan:
    """A scenario's plan, from a YAML file, a shipped scenario's name, or a mapping with the same keys."""
    if not isinstance(scenario, Mapping):
        return load_plan(Path(scenario), overrides)
    text = io.StringIO()
    try:
        YAML(typ="safe", pure=True).dump(dict(scenario), text)
    except (YAMLError, RecursionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        hint = "texts, numbers, truth values, None, lists and mappings with text keys"
        raise InputError(f"a scenario can't hold this: {reason}", hint=hint) from None
    document = Document.parse(text.getvalue(), "scenario").with_overrides(overrides)
    return plan_document(document, base_dir=Path.cwd())


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    workers: int = 1,
    progress: bool = False,
    exist: str = "number",
    fresh: bool = False,
) -> Run:
    """Run a scenario and read the result back.

    scenario: a YAML file, the name of a shipped scenario, or a mapping with the same keys.
    out: the run's folder (default runs/NAME-N).
    overrides: ``key.path=value``. exist: what to do where ``out`` holds a run already: ``number`` (OUT-2, …), ``fail``
    or ``overwrite``. fresh: take nothing from the store, and replace what it remembers.
    Raises InputError for bad input.
    With workers > 1 the calling script needs the usual ``if __name__ == "__main__"`` guard.
    """
    reporter = ConsoleReporter() if progress else Reporter()
    folder = Path(out) if out is not None else None
    return load_run(run_plan(plan(scenario, overrides), folder, workers, reporter, exist=exist, fresh=fresh))


def load(path: str | Path) -> Run:
    """A finished run by its folder: ``.log``, ``.slots``, ``.summary`` are pandas frames, ``.manifest`` a dict."""
    return load_run(path)

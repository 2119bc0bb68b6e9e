"""A finished run, run once more from its manifest: is the log the same, byte by byte?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim.analysis.replay import replayed_plan
from netsim.analysis.summary_files import write_summary
from netsim.digests import file_sha256
from netsim.runs.pipeline import run_plan
from netsim.runs.progress import Reporter
from netsim.runs.results import FinishedRun, load_run
from netsim.text import counted_noun

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Rerun", "rerun"]


@dataclass(frozen=True)
class Rerun:
    """same_bytes: both logs are one file. differences: values that differ. notes: what is not as it was. Sentences."""

    same_bytes: bool
    differences: list[str]
    notes: list[str]


def rerun(run: FinishedRun, workers: int = 1, reporter: Reporter | None = None) -> Rerun:
    """Run a plan again from a run's manifest, without what the store remembers, and compare the logs.

    The second run is made in a temporary folder, and nothing of the first one is written.

    Args:
        run: A finished run.
        workers: Processes of the second run.
        reporter: Shows how far it is.

    Returns:
        Whether the logs are equal, and what differs.

    Raises:
        InputError: The plan can't be had any more (images, files, plug-ins), or the run's log is not as it was written.
    """
    plan = replayed_plan(run)
    log = run.checked("log.parquet")
    with tempfile.TemporaryDirectory(prefix="netsim-rerun-") as folder:
        made = run_plan(plan, Path(folder) / "run", workers, reporter or Reporter(), write_summary, fresh=True)
        again = load_run(made)
        same = file_sha256(log) == file_sha256(made / "log.parquet")
        return Rerun(same, [] if same else _differences(run, again), _changes(run, again))


def _changes(run: FinishedRun, again: FinishedRun) -> list[str]:
    """Versions and sources that are not those of the run."""
    found = []
    for key, text in (("versions", "other versions than in the run"), ("code", "other source than in the run")):
        before, now = run.manifest.get(key), again.manifest.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            changed = [name for name in now if before.get(name) != now[name]]
            shown = [f"{name} {before.get(name)} → {now[name]}" if key == "versions" else name for name in changed]
            found += [f"{text}: {', '.join(shown)}"] if shown else []
    return found


def _differences(run: FinishedRun, again: FinishedRun) -> list[str]:
    one, other = run.log, again.log
    if len(one) != len(other) or list(one) != list(other):
        rows, columns = other.shape
        return [f"the log has {rows:,} × {columns} values, not {len(one):,} × {one.shape[1]}"]
    found = []
    for name in one:
        differs = int((~_equal(one[name], other[name])).sum())
        if differs and name != "run_id":  # the id covers the source, the values do not
            found.append(f"column `{name}` differs in {counted_noun(differs, 'row')} of {len(one):,}")
    return found


def _equal(one: pd.Series, other: pd.Series) -> pd.Series:
    """Where two columns hold the same value, or nothing."""
    return ((one == other) | (one.isna() & other.isna())).fillna(value=False).astype(bool)

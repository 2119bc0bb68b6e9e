"""The tables that a run's folder holds beside its log."""

from __future__ import annotations

from netsim.analysis.distribution import distributions
from netsim.analysis.log_groups import logged_metrics, slot_groups
from netsim.analysis.summary import summarise_groups
from netsim.runs.atomic import write_atomically
from netsim.runs.folder import RunFolder

__all__ = ["write_summary"]


def write_summary(folder: RunFolder, failure_db: float) -> None:
    """Write summary.csv and distribution.csv from the log, one group of the log in memory at a time.

    Args:
        folder: The run's folder; its log is complete.
        failure_db: The quality that counts for a slot without an image, in dB.
    """
    summary = summarise_groups(slot_groups(folder.log), failure_db, logged_metrics(folder.log))
    write_atomically(folder.summary, lambda file: file.write(summary.to_csv(index=False).encode()))
    spread = distributions((group for _, group in slot_groups(folder.log)), failure_db)
    write_atomically(folder.distribution, lambda file: file.write(spread.to_csv(index=False).encode()))

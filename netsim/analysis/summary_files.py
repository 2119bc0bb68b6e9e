"""Writes summary.csv and distribution.csv of a run from its log."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, BinaryIO

from netsim.analysis.log_groups import described_groups
from netsim.runs.atomic import atomic_file
from netsim.runs.folder import RunFolder

__all__ = ["write_summary"]

_BLOCK_ROWS = 4096


def write_summary(folder: RunFolder, failure_db: float) -> None:
    """Write both files in one pass over the log, with few of its groups in memory at a time.

    Args:
        folder: The run's folder, with its log.
        failure_db: What an image that could not be decoded counts as in means of PSNR.
    """
    with ExitStack() as files:
        summary, distribution = (
            _Table(files.enter_context(atomic_file(path))) for path in (folder.summary, folder.distribution)
        )
        for row, spread in described_groups(folder.log, failure_db):
            summary.add([{**row, "failure_db": failure_db}])
            distribution.add(spread)
        summary.flush()
        distribution.flush()


class _Table:
    """A CSV file, written in blocks of rows."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.rows: list[dict[str, Any]] = []
        self.begun = False

    def add(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows
        if len(self.rows) >= _BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        import pandas as pd

        if self.rows:
            whole = [name for name in ("slots", "trials") if name in self.rows[0]]
            block = pd.DataFrame(self.rows).astype(dict.fromkeys(whole, "Int64"))  # alike in every block
            self.file.write(block.to_csv(index=False, header=not self.begun).encode())
            self.rows, self.begun = [], True

"""The outcomes of a contract's checks as a table: ``check-codec`` and ``check-channel``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["check_table"]


class Outcome(Protocol):
    """One check's outcome."""

    @property
    def name(self) -> str: ...

    @property
    def passed(self) -> bool: ...

    @property
    def detail(self) -> str: ...


def check_table(results: Iterable[Outcome]) -> Table:
    """One row per check.

    Args:
        results: The outcomes.

    Returns:
        The table: name, outcome, what was tried or what is wrong.
    """
    from rich import box
    from rich.table import Table

    table = Table("check", "outcome", "tried", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for result in results:
        table.add_row(result.name, "passed" if result.passed else "FAILED", result.detail)
    return table

"""comparison.csv: ours beside the paper's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.errors import InputError
from netsim.signatures import kind_of
from netsim.statistics.intervals import Estimate
from netsim.studies.published import published_table
from netsim.studies.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Comparison", "certain"]

COLUMNS = [
    "artefact",
    "condition",
    "scheme",
    "operating_point",
    "quantity",
    "ours",
    "ours_low",
    "ours_high",
    "published",
    "difference",
    "point",
]


def certain(value: float) -> Estimate:
    """A number without sampling: its interval is the number.

    Args:
        value: The number.

    Returns:
        The number with itself as both ends.
    """
    return Estimate(float(value), float(value), float(value))


class Comparison:
    """Builds comparison.csv row by row and finds the published number of each.

    Args:
        recipe: Has the published numbers, and the paper's names for ours.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._published: dict[tuple[str, str, str, str], float] = {
            (line[0], line[1], line[2], line[3]): line[4]
            for line in published_table(recipe).itertuples(index=False, name=None)
        }
        self._used: set[tuple[str, str, str, str]] = set()
        self._rows: list[dict[str, Any]] = []

    def points(self, condition: str, scheme: str) -> dict[str, dict[str, float]]:
        """The published numbers of a scheme in a condition, both called as here: {point: {quantity: value}}.

        Args:
            condition: A channel as here.
            scheme: A scheme as in a log.

        Returns:
            {point: {quantity: value}}; empty if the paper has none.
        """
        theirs = self.recipe.paper_name(condition), self.recipe.paper_name(scheme)
        found: dict[str, dict[str, float]] = {}
        for (*key, point, quantity), value in self._published.items():
            if tuple(key) == theirs:
                found.setdefault(point, {})[quantity] = value
        return found

    def add(
        self,
        condition: str,
        scheme: str,
        quantity: str,
        ours: Estimate,
        *,
        operating_point: str = "",
        point: str | None = "",
        paper_condition: str | None = None,
        paper_scheme: str | None = None,
        published: float | None = None,
    ) -> None:
        """Add a row.

        Args:
            condition: The channel, or what else the number holds for.
            scheme: As in a log.
            quantity: With its unit, as ``psnr_db``.
            ours: The number and the ends of its 95 % interval; NaN where there is none.
            operating_point: As in a log.
            point: The paper's operating point that stands beside ours; None: none does.
            paper_condition: What the paper calls the condition, where ``paper_names`` does not say it.
            paper_scheme: Likewise the scheme.
            published: The paper's number where it is computed from printed ones.

        Raises:
            InputError: ``ours`` is not an Estimate of three numbers, or a name is not a text.
        """
        self._check(ours, condition=condition, scheme=scheme, quantity=quantity, operating_point=operating_point)
        theirs = self.recipe.paper_name(condition) if paper_condition is None else paper_condition
        name = self.recipe.paper_name(scheme) if paper_scheme is None else paper_scheme
        key = (theirs, name, point or "", quantity)
        if published is None and point is not None and key in self._published:
            published = self._published[key]
            self._used.add(key)
        known = math.nan if published is None else published
        row: dict[str, Any] = dict(
            zip(COLUMNS[:5], (self.recipe.name, condition, scheme, operating_point, quantity), strict=True)
        )
        row |= {"ours": ours.value, "ours_low": ours.low, "ours_high": ours.high, "published": known}
        self._rows.append(row | {"difference": ours.value - known, "point": point or ""})

    def _check(self, ours: Any, **names: Any) -> None:
        study = f"study `{self.recipe.study.name}`: table.add"
        for key, name in names.items():
            if not isinstance(name, str):
                raise InputError(f"{study} gets {key} = {name!r} ({kind_of(name)})", hint=f"a text: {key}=str(…)")
        numbers = (int, float, np.number)
        if not (isinstance(ours, Estimate) and all(isinstance(one, numbers) for one in ours)):
            hint = (
                "Estimate(value, low, high), as netsim.statistics.intervals.mean_interval returns it; for a number "
                "without sampling: netsim.studies.comparison.certain(number)"
            )
            raise InputError(f"{study} gets ours = {ours!r} ({kind_of(ours)}), not an Estimate", hint=hint)

    def frame(self) -> pd.DataFrame:
        """Columns ``COLUMNS``: all rows added, then published numbers that none of them stands beside.

        difference: ours less published, where both are.

        Returns:
            The table.
        """
        import pandas as pd

        rows = list(self._rows)
        for (condition, scheme, point, quantity), value in self._published.items():
            if (condition, scheme, point, quantity) not in self._used:
                row = {"artefact": self.recipe.name, "condition": condition, "scheme": scheme, "operating_point": ""}
                rows.append(row | {"quantity": quantity, "published": value, "point": point})
        frame = pd.DataFrame(rows, columns=COLUMNS)
        numbers = COLUMNS[5:10]
        return frame.astype(dict.fromkeys(numbers, float))

"""Study ``traces``: mean and variance over loss traces beside the published ones, and a table to read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netsim.analysis.paired import pair_points
from netsim.figures.select import with_condition
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison
from netsim.studies.outputs import Drawing, Output, Text
from netsim.studies.pairwise import curve_difference
from netsim.studies.recipe import Recipe, not_the_papers
from netsim.studies.study import Study, StudyContext

if TYPE_CHECKING:
    import pandas as pd

    from netsim.results import Run

__all__ = ["Cell", "Traces", "matched_cells", "traces_markdown"]

QUANTITIES = ("bpp", "psnr_mean_db", "psnr_variance")
_ENDS = {
    "bpp": ("bpp", "bpp"),
    "psnr_mean_db": ("psnr_mean_low", "psnr_mean_high"),
    "psnr_variance": ("psnr_variance_low", "psnr_variance_high"),
}


@dataclass(frozen=True)
class Cell:
    """A scheme at one operating point in one channel. ours: a row of ``trace_spread``. published: of the paper's
    operating point nearest in rate (``paper_point``), if each is the other's nearest; else empty and None. rank: of the
    rate, from 0."""

    channel: str
    scheme: str
    point: str
    rank: int
    ours: dict[str, Any]
    paper_point: str | None
    published: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Measured:
    run: Run
    spread: pd.DataFrame
    images: str
    count: int


class Traces(Study):
    """A run of the scenario, whose engine must have traces (``array`` or ``event``)."""

    name = "traces"

    def measure(self, context: StudyContext) -> _Measured:
        from netsim.analysis.traces import trace_spread

        run, plan = context.run(), context.plan
        return _Measured(run, trace_spread(run.log, plan.failure_db), plan.images.name, len(plan.image_names))

    def compare(self, table: Comparison, measured: _Measured) -> None:
        """Rate, mean and variance of each cell, with 95 % intervals over the traces.

        Args:
            table: Gets a row for each number.
            measured: What ``measure`` returned.
        """
        for cell in matched_cells(table, measured.spread):
            for quantity in QUANTITIES:
                ours = Estimate(*(cell.ours[name] for name in (quantity, *_ENDS[quantity])))
                named: Any = {"operating_point": cell.point, "point": cell.paper_point}
                table.add(cell.channel, cell.scheme, quantity, ours, **named)

    def draw(self, recipe: Recipe, measured: _Measured) -> Iterable[Output]:
        from netsim.figures import rd

        cells = matched_cells(Comparison(recipe), measured.spread)
        yield Text("table.md", traces_markdown(recipe, cells, measured.count, measured.images))
        numbers = rd.numbers(measured.run.summary, spread=measured.spread)
        yield Drawing("rd", rd.draw(numbers), numbers)

    def difference(self, measured: _Measured, condition: str, better: str, worse: str) -> Estimate | None:
        run = measured.run
        return curve_difference(run.log, condition, better, worse, float(run.manifest.get("failure_db", 13.0)))

    def levels(self, measured: _Measured) -> pd.DataFrame:
        from netsim.studies.rate_distortion import curve_levels

        return curve_levels(measured.run.summary)


def matched_cells(table: Comparison, spread: pd.DataFrame) -> list[Cell]:
    """Ours with the paper's beside it, by channel, scheme and rate.

    The paper's rates are the quantity ``bpp`` of the published numbers; ``point`` tells its operating points apart.

    Args:
        table: Has the published numbers.
        spread: From ``netsim.analysis.traces.trace_spread``.

    Returns:
        A cell for each channel (with its link where there are several), scheme and operating point of ours.
    """
    cells = []
    for (channel, scheme), part in with_condition(spread).groupby(["condition", "scheme"], sort=False):
        lines: list[Any] = part.sort_values("bpp").to_dict("records")
        ours: dict[str, dict[str, Any]] = {line["operating_point"]: line for line in lines}
        theirs = table.points(str(channel), str(scheme))
        rates = {point: values["bpp"] for point, values in theirs.items() if "bpp" in values}
        pairs = dict(pair_points({point: line["bpp"] for point, line in ours.items()}, rates)) if rates else {}
        for rank, (point, line) in enumerate(ours.items()):
            matched = pairs.get(point)
            known = {} if matched is None else theirs[matched]
            cells.append(Cell(str(channel), str(scheme), point, rank, line, matched, known))
    return cells


def traces_markdown(recipe: Recipe, cells: list[Cell], count: int, images: str) -> str:
    """The paper's table in Markdown: a row per channel and scheme for ours and one for the paper's, columns by rate.

    Of each channel and rate the highest mean and the smallest variance are bold, ours among ours, theirs among theirs.

    Args:
        recipe: Title, source and notes.
        cells: From :func:`matched_cells`, at least one.
        count: How many images ours was measured on.
        images: Name of the image set.

    Returns:
        Markdown: the title, the table and the notes.
    """
    ranks = 1 + max(cell.rank for cell in cells)
    head = ["channel", "scheme", "", *["bpp", "mean (dB)", "variance (dB²)"] * ranks]
    flush = ["---", "---", "---", *["---:"] * (3 * ranks)]
    lines = [_line(head), _line(flush), *_rows(recipe, cells, ranks)]
    traces = max(cell.ours["traces"] for cell in cells)
    notes = [
        f"Ours: {count} images ({images}); {traces} loss traces. Mean: average PSNR over images and traces. "
        "Variance: of the traces' means over all images, n - 1. Intervals of both: comparison.csv.",
        f"Published: {recipe.source}. Each of its operating points stands beside ours that is nearest in rate.",
        *not_the_papers(recipe, images),
        *recipe.notes,
    ]
    return "\n".join([f"# {recipe.title}", "", *lines, "", "\n\n".join(notes), ""])


def _rows(recipe: Recipe, cells: list[Cell], ranks: int) -> Iterator[str]:
    above = ""
    for key in dict.fromkeys((cell.channel, cell.scheme) for cell in cells):
        channel, scheme = key
        mine = [cell for cell in cells if (cell.channel, cell.scheme) == key]
        yield _line(["" if channel == above else channel, scheme, "ours", *_numbers(mine, cells, ranks, ours=True)])
        if any(cell.published for cell in mine):
            name = recipe.paper_name(scheme)
            yield _line(["", name, "published", *_numbers(mine, cells, ranks, ours=False)])
        above = channel


def _numbers(mine: list[Cell], cells: list[Cell], ranks: int, ours: bool) -> list[str]:
    found = []
    at = {cell.rank: cell for cell in mine}
    for rank in range(ranks):
        rivals = [cell for cell in cells if cell.channel == mine[0].channel and cell.rank == rank]
        for quantity in QUANTITIES:
            value = _value(at.get(rank), quantity, ours)
            all_values = [one for one in (_value(cell, quantity, ours) for cell in rivals) if not math.isnan(one)]
            best = {"psnr_mean_db": max, "psnr_variance": min}.get(quantity)
            bold = best is not None and len(all_values) > 1 and value == best(all_values)
            text = "–" if math.isnan(value) else f"{value:.3f}"
            found.append(f"**{text}**" if bold else text)
    return found


def _value(cell: Cell | None, quantity: str, ours: bool) -> float:
    values = {} if cell is None else cell.ours if ours else cell.published
    return float(values.get(quantity, math.nan))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

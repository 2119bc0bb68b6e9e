"""A run as the table of a paper: schemes down, channels across, intervals, the best in bold; LaTeX, Markdown, CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netsim.analysis.paired import compare_schemes
from netsim.analysis.summary import summarise
from netsim.errors import InputError, did_you_mean
from netsim.figures.select import nearest_point, with_condition
from netsim.metrics.further import scale_of
from netsim.scenario.schema import WEIGHTED_ENGINES
from netsim.text import counted_range

if TYPE_CHECKING:
    import pandas as pd

    from netsim.runs.results import FinishedRun

__all__ = ["ResultTable", "off_rate_notes", "result_table", "table_of_run"]

_UNLIKE = 1.05  # rates in one part of a table whose ratio is greater are noted
_ENDS = {"psnr_db": ("psnr_low", "psnr_high"), "failure_ratio": ("failure_low", "failure_high")}
_TITLES = {"psnr_db": "Mean PSNR in dB", "failure_ratio": "Slots without an image in per cent", "ms_ssim": "MS-SSIM"}
_DIGITS = {"psnr_db": 2, "failure_ratio": 2}
_OTHER_DIGITS = 4


@dataclass(frozen=True, repr=False)
class ResultTable:
    """A table of a run, printed as LaTeX or Markdown.

    Attributes:
        numbers: One row per part (operating points of like rate), scheme and condition: value, low, high, ``near_bpp``
            (the rate asked for, if any), ``best`` (the best of its part and condition) and ``bold`` (that, and what
            can't be told from it).
        metric: What the values are.
        digits: Decimals that are printed.
        names: What is printed in place of the name of a scheme or a condition.
        notes: Sentences that say what the numbers are.
    """

    numbers: pd.DataFrame
    metric: str
    digits: int
    names: Mapping[str, str]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        rows = self.numbers[["part", "scheme"]].drop_duplicates()
        return f"<ResultTable {self.metric}: {len(rows)} × {len(self._conditions())} numbers, print() shows them>"

    def __str__(self) -> str:
        return self.markdown()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def latex(self) -> str:
        """A ``tabular`` for the package booktabs, with what its numbers are as comments.

        Returns:
            LaTeX, to be put into a file that ``\\input`` reads.

        Raises:
            InputError: A name that the user gave would end the line or the cell.
        """
        conditions = self._conditions()
        head = ["scheme", "bit/pixel", *(self._tex_name(name) for name in conditions)]
        lines = [f"% {note}" for note in (*self.notes, r"\usepackage{booktabs}")]
        lines += [f"\\begin{{tabular}}{{lc{'c' * len(conditions)}}}", r"\toprule", _tex_row(head)]
        for _, part in self.numbers.groupby("part", sort=False):
            lines.append(r"\midrule")
            lines += [_tex_row(row) for row in self._rows(part, _tex_cell, self._tex_name)]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def markdown(self) -> str:
        """A Markdown table, and below it what its numbers are.

        Returns:
            Text whose columns are aligned.
        """
        rows = [["scheme", "bit/pixel", *(self._named(name) for name in self._conditions())]]
        for _, part in self.numbers.groupby("part", sort=False):
            rows += self._rows(part, _text_cell, lambda name: self._named(name).replace("|", "\\|"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        rows.insert(1, ["-" * width for width in widths])
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
        ]
        return "\n".join([*lines, "", *self.notes]) + "\n"

    def _conditions(self) -> list[str]:
        return list(dict.fromkeys(self.numbers["condition"]))

    def _named(self, name: str) -> str:
        return self.names.get(name, name)

    def _tex_name(self, name: str) -> str:
        """A name of the run, escaped; a name that the user gave, as it is, since it may be LaTeX."""
        if name not in self.names:
            return _escaped(name)
        if bare := re.search(r"(?<!\\)[%&#]", self.names[name]):
            message = f"the name `{self.names[name]}` holds a bare `{bare[0]}`, which LaTeX does not print"
            raise InputError(message, hint=f"a name may hold LaTeX: write \\{bare[0]}")
        return self.names[name]

    def _rows(self, part: pd.DataFrame, cell: Callable[..., str], named: Callable[[str], str]) -> list[list[str]]:
        rows = []
        percent = 100 if self.metric == "failure_ratio" else 1
        for scheme, mine in part.groupby("scheme", sort=False):
            found: dict[str, Any] = {str(one.condition): one for one in mine.itertuples()}
            row = [named(str(scheme)), f"{mine['bpp'].mean():.3f}"]
            for name in self._conditions():
                one = found.get(name)
                ends = () if one is None else (one.value * percent, one.low * percent, one.high * percent, one.bold)
                row.append(cell(*ends, digits=self.digits) if ends and not math.isnan(ends[0]) else "--")
            rows.append(row)
        return rows


def table_of_run(run: FinishedRun, **options: Any) -> ResultTable:
    """The table of a finished run.

    Args:
        run: The run.
        **options: As of ``result_table``.

    Returns:
        The table; its last note names the run.
    """
    made = result_table(run.log, float(run.manifest.get("failure_db", 13.0)), **options)
    versions = run.manifest.get("versions")
    version = versions.get("netsim", "") if isinstance(versions, Mapping) else ""
    source = f"netsim {version}, run {run.manifest.get('run_id')}, seed {run.manifest.get('seed')}."
    return ResultTable(made.numbers, made.metric, made.digits, made.names, (*made.notes, source))


def result_table(
    log: pd.DataFrame,
    failure_db: float = 13.0,
    *,
    metric: str = "psnr_db",
    near_bpp: float | Sequence[float] = (),
    schemes: str | Sequence[str] = (),
    channels: str | Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    digits: int | None = None,
) -> ResultTable:
    """A table of a log: a row per scheme and operating point, a column per channel (and link).

    Operating points of like rate form a part of the table. Within a part the best of each column is bold, with those
    that can't be told from it: for PSNR those whose difference from it (``compare_schemes``, slot by slot where both
    are sampled) has 0 inside its 95 % interval; for other metrics those whose 95 % intervals overlap with its own.

    Args:
        log: The table that a run writes.
        failure_db: What a slot without an image counts as.
        metric: ``psnr_db``, ``failure_ratio``, or a further metric of the run.
        near_bpp: A part of the table for each of these rates, with the operating point of each scheme that is nearest;
            none: the operating points of all schemes in order of rate, where they have equally many.
        schemes: Rows, in this order; none: all.
        channels: Columns, in this order; none: all.
        names: What is printed in place of a scheme's or a channel's name.
        digits: Decimals; None: 2 (4 for further metrics).

    Returns:
        The table.

    Raises:
        InputError: An unknown name, or schemes with unlike numbers of operating points and no ``near_bpp``.
    """
    import pandas as pd

    rates = [float(near_bpp)] if isinstance(near_bpp, int | float) else list(near_bpp)
    schemes, channels = ([names] if isinstance(names, str) else names for names in (schemes, channels))
    slots = log[log["packet"].isna()]
    frame = with_condition(summarise(slots, failure_db))
    low, high = _ENDS.get(metric, (f"{metric}_low", f"{metric}_high"))
    if low not in frame or metric not in frame:
        known = [*_ENDS, *(str(name) for name in frame if f"{name}_low" in frame and f"{name}_high" in frame)]
        raise InputError(f"no metric `{metric}` with an interval in the run", hint=did_you_mean(metric, known))
    frame = _chosen(_chosen(frame, "scheme", schemes), "condition" if _is_in(frame, channels) else "channel", channels)
    renamed = dict(names or {})
    for name in renamed:
        if name not in {*frame["scheme"], *frame["condition"]}:
            hint = did_you_mean(name, [*frame["scheme"].unique(), *frame["condition"].unique()])
            raise InputError(f"no scheme or channel `{name}` to rename", hint=hint)
    if digits is not None and not 0 <= digits <= 9:
        raise InputError(f"{digits} digits", hint="0 to 9")
    parts = [part.assign(part=number) for number, part in enumerate(_parts(frame, rates))]
    numbers = pd.concat(parts).rename(columns={metric: "value", low: "low", high: "high"})
    numbers["near_bpp"] = numbers["part"].map(dict(enumerate(rates))).astype(float)
    columns = ["part", "near_bpp", "condition", "channel", "link", "scheme", "operating_point", "engine", "bpp"]
    numbers = numbers[[*columns, "value", "low", "high", "slots", "trials"]].reset_index(drop=True)
    higher = {"psnr_db": True, "failure_ratio": False}.get(metric)
    higher = scale_of(metric).higher_is_better if higher is None else higher
    numbers = numbers.assign(best=False, bold=False)
    if higher is not None:
        for _, cells in numbers.groupby(["part", "condition"], sort=False):
            if len(cells) > 1:  # a scheme alone is compared with nothing
                _mark(numbers, cells, slots, metric, higher, failure_db)
    shown = _DIGITS.get(metric, _OTHER_DIGITS) if digits is None else digits
    return ResultTable(numbers, metric, shown, renamed, tuple(_notes(numbers, metric, failure_db)))


def _is_in(frame: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether names are conditions: a channel with its link, where the run has several links."""
    return bool(names) and all(name in {*frame["condition"]} for name in names)


def _chosen(frame: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    """The rows of some schemes or channels, in that order; of all where no name is given."""
    import pandas as pd

    for name in names:
        if name not in {*frame[column]}:
            raise InputError(f"no {column} `{name}` in the run", hint=did_you_mean(name, list(frame[column].unique())))
    return pd.concat([frame[frame[column] == name] for name in dict.fromkeys(names)]) if names else frame


def _parts(frame: pd.DataFrame, near_bpp: Sequence[float]) -> Iterable[pd.DataFrame]:
    """Rows of operating points of like rate."""
    if near_bpp:
        yield from (frame[nearest_point(frame, rate)] for rate in near_bpp)
        return
    rates = frame.groupby(["scheme", "operating_point"], sort=False)["bpp"].mean().reset_index()
    rank = rates.groupby("scheme", sort=False)["bpp"].rank(method="first").astype(int)
    counts = rates.groupby("scheme", sort=False).size()
    if counts.nunique() > 1:
        fewest, most = counts.idxmin(), counts.idxmax()
        points = f"`{fewest}` has {counts.min()}, `{most}` has {counts.max()}"
        hint = "near_bpp (--near-bpp): a rate for each part of the table"
        raise InputError(f"the schemes have unlike numbers of operating points: {points}", hint=hint)
    for number in sorted(rank.unique()):
        keys = {*rates[rank == number][["scheme", "operating_point"]].itertuples(index=False, name=None)}
        yield frame[[key in keys for key in zip(frame["scheme"], frame["operating_point"], strict=True)]]


def _mark(
    numbers: pd.DataFrame, cells: pd.DataFrame, slots: pd.DataFrame, metric: str, higher: bool, failure_db: float
) -> None:
    """Mark the best of a column of one part, and what can't be told from it."""
    known = cells.dropna(subset=["value"])
    if known.empty:
        return
    order = known.assign(value=known["value"] * (-1 if higher else 1), width=known["high"] - known["low"])
    first = order.sort_values(["value", "width"], kind="stable").index[0]  # of equal ones that known best
    best: Any = known.loc[first]
    numbers.loc[first, ["best", "bold"]] = True
    here = slots[(slots["channel"] == best["channel"]) & (slots["link"] == best["link"])]
    for other in known.drop(index=first).itertuples():
        row: Any = other
        if metric == "psnr_db":
            points = (best["operating_point"], row.operating_point)
            difference = compare_schemes(here, best["scheme"], row.scheme, failure_db, points)
            apart = bool(difference["difference_low"].iloc[0] > 0)
        else:
            apart = bool(best["low"] > row.high if higher else best["high"] < row.low)
        known_ends = not (math.isnan(row.low) or math.isnan(row.high))  # else nothing says that it is as good
        numbers.loc[row.Index, "bold"] = known_ends and not apart


def _notes(numbers: pd.DataFrame, metric: str, failure_db: float) -> Iterable[str]:
    counted = f" A slot without an image counts as {failure_db:g} dB." if metric == "psnr_db" else ""
    yield f"{_TITLES.get(metric, metric)}.{counted} bit/pixel: all that was sent."
    yield from off_rate_notes(numbers)
    yield from _interval_notes(numbers)
    if numbers["bold"].any():
        test = "the 95 % interval of the difference has 0 inside" if metric == "psnr_db" else "95 % intervals overlap"
        yield f"Bold: the best of a column among rows of like rate, and those that can't be told from it ({test})."
    rates = numbers.groupby(["part", "condition"])["bpp"]
    unlike = float((rates.max() / rates.min()).max())
    if unlike > _UNLIKE:
        yield f"Rates compared with each other differ by up to {100 * (unlike - 1):.0f} %."


def off_rate_notes(numbers: pd.DataFrame) -> Iterable[str]:
    """Which rows are not near the rate that was asked for.

    Args:
        numbers: Of a ``ResultTable``.

    Yields:
        A sentence for each rate of ``near_bpp`` from which an operating point is more than 5 % off.
    """
    for rate, part in numbers.groupby("near_bpp", sort=False):
        asked = float(str(rate))
        means = part.groupby("scheme", sort=False)["bpp"].mean()
        off = means[(means > asked * _UNLIKE) | (means < asked / _UNLIKE)]
        if len(off):
            nearest = "; ".join(f"{scheme} {bpp:.3g}" for scheme, bpp in off.items())
            yield f"No operating point at {asked:g} bit/pixel; the nearest: {nearest}."


def _interval_notes(numbers: pd.DataFrame) -> Iterable[str]:
    """What the intervals are of: losses of trials, a sample of the masks, or masks that were not decoded."""
    apart = (numbers["low"] != numbers["value"]) | (numbers["high"] != numbers["value"])
    weighted = numbers["engine"].isin(WEIGHTED_ENGINES)
    sampled = numbers[~weighted]
    if len(sampled):
        yield f"Intervals: 95 %, over the losses of {counted_range(sampled['trials'], 'trial')}, for these images."
    of = "Intervals" if sampled.empty else "Other intervals"
    estimated = numbers[apart & (numbers["engine"] == "stratified")]
    if len(estimated):
        yield f"{of}{_of_rows(estimated, numbers)}: 95 %, over the sampling of masks (no trials), for these images."
    bounded = numbers[apart & (numbers["engine"] == "exact")]
    if len(bounded):
        yield f"{of}{_of_rows(bounded, numbers)}: bounds, whatever the masks that were not decoded show."
    if (weighted & ~apart).all():
        yield "Expectations over all losses, without sampling error, for these images."
    elif (weighted & ~apart).any():
        yield "Numbers without an interval: expectations."


def _of_rows(rows: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """Which schemes are meant, with their operating points where it is not all of them; nothing where it is all."""
    points = numbers.groupby("scheme", sort=False)["operating_point"].unique()
    names = []
    for scheme, mine in rows.groupby("scheme", sort=False):
        own = list(dict.fromkeys(mine["operating_point"]))
        names.append(str(scheme) if len(own) == len(points[scheme]) else f"{scheme} at {', '.join(own)}")
    return "" if names == list(points.index) else f" of {'; '.join(names)}"


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def _escaped(text: str) -> str:
    """Text as LaTeX prints it.

    >>> _escaped("vvc + 30% FEC a_b")
    'vvc + 30\\\\% FEC a\\\\_b'
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_cell(value: float, low: float, high: float, bold: bool, *, digits: int) -> str:
    """A value with the distances to the ends of its interval.

    >>> _tex_cell(24.124, 23.6, 24.59, True, digits=2)
    '$\\\\mathbf{24.12}^{+0.47}_{-0.52}$'
    """
    printed = f"\\mathbf{{{value:.{digits}f}}}" if bold else f"{value:.{digits}f}"
    if low == high == value or (math.isnan(low) and math.isnan(high)):
        return f"${printed}$"
    above, below = ("?" if math.isnan(end) else f"{abs(end - value):.{digits}f}" for end in (high, low))
    return f"${printed}^{{+{above}}}_{{-{below}}}$"


def _text_cell(value: float, low: float, high: float, bold: bool, *, digits: int) -> str:
    printed = f"**{value:.{digits}f}**" if bold else f"{value:.{digits}f}"
    if low == high == value or (math.isnan(low) and math.isnan(high)):
        return printed
    return f"{printed} [{', '.join('?' if math.isnan(end) else f'{end:.{digits}f}' for end in (low, high))}]"

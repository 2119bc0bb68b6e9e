"""``netsim compare RUN A B``: by how many dB one scheme of a run is better than another, and how sure that is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare"]

WIDTH = 120  # where the output is not a terminal
_UNLIKE = 1.05  # rates whose ratio is greater are noted


def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    a: Annotated[str, typer.Argument(metavar="A", help='A scheme, as in the summary: "vvc + 30% FEC".')],
    b: Annotated[str, typer.Argument(metavar="B", help="The scheme that A is compared with.")],
    points: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="KEY=VALUE", help="Operating point of A; a second one: of B [nearest in bpp]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the numbers there, too.")] = None,
) -> None:
    """The difference A − B in dB with its 95 % interval, per channel and pair of operating points.

    Both met the same losses, so that sampled slots are compared one by one.
    """
    import json

    from netsim.analysis.paired import compare_schemes
    from netsim.figures.files import csv_bytes
    from netsim.runs.atomic import make_folder, write_atomically
    from netsim.runs.results import load_run

    found = load_run(run)
    failure_db = float(found.manifest.get("failure_db", 13.0))
    numbers = compare_schemes(found.log, a, b, failure_db, points or ()).assign(failure_db=failure_db)
    if csv is not None:
        make_folder(csv.parent)
        write_atomically(csv, lambda file: file.write(csv_bytes(numbers)))
    if as_json:
        rows = [{key: _plain(value) for key, value in row.items()} for row in numbers.to_dict("records")]
        typer.echo(json.dumps(rows, indent=2))
        return
    _print(numbers, failure_db)
    if not points and (left := _without_partner(found.log, numbers)):
        typer.echo(f"Without a nearest point of the other scheme: {left}. --point compares them.")
    if csv is not None:
        typer.echo(f"wrote  {csv}")


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(numbers: pd.DataFrame, failure_db: float) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    first = numbers.iloc[0]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(f"A  {first['scheme_a']}\nB  {first['scheme_b']}", markup=False)
    with_link = numbers["link"].nunique() > 1
    heads = ["channel", *(["link"] if with_link else []), "A at (bpp)", "B at (bpp)"]
    table = Table(*heads, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for head in ("A (dB)", "B (dB)", "A − B (dB)", "95 % interval", "failures A, B"):
        table.add_column(head, justify="right", no_wrap=head == "95 % interval")
    table.add_column("how")
    for _, row in numbers.iterrows():
        cells = [row["channel"], *([row["link"]] if with_link else [])]
        cells += [f"{row[f'point_{x}']} ({row[f'bpp_{x}']:.3f})" for x in "ab"]
        cells += [f"{row['psnr_a_db']:.2f}", f"{row['psnr_b_db']:.2f}", f"{row['difference_db']:+.2f}", _interval(row)]
        cells += [f"{100 * row['failure_a']:.3g} %, {100 * row['failure_b']:.3g} %", row["how"]]
        table.add_row(*cells)
    console.print(table)
    console.print("\n".join(_notes(numbers, failure_db)), markup=False, soft_wrap=True)


def _interval(row: Any) -> str:
    low, high = row["difference_low"], row["difference_high"]
    if math.isnan(low) and math.isnan(high):
        return "unknown"
    ends = ("unknown" if math.isnan(end) else f"{end:+.2f}" for end in (low, high))
    return "exact" if low == high else " … ".join(ends)


def _notes(numbers: pd.DataFrame, failure_db: float) -> list[str]:
    notes = [f"A slot without an image counts as {failure_db:g} dB."]
    kinds = {
        "paired": "paired: slot by slot over the same losses, batch means over trials.",
        "exact": "exact: from the probabilities of all masks, nothing sampled.",
        "one exact": "one exact: the interval is the sampled scheme's.",
    }
    notes += [text for kind, text in kinds.items() if (numbers["how"] == kind).any()]
    if (numbers["difference_low"].isna() != numbers["difference_high"].isna()).any():
        notes.append("unknown: a scheme showed no image at all, so nothing tells how good its images are.")
    paired = numbers[numbers["how"] == "paired"]
    if len(paired):
        width = (paired["difference_high"] - paired["difference_low"]) / (
            paired["unpaired_high"] - paired["unpaired_low"]
        )
        if math.isfinite(width.median()):
            notes.append(
                f"Pairing makes the intervals {width.median():.2g} times as wide as independent samples (median)."
            )
    ratio = numbers["bpp_a"] / numbers["bpp_b"]
    ratio = ratio.where(ratio >= 1, 1 / ratio).max()
    if ratio > _UNLIKE:
        notes.append(
            f"Rates differ, by a factor of {ratio:.2f} at most: more bits favour a scheme. "
            "`sent_bpp` gives schemes one rate, parity included."
        )
    return notes


def _without_partner(log: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """The operating points of both schemes that the table does not have: ``A step=1; B bpp=0.35, bpp=0.5``."""
    left = []
    for letter in "ab":
        of_scheme = log["scheme"] == numbers[f"scheme_{letter}"].iloc[0]
        compared = set(numbers[f"point_{letter}"])
        points = [point for point in log.loc[of_scheme, "operating_point"].unique() if point not in compared]
        if points:
            left.append(f"{letter.upper()} {', '.join(points)}")
    return "; ".join(left)

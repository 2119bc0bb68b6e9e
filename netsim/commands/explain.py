"""``netsim explain RUN``: the importance of each packet of an image, and the worst and best losses."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from netsim.analysis.explain import Explanation

__all__ = ["explain"]

WIDTH = 120  # where the output is not a terminal


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="An image of the run.")],
    codec: Annotated[str, typer.Option("--codec", metavar="NAME", help='A scheme ("vvc + 30% FEC"), or a codec.')],
    point: Annotated[
        str | None, typer.Option("--point", metavar="KEY=VALUE", help="Operating point [nearest to 0.35 bpp].")
    ] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", metavar="NAME", help="A channel; repeatable [the run's].")
    ] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="NAME", help="A link of the run [its first].")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [RUN/explain/…].")] = None,
) -> None:
    """The importance of each packet by channel, and the worst and best masks of each loss count, with images.

    From the image's mask table: what the run did not decode is decoded now, and remembered.
    """
    from netsim.analysis.explain import decoded_masks
    from netsim.analysis.explain import explain as explained
    from netsim.analysis.replay import replayed_plan
    from netsim.decoding.cache import CodecCache
    from netsim.decoding.store import Store
    from netsim.figures.explain import write_explanation
    from netsim.paths import own_path
    from netsim.runs.progress import ConsoleReporter, counted
    from netsim.runs.results import load_run

    plan = replayed_plan(load_run(run))
    with Store() as store, ConsoleReporter().board() as board:
        cache = CodecCache(store, counted(board, "decode"))
        found = explained(plan, cache, image, codec, point, channels or (), link)
        _print(found)
        name = f"{image} {found.scheme.label} {found.scheme.scheme.operating_point}"
        folder = out or own_path(run, "explain", re.sub(r"[^\w.=%-]+", "_", name))
        paths = write_explanation(found, decoded_masks(found, cache), folder)
    typer.echo(f"wrote  {folder}/  " + "  ".join(path.name for path in paths if path.name.startswith("explain")))
    typer.echo(f"       and {sum(path.name.startswith('lost_') for path in paths)} images of worst and best masks")


def _print(found: Explanation) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(found.title, markup=False)
    importance = found.packets.pivot(index="packet", columns="channel", values="importance_db")
    names = list(dict.fromkeys(found.packets["channel"]))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for head in ("packet", "bytes", "lost alone", *names):
        table.add_column(head, justify="right")
    for _, row in found.packets.drop_duplicates("packet").iterrows():
        cells = [_importance(importance.loc[row["packet"], name]) for name in names]
        table.add_row(str(row["packet"]), str(row["bytes"]), f"{row['drop_alone_db']:.2f}", *cells)
    console.print(table)
    note = f"dB lost with each packet: alone, and expected by channel, E[received] − E[lost]\n{_worst(found)}"
    console.print(note, markup=False)
    if importance.isna().to_numpy().any():
        console.print(f"{_NONE}: always lost, late or dropped over that channel and link, or never", markup=False)
    for reason in found.skipped:
        console.print(f"left out: {reason}", markup=False)


_NONE = "–"


def _importance(db: float) -> str:
    """A packet's importance; there is none where the packet always arrives or never does."""
    return _NONE if math.isnan(db) else f"{db:.2f}"


def _worst(found: Explanation) -> str:
    """The worst of one loss, and how many losses can leave no image."""
    one = found.counts[found.counts["lost"] == 1].iloc[0]
    left = f"no image, counted as {one['worst_db']:g} dB" if one["worst_failed"] else f"{one['worst_db']:.2f} dB"
    if one["worst_masks"] == one["masks"] > 1:
        text = f"each single loss leaves {left}"
    else:
        text = f"worst single loss: packet {one['worst_lost']}, which leaves {left}"
    fails = found.counts[found.counts["failed"] > 0]
    if one["worst_failed"] or not len(fails):
        return text
    return f"{text}; {fails['lost'].min()} lost packets can leave no image"

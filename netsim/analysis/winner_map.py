"""The winner map of a run over either pair of axes, with the store opened for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netsim.analysis.replay import replayed_plan
from netsim.analysis.winner import winner_numbers
from netsim.analysis.winner_rtt import round_trip_numbers
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError, did_you_mean
from netsim.runs.progress import Reporter, counted

if TYPE_CHECKING:
    import pandas as pd

    from netsim.runs.results import FinishedRun

__all__ = ["OVER", "winner_map"]

OVER = ("burst", "rtt")
"""The second axis beside the loss rate: mean burst (from mask tables), or round trip (sampled)."""


def winner_map(
    run: FinishedRun,
    over: str = "burst",
    reporter: Reporter | None = None,
    say: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> pd.DataFrame:
    """Numbers of the winner map of a run.

    Args:
        run: A finished run.
        over: One of ``OVER``.
        reporter: Shows how many masks are decoded and samples are drawn; None: nothing.
        say: Gets notes in one line each.
        **options: Those of ``winner_numbers`` or ``round_trip_numbers``.

    Returns:
        One row per condition and scheme: see ``netsim.analysis.winner.winners``.

    Raises:
        InputError: An unknown axis, image or link; or too few schemes that have a map.
    """
    if over not in OVER:
        raise InputError(f"no map over `{over}`", where="--over", hint=did_you_mean(over, OVER))
    with Store() as store, (reporter or Reporter()).board() as board:
        cache = CodecCache(store, counted(board, "decode"))
        if over == "rtt":
            return round_trip_numbers(replayed_plan(run), cache, say=say, count=counted(board, "sample"), **options)
        return winner_numbers(replayed_plan(run), cache, say=say, **options)

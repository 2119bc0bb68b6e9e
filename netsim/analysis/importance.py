"""Computes from a mask table the importance of each packet, and the worst and best masks of each loss count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.decoding.mask_table import QualityTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["importance_db", "loss_count_extremes", "packet_importance"]

Floats = NDArray[np.float64]


def importance_db(masks: NDArray[np.bool_], quality_db: Floats, probabilities: Floats) -> Floats:
    """E[quality | packet received] − E[quality | packet lost], of each packet under each channel.

    Args:
        masks: bool [m, n], True = received.
        quality_db: float64 [m].
        probabilities: float64 [channels, m].

    Returns:
        float64 [channels, n], NaN where a packet is never, or always, lost. With bursts, a packet's loss correlates
        with its neighbours' losses, and their importance is part of the number.

    >>> both = np.array([[False, False], [True, False], [False, True], [True, True]])
    >>> importance_db(both, np.array([13.0, 20.0, 13.0, 30.0]), np.full((1, 4), 0.25)).tolist()
    [[12.0, 5.0]]
    """
    received = masks.astype(np.float64)
    weighted = probabilities * quality_db
    there, lost = probabilities @ received, probabilities @ (1 - received)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = (weighted @ received) / there - (weighted @ (1 - received)) / lost
    return np.where((there > 0) & (lost > 0), difference, np.nan)


def packet_importance(table: QualityTable, probabilities: Mapping[str, Floats], failure_db: float) -> pd.DataFrame:
    """What each packet that can be lost adds to the quality: one row per packet and channel.

    Args:
        table: The image's mask table.
        probabilities: By channel's name the probability of each mask, float64 [2**n].
        failure_db: What counts where no image can be shown.

    Returns:
        Columns packet (its number in sending order, from 0, as in the log), bytes, drop_alone_db (what is lost when
        this packet alone is), channel, loss_probability, importance_db (``importance_db``), received_db, lost_db (the
        two expectations that it is the difference of).
    """
    import pandas as pd

    quality, masks = table.quality_db(failure_db), table.masks
    every = (1 << table.packets) - 1
    rows: list[dict[str, Any]] = []
    for name, probability in probabilities.items():
        importance = importance_db(masks, quality, probability[None])[0]
        for i, packet in enumerate(table.at_risk.tolist()):
            there = masks[:, i]
            given = [_mean(quality[side], probability[side]) for side in (there, ~there)]
            rows.append(
                {
                    "packet": packet,
                    "bytes": int(table.sizes_bytes[packet]),
                    "drop_alone_db": float(quality[every] - quality[every ^ (1 << i)]),
                    "channel": name,
                    "loss_probability": float(probability[~there].sum()),
                    "importance_db": float(importance[i]),
                    "received_db": given[0],
                    "lost_db": given[1],
                }
            )
    return pd.DataFrame(rows)


def _mean(values: Floats, weights: Floats) -> float:
    return float(values @ weights / weights.sum()) if weights.sum() > 0 else float("nan")


def loss_count_extremes(table: QualityTable, failure_db: float) -> pd.DataFrame:
    """The worst and the best masks: one row per number of packets lost, 0 … n.

    Args:
        table: The image's mask table.
        failure_db: What counts where no image can be shown.

    Returns:
        Columns lost, masks (how many there are), failed (how many of them have no image), mean_db (over them, all
        alike), and for worst and best: X_mask (text over the packets at risk in sending order, R received, L lost; the
        first of equals), X_lost (numbers of the lost packets), X_db, X_failed, X_masks (how many are as bad, or as
        good).
    """
    import pandas as pd

    quality, masks, failed = table.quality_db(failure_db), table.masks, table.failed
    lost = (~masks).sum(axis=1)
    rows = []
    for count in range(table.packets + 1):
        mine = np.flatnonzero(lost == count)
        row: dict[str, Any] = {
            "lost": count,
            "masks": len(mine),
            "failed": int(failed[mine].sum()),
            "mean_db": float(quality[mine].mean()),
        }
        ends = {"worst": np.lexsort((mine, ~failed[mine], quality[mine]))[0], "best": np.argmax(quality[mine])}
        for end, at in ends.items():
            one = int(mine[at])
            row |= {
                f"{end}_mask": "".join("R" if there else "L" for there in masks[one]),
                f"{end}_lost": " ".join(str(packet) for packet in table.at_risk[~masks[one]]),
                f"{end}_db": float(quality[one]),
                f"{end}_failed": bool(failed[one]),
                f"{end}_masks": int((quality[mine] == quality[one]).sum()),
            }
        rows.append(row)
    return pd.DataFrame(rows)

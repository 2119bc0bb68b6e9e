"""Timeline: PSNR from slot to slot in one trial, or from packet to packet, over the share of packets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.summary import slot_quality
from netsim.errors import InputError
from netsim.figures.legends import legend
from netsim.figures.select import NEAR_BPP, nearest_point, with_condition
from netsim.figures.style import MUTED, Look, figure_size, looks, own_panel, styled
from netsim.scenario.schema import WEIGHTED_ENGINES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]

_SLOTS, _PROGRESSIVE_SLOTS = 60, 3
_MISSING = ["packets_lost", "packets_late", "packets_dropped"]
_COLUMNS = ["condition", "channel", "link", "engine", "scheme", "operating_point", "trial", "slot", "packet", "image"]
_COLUMNS += ["start_s", "time_s", "status", "psnr_db", "loss_rate", "failure_db"]


def numbers(
    log: pd.DataFrame,
    failure_db: float = 13.0,
    trial: int | None = None,
    slots: int | None = None,
    near_bpp: float = NEAR_BPP,
) -> pd.DataFrame:
    """The first slots of one trial, one operating point of each scheme.

    Args:
        log: Rows of slots, and of packets where the scenario asked for them (then PSNR is drawn over time).
        failure_db: What a slot without an image is drawn as, in dB.
        trial: Number of the trial; None: the first in which a packet of what is drawn does not arrive, else the log's
            first.
        slots: How many slots; None: 60, or 3 with packet rows.
        near_bpp: Rate of the operating points that are drawn, in bit/pixel.

    Returns:
        The log's rows that are drawn; column ``loss_rate``: share of the slot's packets that the channel lost. Its
        ``attrs`` name under ``left_out`` the schemes that have no slots in time, and under ``chosen`` the operating
        points that are drawn of schemes that have more.

    Raises:
        InputError: The log has no such trial, or no slots in time (exact and stratified engine).
    """
    sampled = log[~log["engine"].isin(WEIGHTED_ENGINES)]
    if sampled.empty:
        hint = "the exact and the stratified engine weight outcomes; run the scenario with --engine event"
        raise InputError("this run has no slots in time", hint=hint)
    if slots is None:
        slots = slots_shown(bool(sampled["packet"].notna().any()))
    if trial is None:
        drawn = with_condition(sampled[sampled["slot"] < slots])
        trial = first_struck_trial(drawn[nearest_point(drawn, near_bpp)])
        trial = int(sampled["trial"].min()) if trial is None else trial
    mine = sampled[sampled["trial"] == trial]
    if mine.empty:
        known = f"trials 0 … {int(sampled['trial'].max())}"
        raise InputError(f"no trial {trial}", where="--trial", hint=f"the run has {known}")
    mine = with_condition(mine[mine["slot"] < slots])
    mine = mine[nearest_point(mine, near_bpp)]
    sent = np.maximum(mine["packets_sent"].to_numpy(dtype=float), 1)
    found = mine.assign(
        psnr_db=slot_quality(mine, failure_db),
        loss_rate=mine["packets_lost"].to_numpy(dtype=float) / sent,
        failure_db=failure_db,
    )
    order = ["condition", "scheme", "slot", "time_s"]
    ranks = {name: {key: i for i, key in enumerate(dict.fromkeys(found[name]))} for name in order[:2]}
    rows = (
        found[_COLUMNS]
        .sort_values(
            order, kind="stable", key=lambda column: column.map(ranks[column.name]) if column.name in ranks else column
        )
        .reset_index(drop=True)
    )
    shown = set(sampled["scheme"].unique())
    rows.attrs["left_out"] = [name for name in log["scheme"].unique() if name not in shown]
    several = {
        name for name, points in sampled.groupby("scheme", observed=True)["operating_point"] if points.nunique() > 1
    }
    chosen = rows.drop_duplicates(["scheme", "operating_point"]).groupby("scheme", observed=True)["operating_point"]
    rows.attrs["chosen"] = {str(name): list(points) for name, points in chosen if name in several}
    return rows


def slots_shown(progressive: bool) -> int:
    """How many slots are drawn where nobody says.

    Args:
        progressive: Whether the log has packet rows.

    Returns:
        Slots.
    """
    return _PROGRESSIVE_SLOTS if progressive else _SLOTS


def first_struck_trial(log: pd.DataFrame) -> int | None:
    """The first trial in which a packet did not arrive.

    Args:
        log: Rows of sampled slots.

    Returns:
        Its number; None where all packets arrived.
    """
    slots = log[log["packet"].isna()]
    struck = slots.loc[slots[_MISSING].sum(axis=1) > 0, "trial"]
    return int(struck.min()) if len(struck) else None


@styled
def draw(numbers: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """One panel per condition, one above the other, on one axis of slots (or of time, for packet rows).

    Args:
        numbers: From ``numbers``.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.

    Returns:
        The figure; that of ``ax`` where it is given.

    Raises:
        InputError: ``ax`` can't hold the figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    conditions = list(dict.fromkeys(numbers["condition"]))
    progressive = bool(numbers["packet"].notna().any())
    height = 3.6 if len(conditions) == 1 else 1.45 * len(conditions) + 1.1
    given = own_panel("timeline", ax, len(conditions))
    figure = given[0] if given else Figure(figsize=figure_size(7.2, height), layout="constrained")
    shared: Any = {"sharex": True, "sharey": True, "squeeze": False}
    panels: Any = [given[1]] if given else figure.subplots(len(conditions), 1, **shared)[:, 0]
    style = looks(numbers["scheme"])
    chosen = numbers.attrs.get("chosen", {})
    labels = {name: ", ".join([name, *chosen.get(name, [])]) for name in style}
    for panel, condition in zip(panels, conditions, strict=True):
        here = numbers[numbers["condition"] == condition]
        panel.set_title(condition)
        _losses(panel, here, progressive)
        (_courses if progressive else _slots)(panel, here, style, labels)
        panel.grid(visible=False, axis="x")
    if not progressive:
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    failure_db = float(numbers["failure_db"].iloc[0])
    panels[0].set_ylim(*_limits(numbers, failure_db))
    panels[-1].set_xlabel("time (s)" if progressive else "slot")
    if ax is None:
        figure.supylabel("PSNR (dB)", fontsize=9)
    else:
        ax.set_ylabel("PSNR (dB)")
    none = f"{'At' if progressive else '× at'} {failure_db:g} dB: no image."
    note = f"Trial {numbers['trial'].iloc[0]}. {none} Grey: share of the slot's packets lost (right)."
    if left_out := numbers.attrs.get("left_out"):
        note += f" Without slots in time (exact or stratified): {', '.join(left_out)}."
    legend(figure, panels[0], note, ax)
    return figure


def _limits(numbers: pd.DataFrame, failure_db: float) -> tuple[float, float]:
    low, high = min(failure_db, numbers["psnr_db"].min()), numbers["psnr_db"].max()
    margin = max(0.06 * (high - low), 0.5)
    return low - margin, high + margin


def _losses(panel: Axes, here: pd.DataFrame, progressive: bool) -> None:
    """The share of packets lost in each slot as grey bars behind the lines (mean over the schemes drawn)."""
    own = here[here["packet"].isna()]
    slots = own.groupby("slot").agg(
        loss_rate=("loss_rate", "mean"), start_s=("start_s", "min"), end_s=("time_s", "max")
    )
    back: Any = panel.twinx()
    back.set_zorder(panel.get_zorder() - 1)
    panel.patch.set_visible(False)
    if progressive:
        ends = np.append(slots["start_s"].to_numpy()[1:], slots["end_s"].iloc[-1])
        left, width = slots["start_s"].to_numpy(), ends - slots["start_s"].to_numpy()
    else:
        left, width = slots.index.to_numpy() - 0.5, np.ones(len(slots))
    back.bar(left, slots["loss_rate"], width, align="edge", color="#dddddd", linewidth=0)
    back.set_ylim(0, 1)
    back.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    back.tick_params(labelsize=7, labelcolor=MUTED, length=2)
    back.grid(visible=False)
    panel.set_xlim(left[0], left[-1] + width[-1])


def _slots(panel: Axes, here: pd.DataFrame, style: dict[str, Look], labels: dict[str, str]) -> None:
    for scheme, look in style.items():
        mine = here[here["scheme"] == scheme]
        named = look.line | {"markersize": 3.6, "linewidth": 1.1}
        panel.plot(mine["slot"], mine["psnr_db"], label=labels[scheme], **named)
        failed = mine[mine["status"] == "failed"]
        panel.plot(failed["slot"], failed["psnr_db"], "x", color=look.colour, markersize=5, markeredgewidth=1.2)


def _courses(panel: Axes, here: pd.DataFrame, style: dict[str, Look], labels: dict[str, str]) -> None:
    """PSNR holds from one arrival to the next; a new slot begins without an image."""
    for scheme, look in style.items():
        mine = here[here["scheme"] == scheme]
        label: str | None = labels[scheme]
        starts = mine.groupby("slot")["start_s"].min()
        for slot, part in mine.groupby("slot"):
            later = starts[starts.index > slot]
            end = later.iloc[0] if len(later) else part["time_s"].max()
            x = np.concatenate([[starts[slot]], part["time_s"], [max(end, part["time_s"].max())]])
            y = np.concatenate([[part["failure_db"].iloc[0]], part["psnr_db"], part["psnr_db"].iloc[-1:]])
            named = look.line | {"markersize": 3.6, "linewidth": 1.2, "drawstyle": "steps-post"}
            panel.plot(x, y, label=label, markevery=range(1, len(x) - 1), **named)
            label = None

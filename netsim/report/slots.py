"""The slots that a report shows: which, and their images made ready for a page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.ranked_slots import RankedSlot, ranked_slots
from netsim.analysis.replay import replayed_plan
from netsim.analysis.slot_images import SentImage, ShownImage, chosen_slots, slot_images
from netsim.errors import InputError
from netsim.figures.select import NEAR_BPP, nearest_point, with_condition
from netsim.text import counted_noun

if TYPE_CHECKING:
    import pandas as pd

    from netsim.runs.results import FinishedRun
    from netsim.scenario.plan import Plan, PlanRow

__all__ = ["GAIN", "ConditionSlots", "SchemeCell", "SlotCard", "SlotSection", "slot_section"]

GAIN = 8
"""How much darker than the difference itself its image is."""

_SLOTS, _SCHEMES, _CONDITIONS = 8, 5, 6
_LONGER_SIDE = 384  # pixels of an embedded image
_QUALITY = 90  # of WebP
_PACKETS_IN_ROW = 20


class SchemeCell(NamedTuple):
    """What a scheme shows in a slot. received, difference: data URIs, empty where there is no image.

    boxes: (column, row, outcome) of each packet.
    """

    scheme: str
    sent_as: str
    quality: str
    packets: str
    boxes: list[tuple[int, int, str]]
    received: str
    difference: str


class SlotCard(NamedTuple):
    """A slot. sent: data URI."""

    title: str
    sent: str
    cells: list[SchemeCell]

    @property
    def size(self) -> int:
        """Characters of its images."""
        return len(self.sent) + sum(len(cell.received) + len(cell.difference) for cell in self.cells)


class ConditionSlots(NamedTuple):
    """A channel's slots. drawn: whether some scheme's masks were drawn for the report, as its log has none."""

    title: str
    slots: list[SlotCard]
    drawn: bool


class SlotSection(NamedTuple):
    """All slots shown, sentences on how they were chosen, or why there are none."""

    conditions: list[ConditionSlots]
    notes: list[str]
    reason: str = ""


def slot_section(
    run: FinishedRun, summary: pd.DataFrame, most_bytes: int, trial: int | None = None, slots: Sequence[int] = ()
) -> SlotSection:
    """Some slots for each of the run's channels: a typical one and bad ones, or those of a trial.

    Args:
        run: A finished run.
        summary: Of its log.
        most_bytes: Room for the images in the page; the last slots of each channel are left out where it is too small.
        trial: Number of a trial; None: slots of any trial (``netsim.analysis.ranked_slots``), or of trial 0 where slots
            are named.
        slots: Numbers of slots; none: the first ones of the trial with losses.

    Returns:
        The slots by channel, or the reason why there are none.

    Raises:
        InputError: No such trial or slot, where one was asked for.
    """
    try:
        plan = replayed_plan(run)
        groups = _groups(plan, summary)
        shown = groups[:_CONDITIONS]
        chosen = _ranked(run, plan, [rows for _, rows in shown], trial, slots)
        log = run.trial_log(trial or 0, *{one.trial for some in chosen for one in some})
        made = [
            (title, _sent(plan, log, rows, some or _of_trial(log, plan, rows, trial or 0, slots)))
            for (title, rows), some in zip(shown, chosen, strict=True)
        ]
    except InputError as error:
        if error.where in ("--trial", "--slot"):
            raise
        return SlotSection([], [], error.message)
    conditions = [
        ConditionSlots(title, [_card(one, rank) for one, rank in sent], _drawn([one for one, _ in sent]))
        for title, sent in made
    ]
    fitting = _fitting(conditions, most_bytes)
    which = [] if all(chosen) else [_which(trial or 0, bool(slots), any(chosen))]
    which += [_RANKED.format(plan.failure_db)] if any(chosen) else []
    return SlotSection(fitting, [*reversed(which), *_notes(fitting, conditions, groups)])


def _ranked(
    run: FinishedRun, plan: Plan, groups: Sequence[Sequence[PlanRow]], trial: int | None, slots: Sequence[int]
) -> list[list[RankedSlot]]:
    """The ranked slots of each group; none where a trial or slots are asked for, or the log has none in time."""
    if trial is not None or slots:
        return [[] for _ in groups]
    numbers = [[row.index for row in rows] for rows in groups]
    return ranked_slots(run.checked("log.parquet"), numbers, plan.slots, plan.failure_db)


def _of_trial(
    log: pd.DataFrame, plan: Plan, rows: Sequence[PlanRow], trial: int, slots: Sequence[int]
) -> list[RankedSlot]:
    """Slots of one trial, without a rank."""
    wanted = sorted(set(slots)) or chosen_slots(log, rows, plan.slots, trial, _SLOTS)
    return [RankedSlot(trial, slot, "", 0) for slot in wanted]


def _sent(
    plan: Plan, log: pd.DataFrame, rows: Sequence[PlanRow], chosen: Sequence[RankedSlot]
) -> list[tuple[SentImage, str]]:
    """The images of some slots with the slots' ranks, in the order of these."""
    found = {
        (one.trial, one.slot): one
        for trial in dict.fromkeys(one.trial for one in chosen)
        for one in slot_images(plan, log, rows, trial, [one.slot for one in chosen if one.trial == trial])
    }
    return [(found[one.trial, one.slot], f"{one.rank} of {one.slots:,}" if one.rank else "") for one in chosen]


def _groups(plan: Plan, summary: pd.DataFrame) -> list[tuple[str, list[PlanRow]]]:
    """Per condition its best schemes at the operating point nearest to ``NEAR_BPP``, in the plan's order."""
    frame = with_condition(summary)
    frame = frame[nearest_point(frame, NEAR_BPP)]
    found = []
    for condition, part in frame.groupby("condition", sort=False, observed=True):
        best = part.sort_values("psnr_db", ascending=False, kind="stable").head(_SCHEMES)
        names = ["scheme", "operating_point", "channel", "link"]
        wanted = set(best[names].itertuples(index=False, name=None))
        rows = [row for row in plan.rows if _address(row) in wanted]
        if rows:
            found.append((str(condition), rows))
    return found


def _address(row: PlanRow) -> tuple[str, str, str, str]:
    return row.label, row.operating_point, row.channel_name, row.link_name


def _drawn(sent: Sequence[SentImage]) -> bool:
    return any(not shown.logged for one in sent for shown in one.shown)


def _fitting(conditions: list[ConditionSlots], most_bytes: int) -> list[ConditionSlots]:
    """The first slots of each condition, as many as there is room for."""
    for count in range(max((len(one.slots) for one in conditions), default=0), 0, -1):
        if sum(slot.size for one in conditions for slot in one.slots[:count]) <= most_bytes:
            return [one._replace(slots=one.slots[:count]) for one in conditions]
    return []


_RANKED = (
    "Slots of all trials, in the order of the mean PSNR that the log has of the schemes shown (without an image {:g} "
    "dB): the median, the lower quartile, the 5th percentile and the worst; of equal ones the earliest."
)


def _which(trial: int, asked: bool, others: bool) -> str:
    """others: whether other channels have ranked slots."""
    which = "as asked for" if asked else "the first in which a packet did not arrive, then the first of the others"
    where = "Where the log has no slots in time, slots" if others else "Slots"
    return f"{where} of trial {trial}: {which}."


def _notes(
    fitting: list[ConditionSlots],
    conditions: list[ConditionSlots],
    groups: Sequence[object],
) -> list[str]:
    notes = [
        "Each image is decoded again from the run's streams and masks.",
        f"Shown are at most {_SCHEMES} schemes a channel, those with the highest mean PSNR, each at the operating "
        f"point nearest to {NEAR_BPP:g} bit/pixel.",
        f"Images are at most {_LONGER_SIDE} pixels wide or high here; PSNR is of the full size. Difference: white is "
        f"none, {GAIN} times darker than the mean of the three colours' differences.",
    ]
    if any(one.drawn for one in fitting):
        notes.append(
            "The exact and the stratified engine weight masks and draw none: the masks here are those that the event "
            "engine draws with the run's seed."
        )
    if len(groups) > _CONDITIONS:
        notes.append(f"{counted_noun(_CONDITIONS, 'channel')} of {len(groups)} are shown.")
    left = sum(len(one.slots) for one in conditions) - sum(len(one.slots) for one in fitting)
    if left:
        notes.append(f"{counted_noun(left, 'slot')} left out for the size of the file.")
    return notes


def _card(sent: SentImage, rank: str) -> SlotCard:
    cells = [_cell(sent.image, one) for one in sent.shown]
    title = f"Trial {sent.trial}, slot {sent.slot}: {sent.name}" + (f" ({rank})" if rank else "")
    return SlotCard(title, _uri(sent.image), cells)


def _cell(original: NDArray[np.uint8], shown: ShownImage) -> SchemeCell:
    quality = "no image" if shown.image is None else "no difference"
    if math.isfinite(shown.psnr_db):
        quality = f"{shown.psnr_db:.2f} dB"
    boxes = [(i % _PACKETS_IN_ROW, i // _PACKETS_IN_ROW, outcome) for i, outcome in enumerate(shown.packets)]
    received = difference = ""
    if shown.image is not None:
        received, difference = _uri(shown.image), _uri(_difference(original, shown.image))
    way = f"{shown.sent_as} ({shown.bpp:.3f} bit/pixel)"
    return SchemeCell(shown.scheme, way, quality, _packets_text(shown.packets), boxes, received, difference)


def _packets_text(packets: Sequence[str]) -> str:
    """How many arrived, and what became of the others.

    >>> _packets_text(("delivered", "lost", "late", "lost"))
    '1 of 4 packets arrived; lost: 2, 4; late: 3'
    """
    arrived = sum(outcome == "delivered" for outcome in packets)
    text = f"{arrived} of {counted_noun(len(packets), 'packet')} arrived"
    for name in ("lost", "late", "dropped"):
        numbers = [str(i) for i, outcome in enumerate(packets, 1) if outcome == name]
        text += f"; {name}: {', '.join(numbers)}" if numbers else ""
    return text


def _difference(original: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """White where two images are equal, darker the more they differ: uint8 [H, W]."""
    away = np.abs(original.astype(np.int16) - image).mean(axis=2)
    return np.asarray(255 - np.minimum(255, GAIN * away).round(), dtype=np.uint8)


def _uri(pixels: NDArray[np.uint8]) -> str:
    """An image as a data URI, made small."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_LONGER_SIDE, _LONGER_SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    image.convert("RGB").save(file, format="WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")

"""``engine: auto``: which engine answers a row, decided once its streams are there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from netsim.channels.markov import MarkovChannel
from netsim.engines.exact import ALL_MASKS_PACKETS, all_masks, why_not_exact
from netsim.protection.spec import protection_from_spec
from netsim.runs.job import Job, coded_picture, row_channel, row_link, workshop
from netsim.scenario.plan import Plan, PlanRow

__all__ = ["resolve_engines"]

_PRECISION_TRIALS = 400  # what sampling to a stated precision is taken to need, before it is known


def resolve_engines(job: Job) -> tuple[Plan, list[str]]:
    """The plan with every row's engine chosen, and why, in sentences.

    exact where it needs no more decodes than sampling is expected to need; array elsewhere where nothing feeds
    back; event else.
    """
    rows, reasons, decodes = [], Counter[str](), Counter[str]()
    for row in job.plan.rows:
        engine, reason, count = _choose(job, row)
        rows.append(replace(row, engine=engine))
        reasons[f"{engine}: {reason}"] += 1
        decodes[f"{engine}: {reason}"] += count
    sentences = [
        f"{reason} ({count} {'row' if count == 1 else 'rows'}, up to {decodes[reason]:,} decodes a picture in all)"
        for reason, count in reasons.items()
    ]
    return replace(job.plan, rows=tuple(rows)), sentences


def _choose(job: Job, row: PlanRow) -> tuple[str, str, int]:
    """(engine, why, decodes expected for the first picture)."""
    if row.engine != "auto":
        exact, _ = _decodes(job, row)
        return row.engine, "as asked", exact
    if row.control is not None:
        return "event", "a controller feeds back", len(row.schemes)
    channel, link = row_channel(row), row_link(row)
    reason = why_not_exact(channel, link)
    exact, sampled = _decodes(job, row)
    if reason:
        return "array", reason, exact
    if exact == 0:
        return "array", f"more than {ALL_MASKS_PACKETS} packets", 0
    if exact <= sampled:
        return "exact", "no more decodes than sampling", exact
    return "array", "fewer decodes than exact", sampled


def _decodes(job: Job, row: PlanRow) -> tuple[int, int]:
    """Decodes of the first picture: (exact engine, 0 if unknown; expected when sampling)."""
    coded = coded_picture(job.plan, row, 0, row.schemes[0])
    shop = workshop(job.store_path)
    stream, codec = shop.encode(coded), shop.codec(coded)
    protected = protection_from_spec(row.schemes[0].protection).protect(stream)
    at_risk = np.flatnonzero(~protected.sent.protected)
    if codec.all_needed:
        return 1, 1
    channel = row_channel(row)
    if len(at_risk) > ALL_MASKS_PACKETS or not isinstance(channel, MarkovChannel):
        return 0, 0
    received = np.ones((1 << len(at_risk), len(protected.sent)), dtype=bool)
    received[:, at_risk] = all_masks(len(at_risk)) if len(at_risk) else True
    usable = codec.usable(stream, protected.recover(received))
    masks, which = np.unique(usable, axis=0, return_inverse=True)
    probability = np.bincount(which.reshape(-1), channel.mask_probabilities(len(at_risk)) if len(at_risk) else None)
    decodable = masks.any(axis=1)
    trials = job.plan.trials if job.plan.precision_db is None else _PRECISION_TRIALS
    draws = trials * max(1, job.plan.slots // len(job.plan.image_names))
    expected = (1 - (1 - probability[decodable].clip(0, 1)) ** draws).sum()
    return int(((probability > 0) & decodable).sum()), int(np.ceil(expected))

"""``engine: auto``: which engine answers a scheme, decided once its streams are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from netsim.channels.markov import MarkovChannel
from netsim.engines.exact import ALL_MASKS_PACKETS, all_masks
from netsim.runs.context import RunContext, codec_cache, stream_key_of
from netsim.scenario.engine import why_not
from netsim.scenario.plan import Plan, PlanRow

__all__ = ["resolve_engines"]

_PRECISION_TRIALS = 400  # what sampling to a stated precision is taken to need, before it is known


def resolve_engines(job: RunContext) -> tuple[Plan, list[str]]:
    """The plan with every row's engine chosen, and why, in sentences.

    One engine for a scheme over all channels of a link, since one table of decoded masks answers them all:
    exact where that table is no larger than what sampling is expected to decode; stratified
    where there are too many masks for a table; array elsewhere; event where something feeds back.
    """
    chosen: dict[int, str] = {}
    told: dict[str, list[int]] = {}
    for rows in _groups(job.plan.rows):
        engine, reason, decodes = _choose(job, rows)
        chosen |= dict.fromkeys((row.index for row in rows), engine)
        told.setdefault(f"{engine}: {reason}", []).append(decodes)
    rows_now = tuple(replace(row, engine=chosen[row.index]) for row in job.plan.rows)
    sentences = [f"{reason}; {_expected(decodes)}" for reason, decodes in told.items()]
    return replace(job.plan, rows=rows_now), sentences


def _expected(decodes: list[int]) -> str:
    points = f"{len(decodes)} operating point{'' if len(decodes) == 1 else 's'}"
    return f"{points}, about {sum(decodes):,} decodes a picture in all" if sum(decodes) else points


def _groups(rows: Iterable[PlanRow]) -> Iterable[list[PlanRow]]:
    found: dict[object, list[PlanRow]] = {}
    for row in rows:
        found.setdefault((row.schemes, row.link, row.control), []).append(row)
    return found.values()


def _choose(job: RunContext, rows: list[PlanRow]) -> tuple[str, str, int]:
    """(engine, why, decodes expected for the first picture)."""
    row = rows[0]
    to_precision = job.plan.precision_db is not None
    reason = next(filter(None, (why_not("exact", one, to_precision) for one in rows)), "")
    exact, sampled = (0, 0) if reason else _decodes(job, rows)
    if row.engine != "auto":
        return row.engine, "as asked", exact if row.engine == "exact" else sampled
    feeds_back = next(filter(None, (why_not("array", one, to_precision) for one in rows)), "")
    if feeds_back:
        return "event", feeds_back, 0
    if reason:
        return "array", reason, 0
    if exact == 0:
        engine = "stratified" if job.plan.precision_db is None else "array"
        return engine, f"more than {ALL_MASKS_PACKETS} packets", 0
    if exact <= sampled:
        return "exact", "no more masks to decode than sampling meets", exact
    return "array", f"{exact:,} masks are possible, fewer will be met", sampled


def _decodes(job: RunContext, rows: list[PlanRow]) -> tuple[int, int]:
    """Decodes of the first picture over all channels: (exact engine, expected when sampling); 0 where unknown."""
    row, cache = rows[0], codec_cache(job.store_path)
    stream_key = stream_key_of(job.plan, row, 0, row.schemes[0])
    stream, codec = cache.encode(stream_key), cache.codec(stream_key)
    protected = row.schemes[0].protection.protect(stream)
    at_risk = np.flatnonzero(~protected.sent.protected)
    if codec.all_needed and (protected.count_decides or len(at_risk) <= ALL_MASKS_PACKETS):
        return 1, 1
    if not 0 < len(at_risk) <= ALL_MASKS_PACKETS:
        return 0, 0
    received = np.ones((1 << len(at_risk), len(protected.sent)), dtype=bool)
    received[:, at_risk] = all_masks(len(at_risk))
    usable = codec.usable(stream, protected.recover(received))
    masks, which = np.unique(usable, axis=0, return_inverse=True)
    trials = job.plan.trials if job.plan.precision_db is None else _PRECISION_TRIALS
    draws = trials * max(1, job.plan.slots // len(job.plan.image_names))
    possible, never = np.zeros(len(masks), dtype=bool), np.ones(len(masks))
    for one in rows:
        assert isinstance(one.channel, MarkovChannel)
        probability = np.bincount(which.reshape(-1), one.channel.mask_probabilities(len(at_risk)), len(masks))
        possible |= probability > 0
        never *= (1 - probability.clip(0, 1)) ** draws
    decodable = masks.any(axis=1)
    return int((possible & decodable).sum()), int(np.ceil((1 - never[decodable]).sum()))

"""``engine: auto``: which engine answers a scheme, decided once its streams are there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from netsim.channels.markov import MarkovChannel
from netsim.codec import Codec
from netsim.codec_calls import usable_packets
from netsim.decoding.masks import at_risk_packets, distinct_masks, usable_masks
from netsim.decoding.streams import stream_key_of
from netsim.engines import stratified
from netsim.engines.deciding import deciding_beginnings
from netsim.engines.exact import ALL_MASKS_PACKETS, MOST_PACKETS
from netsim.engines.stratified import LEAST_DECODINGS
from netsim.errors import placed
from netsim.protection.base import ProtectedStream
from netsim.protection.calls import protected_stream
from netsim.runs.context import RunContext
from netsim.scenario.engine import why_not
from netsim.scenario.plan import Plan, PlanRow, PlanRows

__all__ = ["resolve_engines"]

_PRECISION_TRIALS = 400  # what sampling to a stated precision is taken to need, before it is known
_NAMED = 4  # schemes in a sentence


def resolve_engines(context: RunContext) -> tuple[Plan, list[str]]:
    """Choose every row's engine.

    One engine for a scheme over all channels of a link, since one table of decoded masks answers them all:
    exact where that table is no larger than what sampling is expected to decode; stratified
    where there are too many masks for a table; array elsewhere; event where something feeds back.

    Args:
        context: The run's plan and cache; streams are encoded where the cache lacks them.

    Returns:
        The plan with an engine in each row; sentences that say which engine was chosen for which schemes, and why.
    """
    chosen: dict[int, str] = {}
    reasons: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for rows in _groups(context.plan.rows):
        with placed(rows[0].schemes[0].where):
            engine, reason, decodes = _choose(context, rows)
        chosen |= dict.fromkeys((row.index for row in rows), engine)
        reasons.setdefault((engine, reason), []).append((rows[0].label, decodes))
    sentences = [
        f"{engine} for {_named([label for label, _ in found])}: {reason}; {_expected([count for _, count in found])}"
        for (engine, reason), found in reasons.items()
    ]
    return context.plan.with_engines(chosen), sentences


def _named(labels: list[str]) -> str:
    names = list(dict.fromkeys(labels))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _expected(decodes: list[int]) -> str:
    points = f"{len(decodes)} operating point{'' if len(decodes) == 1 else 's'}"
    return f"{points}, about {sum(decodes):,} decodes an image in all" if sum(decodes) else points


def _groups(rows: PlanRows) -> Iterator[list[PlanRow]]:
    """The rows of each scheme and link over all channels."""
    for first in range(len(rows) // len(rows.channels)):
        yield rows.over_channels(first)


def _choose(context: RunContext, rows: list[PlanRow]) -> tuple[str, str, int]:
    """(engine, why, decodes expected of an image)."""
    row = rows[0]
    to_precision = context.plan.precision_db is not None
    reason = next(filter(None, (why_not("exact", one, to_precision) for one in rows)), "")
    exact, sampled, most = (0, 0, 0) if reason else _decodes(context, rows)
    if row.engine != "auto":
        return row.engine, "as asked", exact if row.engine == "exact" else sampled
    feeds_back = next(filter(None, (why_not("array", one, to_precision) for one in rows)), "")
    if feeds_back:
        return "event", feeds_back, 0
    if reason:
        return "array", reason, 0
    if exact == 0:
        if most > stratified.MOST_PACKETS:
            return "array", f"more than {stratified.MOST_PACKETS:,} packets", 0
        engine = "stratified" if context.plan.precision_db is None else "array"
        return engine, f"more than {ALL_MASKS_PACKETS} packets", 0
    if exact <= sampled:
        return "exact", "no more masks to decode than sampling meets", exact
    return "array", "more masks are possible than will be met", sampled


def _decodes(context: RunContext, rows: list[PlanRow]) -> tuple[int, int, int]:
    """What the image with the most packets at risk says: (decodes of the exact engine over all channels, decodes
    expected when sampling), 0 where unknown; and how many packets of it can be lost.

    Beyond ``ALL_MASKS_PACKETS`` packets the exact engine is taken where it decodes no more than a stratified sample,
    and where the log does not say when each packet arrives: there one mask stands for many.
    """
    plan = context.plan
    codec, protected, at_risk = _largest(context, rows[0])
    most = len(at_risk)
    many = most > ALL_MASKS_PACKETS
    if many and (plan.log == "packets" or most > MOST_PACKETS):
        return 0, 0, most
    if not most or (codec.all_needed and (protected.count_decides or not many)):
        return 1, 1, most
    if many:
        decodes = _deciding(codec, protected, at_risk)
        return (decodes, decodes, most) if decodes <= max(LEAST_DECODINGS, plan.trials) else (0, 0, most)
    masks = usable_masks(codec, protected.data, protected, at_risk)
    trials = plan.trials if plan.precision_db is None else _PRECISION_TRIALS
    draws = trials * max(1, plan.slots // len(plan.image_names))
    possible, never = np.zeros(len(masks.usable), dtype=bool), np.ones(len(masks.usable))
    for one in rows:
        assert isinstance(one.channel, MarkovChannel)
        probability = np.bincount(masks.which, one.channel.mask_probabilities(most), len(masks.usable))
        possible |= probability > 0
        never *= (1 - probability.clip(0, 1)) ** draws
    decodable = masks.decodable
    return int((possible & decodable).sum()), int(np.ceil((1 - never[decodable]).sum())), most


def _largest(context: RunContext, row: PlanRow) -> tuple[Codec, ProtectedStream, NDArray[np.int64]]:
    """The image of which most packets can be lost, the first of several: its codec, what is sent, which these are.

    One engine sends all images of a row, and its limits are numbers of packets.
    """
    scheme, cache = row.schemes[0], context.cache
    keys = [stream_key_of(context.plan, row, image, scheme) for image in range(len(context.plan.image_names))]
    streams = (protected_stream(scheme.protection, cache.encode(key)) for key in keys)
    found = max(((one, at_risk_packets(one)) for one in streams), key=lambda both: len(both[1]))
    return cache.codec(keys[0]), *found


def _deciding(codec: Codec, protected: ProtectedStream, at_risk: NDArray[np.int64]) -> int:
    """How many images a long stream can show if its first packets decide which; 0 if they do not."""
    stream = protected.data
    if len(protected.sent) > len(stream):
        return 0

    def usable(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        received = np.ones((len(masks), len(protected.sent)), dtype=bool)
        received[:, at_risk] = masks
        return usable_packets(codec, stream, protected.recover(received))

    found = deciding_beginnings(len(at_risk), usable)
    if found is None:
        return 0
    return int(distinct_masks(usable(found.masks))[0].any(axis=1).sum())

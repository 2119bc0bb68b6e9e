"""How many trials a row gets: a fixed number, or rounds until its mean PSNR is known closely enough."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from netsim.decoding.cases import case_qualities, row_stream_keys
from netsim.metrics.further import LOSSLESS_DB
from netsim.runs.context import RunContext
from netsim.runs.parts import PartKey, parts_of, read_part
from netsim.statistics.intervals import Estimate, batch_labels, clopper_pearson, quality_interval

__all__ = ["ENOUGH_LOSSY", "FIRST_TRIALS", "AdaptiveSampling", "greater_distance", "trials_wanted"]

FIRST_TRIALS = 32
ENOUGH_LOSSY = 12  # trials that lost packets: fewer tell too little of what losses cost and how many slots a burst hits
_NO_LIMIT = 2**62
_GROWTH = 4  # at most: one round's interval is itself uncertain


def greater_distance(mean: Estimate) -> float:
    """From the mean to the farther end; infinite where an end is unknown.

    Args:
        mean: A mean with its interval.

    Returns:
        In the unit of the mean.

    >>> greater_distance(Estimate(30.0, 29.0, 30.5))
    1.0
    """
    distance = max(mean.value - mean.low, mean.high - mean.value)
    return math.inf if math.isnan(mean.low + mean.high) else distance


def trials_wanted(
    distance_db: float,
    have: int,
    precision_db: float,
    limit: int,
    lossy: int = ENOUGH_LOSSY,
    failure_drop_db: float = 0,
) -> int:
    """How many trials a row gets in all.

    A sample whose losses happen to be few or cheap has a narrow interval about too good a mean: rounds that stopped at
    the first narrow interval would favour it. So with fewer than ``ENOUGH_LOSSY`` trials that lost packets the row goes
    on, until the precision would be reached if each of these trials, and of those that the sample may have missed by
    chance (Clopper–Pearson), showed no image at all.

    Args:
        distance_db: From the mean to the farther end of its interval.
        have: How many trials there are.
        precision_db: The distance that is asked for.
        limit: Most trials of a row.
        lossy: How many trials lost packets; ``ENOUGH_LOSSY`` where the channel loses none.
        failure_drop_db: By how much a failure lies below the mean.

    Returns:
        Trials in all: ``have`` if the precision is reached; else about as many as the distance asks for, at most four
        times as many, since one round's interval is itself uncertain.

    >>> trials_wanted(0.2, 32, 0.1, 100_000), trials_wanted(0.09, 32, 0.1, 100_000)
    (128, 32)
    >>> [trials_wanted(0.09, have, 0.1, 100_000, lossy=0, failure_drop_db=20) for have in (128, 512, 736)]
    [512, 809, 736]
    """
    if distance_db > precision_db:
        asked = have * (distance_db / precision_db) ** 2
    else:
        share = clopper_pearson(lossy / have, have)
        distance_db = failure_drop_db * (share.high - share.value)
        if lossy >= ENOUGH_LOSSY or distance_db <= precision_db:
            return have
        asked = have * min(distance_db / precision_db, ENOUGH_LOSSY / max(lossy, 1))
    return min(max(math.ceil(min(asked * 1.1, _GROWTH * have)), have + FIRST_TRIALS), _GROWTH * have, limit)


class AdaptiveSampling:
    """The parts of each round of transport. Without ``precision`` there is one round.

    With it, each round gives every row whose 95 % interval (batch means over trials) is still too wide, or which met
    too few losses, about as many trials as it lacks, up to the scenario's ``trials``: see ``trials_wanted``.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._parts: dict[int, list[PartKey]] = {}
        self._trials = dict.fromkeys((row.index for row in context.plan.rows), 0)
        self._half: dict[int, float] = {}
        # rows with a narrow interval that need more trials with losses: how many have some
        self._few: dict[int, int] = {}

    def next(self) -> list[PartKey]:
        """Parts of the next round.

        Returns:
            Keys; none when every row is done.
        """
        plan, found = self.context.plan, []
        for row in plan.rows:
            have = self._trials[row.index]
            want = self._wanted(row.index, have)
            if want > have:
                new = parts_of(plan, row, have, want)
                found += new
                self._parts.setdefault(row.index, []).extend(new)
                self._trials[row.index] = want
        return found

    def parts(self) -> Iterator[PartKey]:
        """All parts so far, in the order of the plan's rows and of trials.

        Yields:
            Their keys.
        """
        for row in sorted(self._parts):
            yield from self._parts[row]

    def _wanted(self, row: int, have: int) -> int:
        plan = self.context.plan
        if plan.rows[row].engine == "exact":
            return 1
        if plan.precision_db is None:
            return plan.trials
        if have == 0:
            return min(FIRST_TRIALS, plan.trials)
        mean, lossy = self._mean(row)
        self._half[row] = greater_distance(mean)
        asked = (self._half[row], have, plan.precision_db)
        want = trials_wanted(*asked, _NO_LIMIT, lossy, mean.value - plan.failure_db)
        self._few.pop(row, None)
        if want > have and self._half[row] <= plan.precision_db:
            self._few[row] = lossy
        return min(want, plan.trials)

    def _mean(self, row: int) -> tuple[Estimate, int]:
        """The row's mean PSNR so far with its 95 % interval as the summary has it, and how many trials lost packets."""
        plan = self.context.plan
        keys, found = row_stream_keys(plan, plan.rows[row]), dict[str, list[np.ndarray]]()
        for key in self._parts[row]:
            arrays = read_part(key.path(self.context.parts))
            quality = case_qualities(keys, arrays, self.context.cache, plan.metrics)["psnr_db"]
            slots = arrays["packet"] < 0
            failed = arrays["usable"][slots] == 0
            db = np.where(failed, plan.failure_db, np.minimum(quality[arrays["case"][slots]], LOSSLESS_DB))
            lost = arrays["lost"][slots] / np.maximum(arrays["sent"][slots], 1)
            columns = {"db": db, "failed": failed, "lost": lost} | {
                name: arrays[name][slots] for name in ("weight", "trial", "slot", "can_fail", "can_lose")
            }
            for name, values in columns.items():
                found.setdefault(name, []).append(values)
        whole = {name: np.concatenate(values) for name, values in found.items()}
        batch = batch_labels(whole["trial"].astype(np.int64), whole["slot"].astype(np.int64), len(plan.image_names))
        possible = [bool(whole[name].any()) for name in ("can_fail", "can_lose")]
        mean, _ = quality_interval(
            whole["db"], whole["failed"], whole["weight"], batch, whole["lost"], plan.failure_db, *possible
        )
        lossy = len(np.unique(whole["trial"][whole["lost"] > 0])) if possible[1] else ENOUGH_LOSSY
        return mean, lossy

    def report(self) -> list[str]:
        """What became of the asked precision, in sentences.

        Returns:
            No sentence where no precision was asked for.
        """
        plan = self.context.plan
        sampled = [row.index for row in plan.rows if row.engine != "exact"]
        if plan.precision_db is None or not sampled:
            return []
        wide = [row for row in sampled if self._half.get(row, math.inf) > plan.precision_db]
        most = max(self._trials[row] for row in sampled)
        missed = len(wide) + len(self._few)
        sentence = f"±{plan.precision_db:g} dB reached in {len(sampled) - missed} of {len(sampled)} sampled rows"
        if not missed:
            return [f"{sentence}, with {most:,} trials at most"]
        sentence += f"; {missed} stopped at the limit of {plan.trials:,} trials"
        if wide:
            sentence += f", the widest at ±{max(self._half[row] for row in wide):.3g} dB"
        if self._few:
            least = min(self._few.values())
            sentence += (
                f", {len(self._few)} with too few trials that lost packets (as few as {least} of {ENOUGH_LOSSY})"
            )
        return [sentence]

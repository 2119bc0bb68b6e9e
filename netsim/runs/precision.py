"""How many trials a row gets: a fixed number, or rounds until its mean PSNR is known closely enough."""

from __future__ import annotations

import math

import numpy as np

from netsim.metrics.intervals import mean_interval
from netsim.metrics.summary import LOSSLESS_DB
from netsim.runs.job import Job, workshop
from netsim.runs.log import case_qualities
from netsim.runs.transport import PartKey, parts_of, read_part

__all__ = ["FIRST_TRIALS", "Rounds"]

FIRST_TRIALS = 32
_GROWTH = 4  # at most: one round's interval is itself uncertain


class Rounds:
    """The parts of each round of transport. Without ``precision`` there is one round.

    With it, each round gives every row whose 95 % interval (batch means over trials) is still too wide about as many
    trials as its width asks for, up to the scenario's ``trials``.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.parts: list[PartKey] = []
        self._trials = dict.fromkeys((row.index for row in job.plan.rows), 0)
        self._half: dict[int, float] = {}

    def next(self) -> list[PartKey]:
        """Parts of the next round; empty when every row is done."""
        plan, found = self.job.plan, []
        for row in plan.rows:
            have = self._trials[row.index]
            want = self._wanted(row.index, have)
            if want > have:
                found += parts_of(plan, row, have, want)
                self._trials[row.index] = want
        self.parts += found
        return found

    def _wanted(self, row: int, have: int) -> int:
        plan = self.job.plan
        if plan.rows[row].engine == "exact":
            return 1
        if plan.precision_db is None:
            return plan.trials
        if have == 0:
            return min(FIRST_TRIALS, plan.trials)
        self._half[row] = self._half_width(row)
        if self._half[row] <= plan.precision_db:
            return have
        asked = math.ceil(have * (self._half[row] / plan.precision_db) ** 2 * 1.1)
        return min(max(asked, have + FIRST_TRIALS), _GROWTH * have, plan.trials)

    def _half_width(self, row: int) -> float:
        """Half of the 95 % interval of the row's mean PSNR, trials taken as independent."""
        values, weights, trials = [], [], []
        for key in (key for key in self.parts if key.row == row):
            arrays = read_part(key.path(self.job.parts))
            quality = case_qualities(self.job.plan, key, arrays, workshop(self.job.store_path))["psnr_db"]
            slots = arrays["packet"] < 0
            db = quality[arrays["case"][slots]]
            failed = arrays["usable"][slots] == 0
            values.append(np.where(failed, self.job.plan.failure_db, np.minimum(db, LOSSLESS_DB)))
            weights.append(arrays["weight"][slots])
            trials.append(arrays["trial"][slots])
        estimate = mean_interval(
            np.concatenate(values), np.concatenate(weights), np.concatenate(trials).astype(np.int64)
        )
        return (estimate.high - estimate.low) / 2

    def verdicts(self) -> list[str]:
        """What became of the asked precision, in sentences."""
        plan = self.job.plan
        sampled = [row.index for row in plan.rows if row.engine != "exact"]
        if plan.precision_db is None or not sampled:
            return []
        wide = [row for row in sampled if self._half.get(row, math.inf) > plan.precision_db]
        most = max(self._trials[row] for row in sampled)
        verdict = f"±{plan.precision_db:g} dB reached in {len(sampled) - len(wide)} of {len(sampled)} sampled rows"
        if not wide:
            return [f"{verdict}, with {most:,} trials at most"]
        worst = max(self._half[row] for row in wide)
        return [f"{verdict}; {len(wide)} stopped at the limit of {plan.trials:,} trials, the widest at ±{worst:.3g} dB"]

"""What a run leaves and says: a progress line, validation.csv, and the same as TensorBoard events beside it."""

from __future__ import annotations

import csv
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from netcodecs.training.clock import ActiveClock
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["RunLog"]


class RunLog(ABC):
    """A run's progress line, its validation curve (validation.csv) and its TensorBoard events.

    A family of codecs says what is in them: ``columns`` of the curve, and the five methods without a body.
    out: the run's folder. steps: of the checkpoint that the run goes on from; what was logged after it is taken away.
    every_s: seconds between two lines. Raises InputError if tensorboard isn't installed.
    """

    columns: ClassVar[tuple[str, ...]]

    def __init__(self, out: Path, *, steps: int = 0, every_s: float = 20.0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # seconds of import: only where training runs
        except ModuleNotFoundError as error:
            raise InputError(f"training needs {error.name}", hint=install_command("learned")) from None
        self.curve, self.every_s = out / "validation.csv", every_s
        self._events = SummaryWriter(str(out), purge_step=steps + 1)
        self._validated_at = self._rewind(steps)
        self._sums: list[tuple[Tensor, ...]] = []
        self._since = time.time()

    @abstractmethod
    def scalars(self, measured: Sequence[Tensor], seconds: float, trainer: Any) -> dict[str, float]:
        """What is told of some steps: ``measured`` are their values, stacked, on the processor; nan is left out."""

    @abstractmethod
    def line(self, scalars: dict[str, float], trainer: Any, left_s: float) -> str:
        """The progress line."""

    @abstractmethod
    def validated(self, trainer: Any, clock: ActiveClock, held_out: Sequence[Tensor]) -> list[dict[str, float]]:
        """Rows of the curve, of the weights as they are."""

    @abstractmethod
    def summary(self, rows: Sequence[dict[str, float]]) -> str:
        """The line about a validation."""

    @abstractmethod
    def tagged(self, row: dict[str, float]) -> dict[str, float]:
        """A row's values by the names of their TensorBoard curves."""

    def step(self, trainer: Any, clock: ActiveClock, measured: tuple[Tensor, ...]) -> None:
        """Gathers one step; every ``every_s`` tells the means since the last line."""
        self._sums.append(measured)
        if time.time() - self._since >= self.every_s:
            self._tell(trainer, clock)

    def validation(self, trainer: Any, clock: ActiveClock, held_out: Sequence[Tensor]) -> None:
        """Validates and adds rows to the curve, unless it has them."""
        if trainer.step_count == self._validated_at:
            return
        began = time.time()
        rows = self.validated(trainer, clock, held_out)
        at = {"steps": trainer.step_count, "active_s": round(clock.active_s, 1)}
        self._write([at | row for row in rows], "a")
        print(f"{datetime.now():%H:%M:%S}  {self.summary(rows)}", flush=True)
        for row in rows:
            for name, value in self.tagged(row).items():
                self._events.add_scalar(name, value, trainer.step_count)
        self._events.flush()
        self._validated_at = trainer.step_count
        self._since += time.time() - began  # no time in which pictures were learned from

    def close(self, trainer: Any, clock: ActiveClock) -> None:
        """Tells what was not told yet."""
        if self._sums:
            self._tell(trainer, clock)
        self._events.close()

    def _tell(self, trainer: Any, clock: ActiveClock) -> None:
        measured = [torch.stack(column).cpu() for column in zip(*self._sums, strict=True)]
        scalars = self.scalars(measured, max(time.time() - self._since, 1e-9), trainer)
        print(f"{datetime.now():%H:%M:%S}  {self.line(scalars, trainer, clock.left_s())}", flush=True)
        for name, value in scalars.items():
            if not math.isnan(value):
                self._events.add_scalar(f"training/{name}", value, trainer.step_count)
        self._sums, self._since = [], time.time()

    def _rewind(self, steps: int) -> int:
        """Leaves the curve's rows up to a step; returns the last step that is left, -1 if none."""
        if not self.curve.exists():
            return -1
        with self.curve.open(newline="") as file:
            rows = [row for row in csv.DictReader(file, restval="nan") if int(row["steps"]) <= steps]
        self._write(rows, "w")
        return max((int(row["steps"]) for row in rows), default=-1)

    def _write(self, rows: Sequence[dict[str, Any]], mode: str) -> None:
        fresh = mode == "w" or not self.curve.exists()
        with self.curve.open(mode, newline="") as file:
            writer = csv.DictWriter(file, ["steps", "active_s", *self.columns], extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)

"""What a run tells: a progress line, validation.csv, and the same as TensorBoard events beside it."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.trainer import Trainer
from netcodecs.training.validation import validate
from netsim.errors import InputError

__all__ = ["Log", "progress_line"]

_COLUMNS = ["steps", "active_s", "lambda", "bpp", "psnr_db", "loss", "lossy_psnr_db"]


def progress_line(scalars: dict[str, float], step: int, skipped: int, left_s: float) -> str:
    """One line about the steps since the last; psnr_db is nan while the hyperprior learns alone.

    >>> scalars = {"rate_bpp": 0.4, "psnr_db": 30.0, "loss": 1.2, "images_per_s": 2.5, "learning_rate": 4e-4}
    >>> progress_line(scalars, 1200, 0, 4000)
    'step 1,200   0.400 bpp  30.00 dB  loss 1.200   2.5 images/s  learning rate 4.0e-04   1 h 07 min left'
    """
    psnr = scalars["psnr_db"]
    quality = "hyperprior alone" if math.isnan(psnr) else f"{psnr:.2f} dB  loss {scalars['loss']:.3f}"
    return (
        f"step {step:,}   {scalars['rate_bpp']:.3f} bpp  {quality}   {scalars['images_per_s']:.1f} images/s  "
        f"learning rate {scalars['learning_rate']:.1e}   {duration(left_s)} left"
        + (f"   {skipped} skipped as spikes" if skipped else "")
    )


class Log:
    """The run's progress line, its validation curve (validation.csv) and its TensorBoard events.

    out: the run's folder. steps: of the checkpoint that the run goes on from; what was logged after it is taken away.
    every_s: seconds between two lines. Raises InputError if tensorboard isn't installed.
    """

    def __init__(self, out: Path, *, steps: int = 0, every_s: float = 20.0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # seconds of import: only where training runs
        except ModuleNotFoundError as error:
            raise InputError(f"training needs {error.name}", hint="install netsim[learned]") from None
        self.curve, self.every_s = out / "validation.csv", every_s
        self._events = SummaryWriter(str(out), purge_step=steps + 1)
        self._validated_at = self._rewind(steps)
        self._sums: list[tuple[Tensor, Tensor, Tensor]] = []
        self._since = time.time()

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
            writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)

    def step(self, trainer: Trainer, clock: ActiveClock, measured: tuple[Tensor, Tensor, Tensor]) -> None:
        """Gathers one step; every ``every_s`` tells the means since the last line."""
        self._sums.append(measured)
        if time.time() - self._since >= self.every_s:
            self._tell(trainer, clock)

    def _tell(self, trainer: Trainer, clock: ActiveClock) -> None:
        loss, bpp, mse = (torch.stack(column).cpu() for column in zip(*self._sums, strict=True))
        mse = mse[mse > 0]  # the hyperprior alone makes no picture
        scalars = {
            "loss": float(loss.mean()),
            "rate_bpp": float(bpp.mean()),
            "distortion_mse": 255**2 * float(mse.mean()),
            "psnr_db": -10 * float(torch.log10(mse).mean()),
            "images_per_s": bpp.numel() / max(time.time() - self._since, 1e-9),
            "learning_rate": trainer.optimisers["soap"].param_groups[0]["lr"],
        }
        line = progress_line(scalars, trainer.step_count, trainer.skipped, clock.left_s())
        print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)
        for name, value in scalars.items():
            if not math.isnan(value):
                self._events.add_scalar(f"training/{name}", value, trainer.step_count)
        self._sums, self._since = [], time.time()

    def validation(self, trainer: Trainer, clock: ActiveClock, pictures: Sequence[Tensor]) -> None:
        """Validates the weight average and adds a row per λ to the curve, unless it has them."""
        if trainer.step_count == self._validated_at:
            return
        began = time.time()
        rows = validate(trainer.average, pictures, clock.tick)
        at = {"steps": trainer.step_count, "active_s": round(clock.active_s, 1)}
        self._write([at | row for row in rows], "a")
        cells = "   ".join(f"{r['bpp']:.3f} bpp {r['psnr_db']:.2f} / {r['lossy_psnr_db']:.2f} dB" for r in rows)
        print(f"{datetime.now():%H:%M:%S}  validation, without / with losses   {cells}", flush=True)
        for row in rows:
            for name in ("bpp", "psnr_db", "lossy_psnr_db", "loss"):
                self._events.add_scalar(f"validation_{name}/lambda_{row['lambda']}", row[name], trainer.step_count)
        self._events.flush()
        self._validated_at = trainer.step_count
        self._since += time.time() - began  # no time in which pictures were learned from

    def close(self, trainer: Trainer, clock: ActiveClock) -> None:
        """Tells what was not told yet."""
        if self._sums:
            self._tell(trainer, clock)
        self._events.close()

"""What a run of the channel-progressive family tells of its steps and validations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.runlog import RunLog
from netcodecs.training.trainer import Trainer
from netcodecs.training.validation import validate

__all__ = ["Log", "progress_line"]


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


class Log(RunLog):
    """Rate, distortion and loss; validated at every λ, without and with losses."""

    columns = ("lambda", "bpp", "psnr_db", "loss", "lossy_psnr_db")

    def scalars(self, measured: Sequence[Tensor], seconds: float, trainer: Trainer) -> dict[str, float]:
        """measured: loss, bpp and MSE of each image."""
        loss, bpp, mse = measured
        mse = mse[mse > 0]  # the hyperprior alone makes no picture
        return {
            "loss": float(loss.mean()),
            "rate_bpp": float(bpp.mean()),
            "distortion_mse": 255**2 * float(mse.mean()),
            "psnr_db": -10 * float(torch.log10(mse).mean()),
            "images_per_s": bpp.numel() / seconds,
            "learning_rate": trainer.optimisers["soap"].param_groups[0]["lr"],
        }

    def line(self, scalars: dict[str, float], trainer: Trainer, left_s: float) -> str:
        """See :func:`progress_line`."""
        return progress_line(scalars, trainer.step_count, trainer.skipped, left_s)

    def validated(self, trainer: Trainer, clock: ActiveClock, held_out: Sequence[Tensor]) -> list[dict[str, float]]:
        """The weight average at every λ."""
        return validate(trainer.average, held_out, clock.tick)

    def summary(self, rows: Sequence[dict[str, float]]) -> str:
        """Rate and PSNR at every λ."""
        cells = "   ".join(f"{r['bpp']:.3f} bpp {r['psnr_db']:.2f} / {r['lossy_psnr_db']:.2f} dB" for r in rows)
        return f"validation, without / with losses   {cells}"

    def tagged(self, row: dict[str, float]) -> dict[str, float]:
        """One curve per λ."""
        names = ("bpp", "psnr_db", "lossy_psnr_db", "loss")
        return {f"validation_{name}/lambda_{row['lambda']}": row[name] for name in names}

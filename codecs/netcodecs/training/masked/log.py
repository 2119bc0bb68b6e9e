"""What a run of ResiComp tells of its steps and validations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from netcodecs.resicomp.transformer import MIDDLE_RATE
from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.masked.latents import known_tokens
from netcodecs.training.masked.losses import Measured, masked_losses, picture_losses
from netcodecs.training.masked.trainer import Trainer
from netcodecs.training.recipe import STRIDE
from netcodecs.training.runlog import RunLog

__all__ = ["KNOWN", "Log", "progress_line", "validate"]

KNOWN = (0.0, 0.3, 0.6, 0.9)


def _db(error: float) -> float:
    return -10 * math.log10(error) if error > 0 else math.nan


def _validation_lambda(lambdas: tuple[float, float]) -> float:
    """.0035, or the middle of a range that it is not in."""
    return MIDDLE_RATE if lambdas[0] <= MIDDLE_RATE <= lambdas[1] else math.sqrt(lambdas[0] * lambdas[1])


@torch.no_grad()
def validate(
    trainer: Trainer, held_out: Sequence[Tensor], each: Callable[[], object] = lambda: None
) -> list[dict[str, float]]:
    """Of the weight average, at one λ, with shares ``KNOWN`` of the tokens known, the same ones at every call.

    held_out: latents (h, w, M); pictures (1, 3, H, W) if the transforms learn, too. each: called after every picture.
    bpp: of tokens that are not known. concealed_db: PSNR of these, from latents; with transforms in training instead
    psnr_db and lossy_psnr_db of the whole picture, loss-free and concealed. nan: not measured.
    """
    rows = []
    lam = _validation_lambda(trainer.recipe.lambdas)
    for share in KNOWN:
        cells = []
        for number, one in enumerate(held_out):
            measured = _measured(trainer, one, share, number, torch.tensor([lam], device=trainer.device))
            cells.append((float(measured.bpp), _db(float(measured.mse)), _db(float(measured.concealed))))
            each()
        bpp, psnr, concealed = (sum(column) / len(cells) for column in zip(*cells, strict=True))
        row = {"lambda": lam, "known": share, "bpp": bpp, "psnr_db": psnr}
        through = trainer.recipe.transforms_too
        row["concealed_db"], row["lossy_psnr_db"] = (math.nan, concealed) if through else (concealed, math.nan)
        rows.append(row)
    return rows


def _measured(trainer: Trainer, one: Tensor, share: float, number: int, lam: Tensor) -> Measured:
    """One picture that is held out."""
    generator, masked = torch.Generator().manual_seed(number), torch.tensor([1 - share])
    if trainer.recipe.transforms_too:
        known = known_tokens(masked, one.shape[2] // STRIDE, one.shape[3] // STRIDE, generator)
        return picture_losses(trainer.average, trainer.average_backbone, one, known, trainer.spread, lam, None)
    whole = one[None, : one.shape[0] // 4 * 4, : one.shape[1] // 4 * 4].float()
    known = known_tokens(masked, whole.shape[1], whole.shape[2], generator)
    gain = trainer.backbone.gains(lam)[0][:, :, 0, 0]
    settings = (gain, trainer.spread, lam, trainer.factor, trainer.recipe.heads)
    return masked_losses(trainer.average, whole, known, *settings)


def progress_line(scalars: dict[str, float], step: int, skipped: int, left_s: float) -> str:
    """One line about the steps since the last; nan for what does not learn.

    >>> scalars = {"rate_bpp": 0.41, "psnr_db": math.nan, "concealed_db": 22.1, "loss": 1.2}
    >>> progress_line(scalars | {"crops_per_s": 25.0, "learning_rate": 4e-4}, 1200, 0, 4000)
    'step 1,200   0.410 bpp  22.10 dB concealed  loss 1.200   25.0 crops/s  learning rate 4.0e-04   1 h 07 min left'
    """
    kinds = (("rate_bpp", ".3f", "bpp"), ("psnr_db", ".2f", "dB"), ("concealed_db", ".2f", "dB concealed"))
    told = "  ".join(f"{scalars[name]:{form}} {unit}" for name, form, unit in kinds if not math.isnan(scalars[name]))
    return (
        f"step {step:,}   {told}  loss {scalars['loss']:.3f}   {scalars['crops_per_s']:.1f} crops/s  "
        f"learning rate {scalars['learning_rate']:.1e}   {duration(left_s)} left"
        + (f"   {skipped} skipped as spikes" if skipped else "")
    )


class Log(RunLog):
    """Rate of masked tokens and error of their concealment; validated with more and more tokens known."""

    columns = ("lambda", "known", "bpp", "concealed_db", "psnr_db", "lossy_psnr_db")

    def scalars(self, measured: Sequence[Tensor], seconds: float, trainer: Trainer) -> dict[str, float]:
        """measured: loss, bpp, MSE and concealed MSE of each crop."""
        loss, bpp, mse, concealed = measured
        means = [_db(float(error.double().mean())) for error in (mse, concealed)]
        return {
            "loss": float(loss.mean()),
            "rate_bpp": float(bpp.mean()),
            "distortion_mse": 255**2 * float(mse.mean()),
            "concealed_mse": 255**2 * float(concealed.mean()),
            "psnr_db": means[0],
            "concealed_db": means[1],
            "crops_per_s": loss.numel() / seconds,
            "learning_rate": trainer.optimisers["soap"].param_groups[0]["lr"],
        }

    def line(self, scalars: dict[str, float], trainer: Trainer, left_s: float) -> str:
        """See :func:`progress_line`."""
        return progress_line(scalars, trainer.step_count, trainer.spikes.skipped, left_s)

    def validated(self, trainer: Trainer, clock: ActiveClock, held_out: Sequence[Tensor]) -> list[dict[str, float]]:
        """See :func:`validate`."""
        return validate(trainer, held_out, clock.tick)

    def summary(self, rows: Sequence[dict[str, float]]) -> str:
        """Per share of known tokens."""
        units = {"bpp": "bpp", "psnr_db": "dB", "concealed_db": "dB concealed", "lossy_psnr_db": "dB concealed"}
        cells = []
        for row in rows:
            told = (
                f"{row[name]:.{3 if name == 'bpp' else 2}f} {unit}"
                for name, unit in units.items()
                if not math.isnan(row[name])
            )
            cells.append(f"{row['known']:.0%} " + " ".join(told))
        return "validation, tokens known   " + "   ".join(cells)

    def tagged(self, row: dict[str, float]) -> dict[str, float]:
        """One curve per share of known tokens."""
        names = [name for name in self.columns[2:] if not math.isnan(row[name])]
        return {f"validation_{name}/known_{row['known']:g}": row[name] for name in names}

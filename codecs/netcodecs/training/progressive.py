"""Training of the channel-progressive family's baseline: ``python -m netcodecs.training.progressive --help``.

One network learns all three λ of the paper: each batch holds every λ equally often. The run is given hours, not steps:
the learning rate follows the share of them that is used, so that it always ends low, on any machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import FULL_WIDTHS, LAMBDAS, Backbone, Coded, load_backbone
from netcodecs.training.checkpoint import load_tensors, optimiser_tensors, restore_optimiser, save_tensors
from netcodecs.training.crops import centre_crops, load_folder, random_crops
from netcodecs.training.soap import Soap
from netcodecs.training.start import lapped_start
from netsim.errors import InputError

__all__ = ["ActiveClock", "Recipe", "Trainer", "losses", "main", "validate"]


@dataclass(frozen=True)
class Recipe:
    """What defines a training run, apart from its pictures and its length.

    batch: crops per step, a multiple of the number of λ. crop: side in pixels, a multiple of 64.
    rate: learning rate for g_a, g_s; hyper_rate: for the hyperprior, the bottleneck and the gains;
    aux_rate: for the bottleneck's quantiles. warm: share of the run over which the rates rise.
    average: decay per step of the weight average that is validated and exported. bf16: autocast of g_a and g_s.
    """

    widths: tuple[int, int, int] = FULL_WIDTHS
    batch: int = 3
    crop: int = 192
    rate: float = 6e-4
    hyper_rate: float = 1e-3
    aux_rate: float = 1e-3
    warm: float = 0.02
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    bf16: bool = False


def losses(coded: Coded, picture: Tensor, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss λ·255²·MSE + bpp, its rate in bpp and its MSE (picture's range 0…1), each per image: three tensors (B,)."""
    bpp = coded.bits / (picture.shape[2] * picture.shape[3])
    mse = ((coded.picture - picture) ** 2).flatten(1).mean(1)
    return lam * 255**2 * mse + bpp, bpp, mse


@torch.no_grad()
def validate(backbone: Backbone, pictures: Sequence[Tensor]) -> list[dict[str, float]]:
    """Mean bpp, PSNR and loss over pictures (1, 3, H, W) at each λ: estimated bits, pictures clamped and rounded."""
    backbone.eval()
    rows = []
    for lam in LAMBDAS:
        cells = []
        for picture in pictures:
            lams = torch.tensor([lam], device=picture.device)
            coded = backbone(picture, lams)
            shown = Coded((coded.picture.clamp(0, 1) * 255).round() / 255, coded.bits)
            loss, bpp, mse = (float(v) for v in losses(shown, picture, lams))
            cells.append((bpp, -10 * math.log10(mse), loss))
        bpp, psnr, loss = (sum(column) / len(cells) for column in zip(*cells, strict=True))
        rows.append({"lambda": lam, "bpp": bpp, "psnr_db": psnr, "loss": loss})
    return rows


class ActiveClock:
    """Time that a run has really worked, and the share of its time that is used.

    A gap of more than ``gap_s`` between two ticks is a pause (the process was stopped, the machine slept): it does
    not count as work. ``stop_at`` (seconds of ``now``) is absolute: what a pause takes away from it is gone, and the
    share then rises faster, so that it is 1 at the stop in any case.
    """

    def __init__(
        self,
        budget_s: float,
        *,
        active_s: float = 0.0,
        stop_at: float | None = None,
        gap_s: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.budget_s, self.active_s, self.stop_at, self.gap_s, self._now = budget_s, active_s, stop_at, gap_s, now
        self._last = now()

    def tick(self) -> float:
        """Counts the time since the last tick; returns the share of the run that is over, 0…1."""
        now = self._now()
        if now - self._last <= self.gap_s:
            self.active_s += now - self._last
        self._last = now
        left = self.left_s()
        return 1.0 if left <= 0 else self.active_s / (self.active_s + left)

    def left_s(self) -> float:
        """Seconds of work left."""
        left = self.budget_s - self.active_s
        return left if self.stop_at is None else min(left, self.stop_at - self._last)


class Trainer:
    """A network, its optimisers, its weight average and its random numbers: everything that a checkpoint holds.

    start: a backbone of the recipe's widths to begin from; None: the lapped-transform start.
    Raises InputError if the batch does not divide by the number of λ, or the crop by 64.
    """

    def __init__(
        self, recipe: Recipe, pictures: Sequence[Tensor], device: str = "cpu", start: Backbone | None = None
    ) -> None:
        if recipe.batch % len(LAMBDAS) or recipe.crop % 64:
            raise InputError(
                f"batch {recipe.batch}, crop {recipe.crop}", hint="a batch divides by 3 (one per λ), a crop by 64"
            )
        torch.manual_seed(recipe.seed)  # initial weights and quantisation noise
        self.recipe, self.pictures, self.device = recipe, pictures, torch.device(device)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.backbone = Backbone(recipe.widths)
        if start is None:
            lapped_start(self.backbone, random_crops(pictures, 32, recipe.crop, self.generator).cpu())
        else:
            self.backbone.load_state_dict(start.state_dict())
        self.average = Backbone(recipe.widths)
        self.average.load_state_dict(self.backbone.state_dict())
        for module in (self.backbone, self.average):
            module.to(self.device)
            if recipe.bf16:
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._make_optimisers()
        self.step_count, self.skipped, self.usual_norm = 0, 0, 0.0
        self.lams = torch.tensor(LAMBDAS, device=self.device).repeat(recipe.batch // len(LAMBDAS))

    def _make_optimisers(self) -> None:
        """SOAP for the kernels, Adam for the rest and, on its own loss, for the bottleneck's quantiles."""
        kernels: dict[float, list[Tensor]] = {self.recipe.rate: [], self.recipe.hyper_rate: []}
        others: dict[float, list[Tensor]] = {self.recipe.rate: [], self.recipe.hyper_rate: []}
        quantiles = []
        for name, parameter in self.backbone.named_parameters():
            if "quantiles" in name:
                quantiles.append(parameter)
                continue
            transform = ".g_a." in name or ".g_s." in name
            kind = kernels if parameter.dim() == 4 else others
            kind[self.recipe.rate if transform else self.recipe.hyper_rate].append(parameter)
        grouped = [[{"params": p, "base": rate} for rate, p in kind.items()] for kind in (kernels, others)]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "soap": Soap(grouped[0], lr=self.recipe.rate),
            "adam": torch.optim.Adam(grouped[1], lr=self.recipe.rate, fused=True),
            "quantiles": torch.optim.Adam(quantiles, lr=self.recipe.aux_rate),
        }

    def _set_rates(self, share: float) -> None:
        """Cosine over the run to a hundredth of the rate, after a short rise."""
        factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        factor *= min(1.0, share / self.recipe.warm + 0.01)
        for name in ("soap", "adam"):
            for group in self.optimisers[name].param_groups:
                group["lr"] = group["base"] * factor

    def step(self, share: float) -> tuple[Tensor, Tensor, Tensor]:
        """One step at the given share of the run; returns loss, bpp and MSE of each image, (B,) each."""
        recipe = self.recipe
        self._set_rates(share)
        picture = random_crops(self.pictures, recipe.batch, recipe.crop, self.generator)
        picture = picture.to(self.device)
        self.backbone.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.bf16):
            coded = self.backbone(picture, self.lams)
        loss, bpp, mse = losses(coded, picture, self.lams)
        self.backbone.zero_grad(set_to_none=True)
        loss.mean().backward()
        norm = float(
            nn.utils.clip_grad_norm_([p for p in self.backbone.parameters() if p.grad is not None], recipe.clip)
        )
        if self._is_spike(norm):
            self.skipped += 1
        else:
            self.optimisers["soap"].step()
            self.optimisers["adam"].step()
        self.backbone.model.entropy_bottleneck.loss().backward()
        self.optimisers["quantiles"].step()
        self.step_count += 1
        self._update_average()
        return loss.detach(), bpp.detach(), mse.detach()

    def _is_spike(self, norm: float) -> bool:
        """Whether a gradient is not finite or ten times the usual one; else it counts towards the usual one."""
        if not math.isfinite(norm) or (self.step_count > 100 and norm > 10 * self.usual_norm):
            return True
        self.usual_norm = norm if self.usual_norm == 0 else 0.98 * self.usual_norm + 0.02 * norm
        return False

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step_count) / (10 + self.step_count))
        mine = [p for p in self.average.state_dict().values() if p.is_floating_point()]
        theirs = [p for p in self.backbone.state_dict().values() if p.is_floating_point()]
        torch._foreach_lerp_(mine, theirs, 1 - decay)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes everything that the next step depends on, and facts for the reader."""
        tensors = {f"model/{n}": t for n, t in self.backbone.state_dict().items()}
        tensors |= {f"average/{n}": t for n, t in self.average.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= optimiser_tensors(optimiser, name)
        tensors |= {"random": torch.get_rng_state(), "random_crops": self.generator.get_state()}
        tensors = {n: t for n, t in tensors.items() if t.numel()}  # entropy tables are empty until a codec is made
        counters = {"steps": self.step_count, "skipped": self.skipped, "usual_norm": self.usual_norm}
        save_tensors(path, tensors, facts | counters | {"recipe": asdict(self.recipe)})

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on exactly where a checkpoint of the same widths was written; returns its facts."""
        tensors, facts = load_tensors(path)
        for module, prefix in ((self.backbone, "model/"), (self.average, "average/")):
            state = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            module.load_state_dict(module.state_dict() | state)
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, tensors, name)
        torch.set_rng_state(tensors["random"])
        self.generator.set_state(tensors["random_crops"])
        self.step_count, self.skipped = facts["steps"], facts["skipped"]
        self.usual_norm = facts["usual_norm"]
        return facts


class Log:
    """The run's progress line, its validation curve (validation.csv) and its facts (run.json)."""

    def __init__(self, out: Path, every_s: float = 20.0) -> None:
        self.out, self.every_s = out, every_s
        self._sums: list[tuple[Tensor, Tensor, Tensor]] = []
        self._since = time.time()

    def step(self, trainer: Trainer, clock: ActiveClock, measured: tuple[Tensor, Tensor, Tensor]) -> None:
        """Gathers one step; every ``every_s`` prints the means since the last line."""
        self._sums.append(measured)
        elapsed = time.time() - self._since
        if elapsed < self.every_s:
            return
        loss, bpp, mse = (torch.stack(column).cpu() for column in zip(*self._sums, strict=True))
        psnr = -10 * torch.log10(mse).mean()
        speed = bpp.numel() / elapsed
        print(
            f"{datetime.now():%H:%M:%S}  step {trainer.step_count}  loss {loss.mean():.3f}  {bpp.mean():.3f} bpp  "
            f"{psnr:.2f} dB  {speed:.1f} images/s  rate {trainer.optimisers['soap'].param_groups[0]['lr']:.1e}  "
            f"skipped {trainer.skipped}  {clock.left_s() / 60:.0f} min left",
            flush=True,
        )
        self._sums, self._since = [], time.time()

    def validation(self, trainer: Trainer, clock: ActiveClock, pictures: Sequence[Tensor]) -> None:
        """Validates the weight average and adds a row per λ to the curve."""
        path = self.out / "validation.csv"
        rows = validate(trainer.average, pictures)
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["steps", "active_s", "lambda", "bpp", "psnr_db", "loss"])
            if fresh:
                writer.writeheader()
            for row in rows:
                writer.writerow({"steps": trainer.step_count, "active_s": round(clock.active_s, 1)} | row)
        text = "   ".join(f"{r['bpp']:.3f} bpp {r['psnr_db']:.2f} dB ({r['loss']:.3f})" for r in rows)
        print(f"validation  step {trainer.step_count}  {text}", flush=True)


def _fit(trainer: Trainer, clock: ActiveClock, log: Log, held_out: Sequence[Tensor], facts: dict[str, Any]) -> None:
    """Steps until the clock says stop, with a validation and a checkpoint every few minutes."""
    latest = log.out / "latest.safetensors"
    validated = saved = clock.active_s
    if trainer.step_count == 0:
        log.validation(trainer, clock, held_out)
    while (share := clock.tick()) < 1 or trainer.step_count == 0:  # however short the time, a run has learned something
        log.step(trainer, clock, trainer.step(min(share, 1.0)))
        if clock.active_s - saved > facts["checkpoint_s"]:
            trainer.save(latest, facts | {"active_s": clock.active_s})
            saved = clock.active_s
        if clock.active_s - validated > facts["validate_s"]:
            log.validation(trainer, clock, held_out)
            validated = clock.active_s
    trainer.save(latest, facts | {"active_s": clock.active_s})
    log.validation(trainer, clock, held_out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m netcodecs.training.progressive",
        description="Train the channel-progressive family's baseline (mbt2018-mean with gains).",
        epilog="example: … --images photos --validation held_out --hours 8 --out runs/mbt-mean",
    )
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of training pictures")
    parser.add_argument("--validation", type=Path, required=True, help="folder of pictures held out")
    parser.add_argument("--hours", type=float, required=True, help="length of the whole run, resumed parts included")
    parser.add_argument("--stop-at", help="local time at which to stop in any case, as 2026-01-31T23:00")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the logs")
    parser.add_argument("--start", type=Path, help="exported weights to begin from, in place of the lapped transform")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--widths", type=int, nargs=3, default=list(FULL_WIDTHS), help="channels of g_a's layers")
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--crop", type=int, default=Recipe.crop)
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="learning rate of the transforms")
    parser.add_argument("--hyper-rate", type=float, default=Recipe.hyper_rate)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--bf16", action="store_true", help="autocast; only where the processor has bfloat16")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def _hardware(device: str, threads: int) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {threads} threads"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    given.out.mkdir(parents=True, exist_ok=True)
    names = ("batch", "crop", "rate", "hyper_rate", "seed", "bf16")
    recipe = Recipe(widths=tuple(given.widths), **{name: getattr(given, name) for name in names})
    pictures = [p.to(given.device) for folder in given.images for p in load_folder(folder, at_least=recipe.crop)]
    held_out = [p.to(given.device) for p in centre_crops(load_folder(given.validation, at_least=64, limit=8))]
    start = load_backbone(given.start) if given.start else None
    trainer = Trainer(recipe, pictures, given.device, start)
    resumed = trainer.load(given.out / "latest.safetensors") if given.resume else {}
    facts = {
        "hours": given.hours,
        "pictures": len(pictures),
        "megapixels": sum(p[0].numel() for p in pictures) / 1e6,
        "start": given.start.name if given.start else "lapped transform",
        "hardware": _hardware(given.device, given.threads),
        "checkpoint_s": 180,
        "validate_s": 300,
    }
    (given.out / "run.json").write_text(json.dumps(facts | {"recipe": asdict(recipe)}, indent=1) + "\n")
    stop_at = datetime.fromisoformat(given.stop_at).timestamp() if given.stop_at else None
    clock = ActiveClock(given.hours * 3600, active_s=resumed.get("active_s", 0.0), stop_at=stop_at)
    _fit(trainer, clock, Log(given.out), held_out, facts)


if __name__ == "__main__":
    main()

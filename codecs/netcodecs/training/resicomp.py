"""Training of ResiComp's Transformer: ``netsim train resicomp --help``.

First stage: the progressive family's trained baseline gives the transforms, and its latents of all training pictures
are made once; the Transformer then learns from latents alone, thousands of times as many tokens an hour as through
g_a and g_s. The paper's loss with the concealed latent's error in place of the concealed picture's: the transform
began as an orthonormal one, and one factor, measured, brings the one to the other.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, M
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.resicomp.mixture import log_likelihood
from netcodecs.resicomp.transformer import COMPACT, DualTransformer
from netcodecs.training.checkpoint import load_tensors, optimiser_tensors, restore_optimiser, save_tensors
from netcodecs.training.clock import ActiveClock
from netcodecs.training.crops import load_folder
from netcodecs.training.soap import Soap
from netsim.errors import InputError

__all__ = ["Recipe", "Trainer", "error_factor", "latents_of", "main", "masked_losses", "usual_spread", "validate"]

_STRIDE = 16
_MIDDLE_RATE = 0.0035


@dataclass(frozen=True)
class Recipe:
    """batch: crops per step, of side × side tokens. rate: learning rate. lambdas: range of λ, drawn log-uniformly.

    alpha: weight of the concealment's error (ResiComp, Eq. 12). average: decay per step of the weight average.
    """

    batch: int = 8
    side: int = 16
    rate: float = 1e-3
    lambdas: tuple[float, float] = (0.001, 0.0067)
    alpha: float = 0.1
    average: float = 0.998
    clip: float = 1.0
    warm: float = 0.03
    seed: int = 0


@torch.no_grad()
def latents_of(backbone: Backbone, pictures: Sequence[Tensor]) -> list[Tensor]:
    """Each picture's latent before its gain, float16 (h, w, M). pictures: uint8 (3, H, W)."""
    made = []
    for picture in pictures:
        height, width = (n // _STRIDE * _STRIDE for n in picture.shape[1:])
        latent = backbone.model.g_a(picture[None, :, :height, :width].float() / 255)
        made.append(latent[0].permute(1, 2, 0).half().contiguous())
    return made


def usual_spread(latents: Sequence[Tensor]) -> Tensor:
    """Root mean square of each channel, (M,)."""
    squares = sum(latent.float().square().flatten(0, 1).sum(0) for latent in latents)
    assert isinstance(squares, Tensor)
    return (squares / sum(latent.shape[0] * latent.shape[1] for latent in latents)).sqrt().clamp(min=1e-3)


@torch.no_grad()
def error_factor(backbone: Backbone, latents: Sequence[Tensor], seed: int = 0) -> float:
    """Squared error of the picture (range 0…1, a mean over samples) per squared error of the latent, a sum over a
    token: how much an error in the latent shows, on average over channels in proportion to their spread."""
    generator = torch.Generator().manual_seed(seed)
    latent = torch.stack([one[:16, :16] for one in latents[:8]]).float().permute(0, 3, 1, 2)
    _, inverse = backbone.gains(torch.tensor([_MIDDLE_RATE]))
    gain = backbone.gains(torch.tensor([_MIDDLE_RATE]))[0]
    noise = 0.1 * latent.std((0, 2, 3), keepdim=True) * torch.randn(latent.shape, generator=generator)
    pictures = [backbone.model.g_s(some * gain * inverse) for some in (latent, latent + noise)]
    return float((pictures[1] - pictures[0]).square().mean() / noise.square().sum(1).mean())


def masked_losses(
    network: DualTransformer, latent: Tensor, known: Tensor, gain: Tensor, spread: Tensor, lam: Tensor, factor: float
) -> tuple[Tensor, Tensor]:
    """Of the tokens that are not known: bits per pixel (B,), and the squared error of their concealment as a picture's
    mean (B,).

    latent: before the gain, (B, h, w, M). known: bool (B, h, w). gain: (B, M). lam: (B,).
    """
    steps = (gain * spread)[:, None, None]  # quantisation steps in a channel's usual spread
    symbols = torch.round(latent * gain[:, None, None])
    hidden = network.hidden(symbols / steps, known, torch.log(lam / _MIDDLE_RATE))
    wanted = ~known
    logits, means, scales = network.densities(hidden[wanted])
    each = steps.expand(symbols.shape)[wanted]
    bits = -log_likelihood(symbols[wanted], logits, means * each[:, None], scales * each[:, None]).sum(1) / math.log(2)
    off = ((network.values(hidden[wanted]) - (latent / spread)[wanted]) * spread).square().sum(1) * factor
    image = torch.nonzero(wanted)[:, 0]
    count = torch.bincount(image, minlength=len(latent)).clamp(min=1)
    sums = [torch.zeros(len(latent)).index_add(0, image, value) / count for value in (bits, off)]
    return sums[0] / _STRIDE**2, sums[1]


class Trainer:
    """The Transformer, its optimisers and its average. latents: of all training pictures."""

    def __init__(self, recipe: Recipe, backbone: Backbone, latents: Sequence[Tensor]) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.backbone, self.latents = recipe, backbone, latents
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.areas = torch.tensor([float(one.shape[0] * one.shape[1]) for one in latents])
        self.spread, self.factor = usual_spread(latents), error_factor(backbone, latents)
        self.network, self.average = DualTransformer(M, COMPACT), DualTransformer(M, COMPACT)
        self.average.load_state_dict(self.network.state_dict())
        matrices = [p for p in self.network.parameters() if p.dim() == 2]
        others = [p for p in self.network.parameters() if p.dim() != 2]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "soap": Soap(matrices, lr=recipe.rate),
            "adam": torch.optim.Adam(others, lr=recipe.rate),
        }
        self.step_count = 0

    def _crops(self) -> Tensor:
        side = self.recipe.side
        chosen = torch.multinomial(self.areas, self.recipe.batch, replacement=True, generator=self.generator)
        crops = []
        for index in chosen.tolist():
            latent = self.latents[index]
            top, left = (int(torch.randint(n - side + 1, (1,), generator=self.generator)) for n in latent.shape[:2])
            crops.append(latent[top : top + side, left : left + side])
        return torch.stack(crops).float()

    def step(self, share: float) -> tuple[float, float]:
        """One step at the given share of the run; returns the mean bpp of what was masked and its PSNR, concealed."""
        recipe = self.recipe
        factor = (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))) * min(1.0, share / recipe.warm + 0.01)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * factor
        latent = self._crops()
        low, high = (math.log(lam) for lam in recipe.lambdas)
        lam = torch.exp(low + (high - low) * torch.rand(recipe.batch, generator=self.generator))
        shares = torch.rand(recipe.batch, 1, 1, generator=self.generator)
        known = torch.rand(latent.shape[:3], generator=self.generator) >= shares
        gain = self.backbone.gains(lam)[0].detach()[:, :, 0, 0]
        bpp, error = masked_losses(self.network, latent, known, gain, self.spread, lam, self.factor)
        loss = (bpp + recipe.alpha * lam * 255**2 * error).mean()
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        if math.isfinite(float(norm)):
            for optimiser in self.optimisers.values():
                optimiser.step()
        self.step_count += 1
        self._update_average()
        return float(bpp.detach().mean()), -10 * math.log10(float(error.detach().mean()))

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step_count) / (10 + self.step_count))
        mine, theirs = list(self.average.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes everything that the next step depends on."""
        tensors = {f"model/{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"average/{n}": t for n, t in self.average.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= optimiser_tensors(optimiser, name)
        tensors |= {"random": self.generator.get_state(), "spread": self.spread}
        counters = {"steps": self.step_count, "recipe": asdict(self.recipe), "factor": self.factor}
        save_tensors(path, tensors, facts | counters)

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on exactly where a checkpoint was written; returns its facts. Raises InputError if there is none."""
        if not path.is_file():
            raise InputError(f"no checkpoint at {path}", hint="begin without --resume")
        tensors, facts = load_tensors(path)
        for module, prefix in ((self.network, "model/"), (self.average, "average/")):
            module.load_state_dict({n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)})
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, tensors, name)
        self.generator.set_state(tensors["random"])
        self.spread, self.factor, self.step_count = tensors["spread"], facts["factor"], facts["steps"]
        return facts


@torch.no_grad()
def validate(trainer: Trainer, latents: Sequence[Tensor]) -> list[dict[str, float]]:
    """With 0, 10, … 90 % of the tokens known: bpp of the others and PSNR of their concealment, at λ = .0035."""
    rows = []
    lam = torch.tensor([_MIDDLE_RATE])
    gain = trainer.backbone.gains(lam)[0][:, :, 0, 0]
    for tenths in range(0, 10, 3):
        cells = []
        for number, latent in enumerate(latents):
            whole = latent[None, : latent.shape[0] // 4 * 4, : latent.shape[1] // 4 * 4].float()
            known = torch.rand(whole.shape[:3], generator=torch.Generator().manual_seed(number)) < tenths / 10
            bpp, error = masked_losses(trainer.average, whole, known, gain, trainer.spread, lam, trainer.factor)
            cells.append((float(bpp), -10 * math.log10(float(error))))
        bpp_mean, psnr = (sum(column) / len(cells) for column in zip(*cells, strict=True))
        rows.append({"known": tenths / 10, "bpp": bpp_mean, "concealed_db": psnr})
    return rows


def _fit(trainer: Trainer, clock: ActiveClock, out: Path, held_out: Sequence[Tensor], facts: dict[str, Any]) -> None:
    sums: list[tuple[float, float]] = []
    said = checked = time.time()
    _validated(trainer, clock, out, held_out)
    while (share := clock.tick()) < 1:
        sums.append(trainer.step(share))
        if time.time() - said > 20:
            bpp, psnr = (sum(column) / len(sums) for column in zip(*sums, strict=True))
            left = clock.left_s() / 60
            print(f"step {trainer.step_count}  {bpp:.4f} bpp  {psnr:.2f} dB concealed  {left:.0f} min left", flush=True)
            sums, said = [], time.time()
        if time.time() - checked > 240:
            trainer.save(out / "latest.safetensors", facts | {"active_s": clock.active_s})
            _validated(trainer, clock, out, held_out)
            checked = time.time()
    trainer.save(out / "latest.safetensors", facts | {"active_s": clock.active_s})
    _validated(trainer, clock, out, held_out)


def _validated(trainer: Trainer, clock: ActiveClock, out: Path, held_out: Sequence[Tensor]) -> None:
    path = out / "validation.csv"
    rows = validate(trainer, held_out)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, ["steps", "active_s", "known", "bpp", "concealed_db"])
        if fresh:
            writer.writeheader()
        for row in rows:
            writer.writerow({"steps": trainer.step_count, "active_s": round(clock.active_s, 1)} | row)
    text = "   ".join(f"{row['known']:.0%} {row['bpp']:.4f} bpp {row['concealed_db']:.2f} dB" for row in rows)
    print(f"validation  step {trainer.step_count}  {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    parser = argparse.ArgumentParser(prog="netsim train resicomp", description="Train ResiComp's Transformer.")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of training pictures")
    parser.add_argument("--validation", type=Path, required=True, help="folder of pictures held out")
    parser.add_argument("--hours", type=float, required=True, help="length of the whole run, resumed parts included")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the logs")
    parser.add_argument("--transforms", type=Path, help="weights of mbt-mean [what ships]")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--rate", type=float, default=Recipe.rate)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    backbone = load_weights(given.transforms or shipped_weights("mbt-mean"))[0]
    side = Recipe.side * _STRIDE
    pictures = [picture for folder in given.images for picture in load_folder(folder, at_least=side)]
    latents = latents_of(backbone, pictures)
    held_out = latents_of(backbone, load_folder(given.validation, at_least=side, limit=6))
    recipe = Recipe(batch=given.batch, rate=given.rate)
    trainer = Trainer(recipe, backbone, latents)
    given.out.mkdir(parents=True, exist_ok=True)
    resumed = trainer.load(given.out / "latest.safetensors") if given.resume else {}
    facts = {"hours": given.hours, "pictures": len(pictures), "megapixels": sum(p[0].numel() for p in pictures) / 1e6}
    (given.out / "run.json").write_text(json.dumps(facts | {"recipe": asdict(recipe)}, indent=1) + "\n")
    clock = ActiveClock(given.hours * 3600, active_s=resumed.get("active_s", 0.0))
    _fit(trainer, clock, given.out, held_out, facts)


if __name__ == "__main__":
    main()

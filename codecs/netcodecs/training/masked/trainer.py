"""ResiComp in training: its Transformer, on request its transforms, their optimisers and averages, and a step."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, M
from netcodecs.resicomp.transformer import COMPACT, PAPER, DualTransformer, Size
from netcodecs.resicomp.weights import of_transforms
from netcodecs.training.checkpoint import load_tensors, optimiser_tensors, restore_optimiser, save_tensors
from netcodecs.training.crops import areas_of, random_crops
from netcodecs.training.latents import areas_in, latents_of, random_tokens
from netcodecs.training.masked.latents import error_factor, known_tokens, usual_spread
from netcodecs.training.masked.losses import Measured, masked_losses, picture_losses
from netcodecs.training.masked.recipe import Recipe, differing, recipe_in
from netcodecs.training.masked.transforms import below
from netcodecs.training.recipe import STRIDE
from netcodecs.training.soap import Soap
from netcodecs.training.steps import Spikes, follow, rate_factor
from netcodecs.training.trainer import in_single_precision
from netsim.errors import InputError

__all__ = ["NETWORK_SIZES", "Trainer"]

NETWORK_SIZES: dict[str, Size] = {"compact": COMPACT, "paper": PAPER}
_MEASURED = 64  # pictures on which latents are measured, where these aren't learned from; 8 where they were before
_LAMBDA_WARM_UP = 10.0  # times λ (ResiComp, §V-A)


class Trainer:
    """Everything that a checkpoint holds, and one step of it.

    pictures: uint8 (3, H, W), of at least a crop; on the device if the transforms learn, too. backbone: the transforms
    to begin from; its latents are made here. start: Transformer and spread to begin from; None: a fresh one.
    Raises InputError if the recipe can't be run.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: Sequence[Tensor],
        backbone: Backbone,
        device: str = "cpu",
        start: tuple[dict[str, Tensor], Tensor] | None = None,
    ) -> None:
        torch.manual_seed(recipe.checked().seed)  # initial weights
        self.recipe, self.device = recipe, torch.device(device)
        low, high = backbone.lambdas[0], backbone.lambdas[-1]
        if len(backbone.lambdas) > 1 and not low <= recipe.lambdas[0] <= recipe.lambdas[1] <= high:
            raise InputError(f"λ from {recipe.lambdas[0]:g} to {recipe.lambdas[1]:g}", hint=f"from {low} to {high}")
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.backbone = copy.deepcopy(backbone).to(self.device)
        self.pictures = pictures if recipe.transforms_too else []
        at_most = (8 if start else _MEASURED) if recipe.transforms_too else len(pictures)
        self.latents = latents_of(self.backbone, pictures[:: -(-len(pictures) // at_most)], device)
        self.areas = areas_of(pictures) if recipe.transforms_too else areas_in(self.latents)
        self.spread, self.factor = usual_spread(self.latents), error_factor(self.backbone, self.latents)
        self.network = DualTransformer(M, NETWORK_SIZES[recipe.size])
        if start is not None:
            self.network.load_state_dict(start[0])
            self.spread = start[1].to(self.device)
        self.network.to(self.device)
        self.average, self.average_backbone = copy.deepcopy(self.network), copy.deepcopy(self.backbone)
        self.optimisers = self._optimisers()
        if recipe.transforms_too:
            in_single_precision(self.backbone, self.device.type)
        self.step_count, self.spikes = 0, Spikes()

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """SOAP for the Transformer's matrices, Adam for the rest of it and for the transforms."""
        matrices = [p for p in self.network.parameters() if p.dim() == 2]
        others = [p for p in self.network.parameters() if p.dim() != 2]
        made: dict[str, torch.optim.Optimizer] = {
            "soap": Soap(matrices, lr=self.recipe.rate),
            "adam": torch.optim.Adam(others, lr=self.recipe.rate),
        }
        self.learning: list[nn.Parameter] = [*matrices, *others]
        if self.recipe.transforms_too:
            used = set(of_transforms(self.backbone))
            transforms = [p for name, p in self.backbone.named_parameters() if name in used]
            made["transforms"] = torch.optim.Adam(transforms, lr=self.recipe.transforms_rate)
            self.learning += transforms
        return made

    def step(self, share: float) -> tuple[Tensor, ...]:
        """One step at the given share of the run; returns loss, bpp, MSE and concealed MSE of each image, (B,) each."""
        recipe = self.recipe
        for name, optimiser in self.optimisers.items():
            highest = recipe.transforms_rate if name == "transforms" else recipe.rate
            for group in optimiser.param_groups:
                group["lr"] = highest * rate_factor(share, recipe.warm)
        measured, lam = self._measured()
        loss = self._loss(measured, lam * (_LAMBDA_WARM_UP if share < recipe.lambda_warm_up else 1.0))
        for parameter in self.learning:
            parameter.grad = None
        loss.mean().backward()
        norm = float(nn.utils.clip_grad_norm_([p for p in self.learning if p.grad is not None], recipe.clip))
        if not self.spikes.is_one(norm, self.step_count):
            for optimiser in self.optimisers.values():
                optimiser.step()
        self.step_count += 1
        follow(self.average.parameters(), self.network.parameters(), recipe.average, self.step_count)
        if recipe.transforms_too:
            mine, theirs = (of_transforms(b).values() for b in (self.average_backbone, self.backbone))
            follow(mine, theirs, recipe.average, self.step_count)
        values = (loss, measured.bpp, measured.mse, measured.concealed)
        return tuple(value.detach() for value in values)

    def _measured(self) -> tuple[Measured, Tensor]:
        """A batch's losses and its λ."""
        recipe, side = self.recipe, self.recipe.side
        if recipe.transforms_too:
            tokens = random_crops(self.pictures, recipe.batch, side * STRIDE, self.generator, self.areas)
        else:
            tokens = random_tokens(self.latents, recipe.batch, side, self.generator, self.areas)
        low, high = (math.log(lam) for lam in recipe.lambdas)
        lam = torch.exp(low + (high - low) * torch.rand(recipe.batch, generator=self.generator))
        lam = lam.clamp(*recipe.lambdas).to(self.device)
        shares = torch.rand(recipe.batch, generator=self.generator)
        known = known_tokens(shares, side, side, self.generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.bf16):
            if recipe.transforms_too:
                noise = torch.rand(recipe.batch, side, side, M, generator=self.generator).to(self.device) - 0.5
                picture = tokens.to(self.device)
                return picture_losses(self.network, self.backbone, picture, known, self.spread, lam, noise), lam
            gain = self.backbone.gains(lam)[0].detach()[:, :, 0, 0]
            heads = (self.network, tokens, known, gain, self.spread, lam, self.factor, recipe.heads)
            return masked_losses(*heads), lam

    def _loss(self, measured: Measured, lam: Tensor) -> Tensor:
        """rate + λ·255²·(MSE + α·concealed MSE), of those that are measured (ResiComp, Eq. 12; α undivided)."""
        parts = {"bpp": measured.bpp, "concealed": self.recipe.alpha * lam * 255**2 * measured.concealed}
        if self.recipe.heads != "both":
            return parts["bpp" if self.recipe.heads == "density" else "concealed"]
        both = parts["bpp"] + parts["concealed"]
        return both + lam * 255**2 * measured.mse if self.recipe.transforms_too else both

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes everything that the next step depends on."""
        tensors = {f"model/{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"average/{n}": t for n, t in self.average.state_dict().items()}
        tensors |= {f"transforms/{n}": t for n, t in of_transforms(self.backbone).items()}
        if self.recipe.transforms_too:
            tensors |= {f"average_transforms/{n}": t for n, t in of_transforms(self.average_backbone).items()}
        for name, optimiser in self.optimisers.items():
            tensors |= optimiser_tensors(optimiser, f"optimiser_{name}" if name == "transforms" else name)
        tensors |= {"random": self.generator.get_state(), "spread": self.spread}
        counters = {"steps": self.step_count, "factor": self.factor}
        counters |= {"skipped": self.spikes.skipped, "usual_norm": self.spikes.usual_norm}
        save_tensors(path, tensors, facts | counters | {"recipe": asdict(self.recipe)})

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on exactly where a checkpoint of the same recipe was written; returns its facts.

        Exactly: with the same pictures and number of threads, bit for bit on a processor.
        Raises InputError if there is no checkpoint, or one of another recipe.
        """
        tensors, facts = load_tensors(path)
        if differences := differing(recipe_in(facts, path), asdict(self.recipe)):
            raise InputError(f"{path} was trained with {differences}", hint="resume with the same settings")
        modules: dict[str, nn.Module] = {"model/": self.network, "average/": self.average}
        modules |= {"transforms/": self.backbone, "average_transforms/": self.average_backbone}
        for prefix, module in modules.items():
            module.load_state_dict(module.state_dict() | below(tensors, prefix))
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, tensors, f"optimiser_{name}" if name == "transforms" else name)
        self.generator.set_state(tensors["random"])
        self.spread, self.factor = tensors["spread"].to(self.device), facts["factor"]
        self.step_count = facts["steps"]
        self.spikes.skipped, self.spikes.usual_norm = facts["skipped"], facts["usual_norm"]
        return facts

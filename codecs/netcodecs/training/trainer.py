"""A network in training: its optimisers, its weight average, and a step of all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import LAMBDAS, Backbone, Fate, M
from netcodecs.progressive.methods import method_named
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.training.begin import begun, prepare
from netcodecs.training.checkpoint import load_tensors, optimiser_tensors, restore_optimiser, save_tensors
from netcodecs.training.crops import areas_of, random_crops
from netcodecs.training.fates import sample_fate
from netcodecs.training.latents import areas_in, latents_of, random_tokens
from netcodecs.training.means import tell_means
from netcodecs.training.ordering import in_order, put_in_order
from netcodecs.training.recipe import HYPER_CROPS, STRIDE, Recipe, differing, recipe_in
from netcodecs.training.soap import Soap
from netcodecs.training.start import lapped_start
from netcodecs.training.steps import Spikes, follow, rate_factor
from netcodecs.training.validation import losses
from netsim.errors import InputError

__all__ = ["Trainer", "in_single_precision", "network_of"]

_MASK_PATH = ("aggregation.first", "aggregation.second")
_OF_MASK = 0.02  # of the rate: nearly all of a mask is ones, so that all steps of its 1,728 weights add up


class Trainer:
    """A network, its optimisers, its weight average and its random numbers: everything that a checkpoint holds.

    start: a trained baseline of the recipe's widths that the method begins from; None: the lapped-transform start.
    own: start is a network of the method's own kind, taken as it is.
    Raises InputError if the recipe can't be run.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: Sequence[Tensor],
        device: str = "cpu",
        start: Backbone | None = None,
        *,
        own: bool = False,
    ) -> None:
        torch.manual_seed(recipe.checked().seed)  # initial weights and quantisation noise
        self.recipe, self.pictures, self.device = recipe, pictures, torch.device(device)
        self.areas = areas_of(pictures)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.method = method_named(recipe.method)
        self.backbone = self._first(start, own)
        self.average = network_of(recipe)
        self.average.load_state_dict(self.backbone.state_dict())
        for module in (self.backbone, self.average):
            module.to(self.device)
            if recipe.bf16 or self.device.type == "cuda":
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        in_single_precision(self.backbone, self.device.type)
        self._latents: list[Tensor] = []
        self._make_optimisers()
        self.step_count, self.spikes = 0, Spikes()
        self.lams = torch.tensor(LAMBDAS, device=self.device).repeat(recipe.batch // len(LAMBDAS))

    def _first(self, start: Backbone | None, own: bool) -> Backbone:
        """The network before its first step."""
        crops = random_crops(self.pictures, 32, self.recipe.crop, self.generator).cpu()
        if start is None:
            start = Backbone(self.recipe.widths)
            lapped_start(start, crops)
        parts = crops.split(8)
        network = network_of(self.recipe)
        network.load_state_dict((start if own else begun(start, self.method, parts)).state_dict())
        if tell_means(network, [network.model.g_a(part).detach() for part in parts]) and self.method.tail_drop:
            put_in_order(network, torch.arange(M), in_order(network, parts)[1])
        if self.method.mca and not own:
            prepare(network, self.method.losses, parts)
        return network

    def _make_optimisers(self) -> None:
        """SOAP for the kernels, Adam for the rest and, on its own loss, for the bottleneck's quantiles.

        The mask's layers are no matter for SOAP: masks are much alike, and directions without gradient make leaps.
        """
        kernels: defaultdict[float, list[Tensor]] = defaultdict(list)
        others: defaultdict[float, list[Tensor]] = defaultdict(list)
        quantiles = []
        for name, parameter in self.backbone.named_parameters():
            if "quantiles" in name:
                quantiles.append(parameter)
                continue
            transform = ".g_a." in name or ".g_s." in name or name.startswith("aggregation.")
            rate = self.recipe.rate if transform else self.recipe.hyper_rate
            if name.startswith(_MASK_PATH):
                others[rate * _OF_MASK].append(parameter)
            else:
                (kernels if parameter.dim() == 4 else others)[rate].append(parameter)
        grouped = [[{"params": p, "base": rate} for rate, p in kind.items()] for kind in (kernels, others)]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "soap": Soap(grouped[0], lr=self.recipe.rate),
            "adam": torch.optim.Adam(grouped[1], lr=self.recipe.rate, fused=True),
            "quantiles": torch.optim.Adam(quantiles, lr=self.recipe.aux_rate),
        }

    def _set_rates(self, share: float) -> None:
        """Cosine over the run to a hundredth of the rate, after a short rise."""
        factor = rate_factor(share, self.recipe.warm)
        for name in ("soap", "adam"):
            for group in self.optimisers[name].param_groups:
                group["lr"] = group["base"] * factor

    def step(self, share: float) -> tuple[Tensor, Tensor, Tensor]:
        """One step at the given share of the run; returns loss, bpp and MSE of each image, (B,) each."""
        recipe = self.recipe
        self._set_rates(share)
        self.backbone.train()
        self.backbone.zero_grad(set_to_none=True)
        if share < recipe.hyper_first or recipe.hyper_first == 1:
            loss, bpp, mse = self._hyperprior_alone()
        else:
            self._latents = []
            picture = random_crops(self.pictures, recipe.batch, recipe.crop, self.generator, self.areas)
            picture = picture.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.bf16):
                coded = self.backbone(picture, self.lams, self._fate(recipe.batch))
                loss, bpp, mse = losses(coded, picture, self.lams)
        loss.mean().backward()
        norm = float(
            nn.utils.clip_grad_norm_([p for p in self.backbone.parameters() if p.grad is not None], recipe.clip)
        )
        if not self.spikes.is_one(norm, self.step_count):
            self.optimisers["soap"].step()
            self.optimisers["adam"].step()
        self.backbone.model.entropy_bottleneck.loss().backward()
        self.optimisers["quantiles"].step()
        self.step_count += 1
        follow(self.average.state_dict().values(), self.backbone.state_dict().values(), recipe.average, self.step_count)
        return loss.detach(), bpp.detach(), mse.detach()

    def _fate(self, count: int) -> Fate | None:
        fate = sample_fate(self.method, count, self.generator)
        return None if fate is None else fate.to(self.device)

    def _hyperprior_alone(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rate as loss, g_a as it is and no picture (MSE 0)."""
        if not self._latents:
            self._latents = latents_of(self.backbone, self.pictures, self.device)
        count, side = self.recipe.batch * HYPER_CROPS, self.recipe.crop // STRIDE
        with torch.no_grad():
            tokens = random_tokens(self._latents, count, side, self.generator, areas_in(self._latents))
            latent = tokens.permute(0, 3, 1, 2) * self.backbone.gains(self.lams.repeat(HYPER_CROPS))[0]
            if self.backbone.scr:
                latent = rearranged(latent)
        bpp = self.backbone.rate(latent, self._fate(count))[0] / self.recipe.crop**2
        return bpp, bpp, torch.zeros_like(bpp)

    @property
    def skipped(self) -> int:
        """Steps that were left out as spikes."""
        return self.spikes.skipped

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes everything that the next step depends on, and facts for the reader."""
        tensors = {f"model/{n}": t for n, t in self.backbone.state_dict().items()}
        tensors |= {f"average/{n}": t for n, t in self.average.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= optimiser_tensors(optimiser, name)
        tensors |= {"random": torch.get_rng_state(), "random_crops": self.generator.get_state()}
        if self.device.type == "cuda":  # its quantisation noise is drawn there
            tensors["random_cuda"] = torch.cuda.get_rng_state(self.device)
        tensors = {n: t for n, t in tensors.items() if t.numel()}  # entropy tables are empty until a codec is made
        counters = {"steps": self.step_count, "skipped": self.skipped, "usual_norm": self.spikes.usual_norm}
        save_tensors(path, tensors, facts | counters | {"recipe": asdict(self.recipe)})

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on exactly where a checkpoint of the same recipe was written; returns its facts.

        Exactly: with the same pictures, bit for bit on a processor; cuDNN sums in no fixed order.
        Raises InputError if there is no checkpoint, or one of another recipe.
        """
        tensors, facts = load_tensors(path)
        differences = differing(recipe_in(facts), asdict(self.recipe))
        if differences:
            raise InputError(f"{path} was trained with {differences}", hint="resume with the same settings")
        for module, prefix in ((self.backbone, "model/"), (self.average, "average/")):
            state = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            module.load_state_dict(module.state_dict() | state)
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, tensors, name)
        torch.set_rng_state(tensors["random"])
        self.generator.set_state(tensors["random_crops"])
        if self.device.type == "cuda" and "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"], self.device)
        self.step_count = facts["steps"]
        self.spikes.skipped, self.spikes.usual_norm = facts["skipped"], facts["usual_norm"]
        return facts


def network_of(recipe: Recipe) -> Backbone:
    """A fresh network as the recipe has it."""
    method = method_named(recipe.method)
    return Backbone(recipe.widths, scr=method.scr, mca=method.mca)


def in_single_precision(network: nn.Module, device: str) -> None:
    """Keeps GDN out of autocast: it divides by the root of a sum of squares, of which bfloat16 keeps eight bits."""

    def kept_out(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def single(inputs: Tensor) -> Tensor:
            with torch.autocast(device, enabled=False):
                return forward(inputs.float())

        return single

    for module in network.modules():
        if isinstance(module, compressai.layers.GDN):
            module.forward = kept_out(module.forward)

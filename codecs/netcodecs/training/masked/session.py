"""One run of ResiComp's training: its transforms, what it begins from, and that it goes its way."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.methods import shipped_weights
from netcodecs.resicomp.weights import load_weights as load_resicomp
from netcodecs.training.checkpoint import is_checkpoint, load_tensors
from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.crops import centre_crops, load_folder, random_crops
from netcodecs.training.latents import latents_of
from netcodecs.training.loop import LATEST, begin, device_named, hardware, run_to_end, say_what_is_next
from netcodecs.training.masked.begin import elic_start
from netcodecs.training.masked.log import Log
from netcodecs.training.masked.recipe import ELIC_WIDTHS, Recipe, differing, recipe_in
from netcodecs.training.masked.trainer import NETWORK_SIZES, Trainer
from netcodecs.training.masked.transforms import below, check_given, transforms_among, transforms_at
from netcodecs.training.recipe import STRIDE
from netsim.errors import InputError

__all__ = ["train"]

_OF_RECIPE = (
    "batch", "rate", "alpha", "seed", "size", "heads", "bf16", "transforms_too", "transforms_rate", "lambda_warm_up",
)  # fmt: skip
_HELD_OUT = 6
_ELIC = "elic"


def train(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs what ``netcodecs.training.resicomp`` has parsed (``given``, from ``arguments``); returns the exit code.

    Raises InputError for what only shows when files are read.
    """
    given.device = device_named(given.device)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    held_out = load_folder(given.validation, at_least=64, limit=_HELD_OUT)
    recipe, start = _resumed(given) if given.resume else _new(given)
    pictures = [p for folder in given.images for p in load_folder(folder, at_least=recipe.side * STRIDE)]
    if start.fresh:
        elic_start(start.backbone, _crops_of(pictures, recipe))
    trainer = Trainer(recipe, _placed(pictures, recipe, given.device), start.backbone, given.device, start.learned)
    facts = {
        "hours": given.hours,
        "pictures": len(pictures),
        "megapixels": sum(p[0].numel() for p in pictures) / 1e6,
        "hardware": hardware(given.device, given.threads),
        "start": start.name,
        "transforms": {
            "name": start.transforms,
            "kind": start.backbone.kind,
            "widths": start.backbone.widths,
            "lambdas": start.backbone.lambdas,
        },
    }
    facts = begin(trainer, given.out, facts, asdict(recipe), resume=given.resume)
    clock = ActiveClock(given.hours * 3600, active_s=facts["active_s"], stop_at=given.stop_at)
    _introduce(trainer, facts, len(held_out), clock.left_s())
    log = Log(given.out, steps=trainer.step_count)
    asked = run_to_end(trainer, clock, log, given.out, _validated_on(trainer, held_out), facts)
    return say_what_is_next(asked, given.out, "resicomp", arguments, "resicomp.safetensors")


def _placed(pictures: list[Tensor], recipe: Recipe, device: str) -> list[Tensor]:
    """Pictures where crops are cut; only latents of them go to the device if these are all that is learned from."""
    return [p.to(device) for p in pictures] if recipe.transforms_too else pictures


def _crops_of(pictures: list[Tensor], recipe: Recipe) -> Tensor:
    """A few crops, on which a start is measured."""
    return random_crops(pictures, 32, recipe.side * STRIDE, torch.Generator().manual_seed(recipe.seed))


def _validated_on(trainer: Trainer, held_out: list[Tensor]) -> list[Tensor]:
    if trainer.recipe.transforms_too:
        return [p.to(trainer.device) for p in centre_crops(held_out)]
    return latents_of(trainer.backbone, held_out, trainer.device)


def _chosen(given: argparse.Namespace) -> dict[str, Any]:
    """The recipe's settings that stand in the command."""
    chosen = {name: getattr(given, name) for name in _OF_RECIPE if getattr(given, name) is not None}
    if given.crop is not None:
        if given.crop % STRIDE:
            raise InputError(f"crop {given.crop}", hint="a multiple of 64: the Transformer's windows")
        chosen["side"] = given.crop // STRIDE
    if given.lambdas is not None:
        chosen["lambdas"] = tuple(given.lambdas)
    return chosen


@dataclass(frozen=True)
class _Start:
    """What a run begins from: the transforms and their name; a Transformer with its spread, and its name, if any.

    fresh: the transforms' values are not yet those that they begin from.
    """

    backbone: Backbone
    transforms: str
    learned: tuple[dict[str, Tensor], Tensor] | None = None
    name: str = "nothing"
    fresh: bool = False


def _new(given: argparse.Namespace) -> tuple[Recipe, _Start]:
    """Recipe of a new run, and what it begins from."""
    chosen = _chosen(given)
    if given.start is None:
        recipe = Recipe(**chosen).checked()
        if given.transforms == _ELIC:
            return recipe, _untrained(given, recipe)
        if given.widths is not None:
            raise InputError("--widths without --transforms elic", hint="trained transforms have widths of their own")
        path = Path(given.transforms) if given.transforms else shipped_weights("mbt-mean")
        return recipe, _Start(transforms_at(path), path.stem)
    size, start = _started(given)
    recipe = Recipe(**({"size": size} | chosen)).checked()
    if recipe.size != size:
        raise InputError(f"{given.start} has size {size}, not {recipe.size}", hint="leave --size out")
    return recipe, start


def _untrained(given: argparse.Namespace, recipe: Recipe) -> _Start:
    """ELIC's transforms, to be begun when there are pictures. Raises InputError for what can't be learned."""
    if not recipe.transforms_too:
        hint = "ELIC's g_a and g_s begin untrained: add --transforms-too, or --start from a run that has trained them"
        raise InputError("--transforms elic without --transforms-too", hint=hint)
    widths = ELIC_WIDTHS[recipe.size] if given.widths is None else tuple(given.widths)
    if min(widths) < 1:
        raise InputError(f"widths {' '.join(map(str, widths))}", hint="numbers of channels, above zero")
    torch.manual_seed(recipe.seed)  # initial weights
    return _Start(Backbone(widths, kind="elic").eval(), _ELIC, fresh=True)


def _started(given: argparse.Namespace) -> tuple[str, _Start]:
    """Size and contents of exported weights, or of another run's checkpoint (or its folder)."""
    path: Path = given.start / LATEST if given.start.is_dir() else given.start
    name = given.start.name
    if is_checkpoint(path):
        tensors, facts = load_tensors(path)
        recipe = recipe_in(facts, path)
        backbone = transforms_among(tensors, facts)
        check_given(backbone, given.transforms, given.widths, path)
        return recipe.size, _Start(backbone, name, (below(tensors, "average/"), tensors["spread"]), name)
    weights = load_resicomp(path)
    size = next((name for name, size in NETWORK_SIZES.items() if size == weights.network.size), "another")
    check_given(weights.backbone, given.transforms, given.widths, path)
    learned = (weights.network.state_dict(), torch.from_numpy(weights.spread).float())
    return size, _Start(weights.backbone, name, learned, name)


def _resumed(given: argparse.Namespace) -> tuple[Recipe, _Start]:
    """The same of the checkpoint in --out. Raises InputError if another one is asked for."""
    path = given.out / LATEST
    tensors, facts = load_tensors(path)
    recipe = recipe_in(facts, path)
    if differences := differing(recipe, _chosen(given)):
        hint = "with --resume, leave these options out; or begin anew in another --out"
        raise InputError(f"{path} was trained with {differences}", hint=hint)
    if below(tensors, "average_transforms/"):  # the run goes on with what it has learned, not with the average
        tensors = {n: t for n, t in tensors.items() if not n.startswith("average_transforms/")}
        given.transforms = given.transforms if given.transforms == _ELIC else None
    backbone = transforms_among(tensors, facts)
    check_given(backbone, given.transforms, given.widths, path)
    learned = (below(tensors, "model/"), tensors["spread"])
    return recipe, _Start(backbone, facts["transforms"]["name"], learned, facts["start"])


def _introduce(trainer: Trainer, facts: dict[str, Any], held_out: int, left_s: float) -> None:
    recipe = trainer.recipe
    size = sum(p.numel() for p in trainer.learning)
    goes_on = f"goes on at step {trainer.step_count:,}" if trainer.step_count else f"begins from {facts['start']}"
    learns = {"both": "both heads", "density": "the density head", "value": "the concealing head"}[recipe.heads]
    whose = "ELIC's transforms" if trainer.backbone.kind == "elic" else "the transforms"
    learns += f" and {whose}" if recipe.transforms_too else f", on latents of {facts['transforms']['name']}"
    print(f"pictures  {facts['pictures']} to learn from ({facts['megapixels']:.0f} megapixels), {held_out} held out")
    print(f"network   {recipe.size} Transformer, {learns}; {size:,} parameters learn; {goes_on}")
    print(f"time      {duration(left_s)} on {facts['hardware']}", flush=True)

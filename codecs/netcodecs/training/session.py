"""One run of training of the channel-progressive family: what it begins from, and that it goes its way."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from netcodecs.progressive.backbone import FULL_WIDTHS, Backbone, widen
from netcodecs.progressive.methods import method_named, shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.training.begin import check_start, for_all_rates
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.crops import centre_crops, load_folder
from netcodecs.training.log import Log
from netcodecs.training.loop import LATEST, begin, device_named, hardware, run_to_end, say_what_is_next
from netcodecs.training.recipe import Recipe, differing, recipe_in
from netcodecs.training.trainer import Trainer, network_of
from netsim.errors import InputError

__all__ = ["train"]

_KNOWING_SCR = 0.5  # share of a run from the baseline in which the hyperprior learns SCR's channels
_OF_RECIPE = ("method", "widths", "batch", "crop", "rate", "hyper_rate", "hyper_first", "seed", "bf16")


def train(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs what ``netcodecs.training.progressive`` has parsed (``given``, from ``arguments``); returns the exit code.

    Raises InputError for what only shows when files are read.
    """
    given.device = device_named(given.device)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    held_out = [p.to(given.device) for p in centre_crops(load_folder(given.validation, at_least=64, limit=8))]
    trainer, facts = _trainer(given)
    clock = ActiveClock(given.hours * 3600, active_s=facts["active_s"], stop_at=given.stop_at)
    _introduce(trainer, facts, len(held_out), clock.left_s())
    log = Log(given.out, steps=trainer.step_count)
    asked = run_to_end(trainer, clock, log, given.out, held_out, facts)
    return say_what_is_next(asked, given.out, "progressive", arguments, f"{trainer.recipe.method}.safetensors")


@dataclass(frozen=True)
class _Start:
    """What a run begins from. network: None: the lapped transform. own: as for ``Trainer``. name: for a reader."""

    network: Backbone | None
    own: bool
    name: str


def _new(given: argparse.Namespace) -> tuple[Recipe, _Start]:
    """Recipe of a new run, and what it begins from."""
    method = method_named(given.method or Recipe.method)
    path = given.start or (None if method.name == Recipe.method else shipped_weights(Recipe.method))
    network, of = (None, None) if path is None else load_weights(path)
    start = None if network is None else for_all_rates(network)
    widths = FULL_WIDTHS if start is None else start.widths
    chosen = {name: getattr(given, name) for name in _OF_RECIPE if getattr(given, name) is not None}
    recipe = Recipe(**(chosen | {"widths": tuple(given.widths or widths)})).checked()
    if start is not None and start.widths != recipe.widths:
        if recipe.widths != FULL_WIDTHS:
            hint = f"leave --widths out, or widen them to {' '.join(map(str, FULL_WIDTHS))}"
            raise InputError(f"{path} has widths {' '.join(map(str, widths))}, not those of --widths", hint=hint)
        start = widen(start)
    if start is not None:
        check_start(start, method)
    if method.scr and given.hyper_first is None and not (start is not None and start.scr):
        recipe = replace(recipe, hyper_first=_KNOWING_SCR)  # the hyperprior knows channels as they were
    own = of is not None and (of.scr, of.mca, of.tail_drop) == (method.scr, method.mca, method.tail_drop)
    return recipe, _Start(start, own, "lapped transform" if path is None else path.name)


def _resumed(given: argparse.Namespace) -> tuple[Recipe, _Start]:
    """The same of the checkpoint in --out, its network still empty. Raises InputError if another one is asked for."""
    path = given.out / LATEST
    facts = load_tensors(path)[1]
    recipe = recipe_in(facts)
    wanted = {name: getattr(given, name) for name in _OF_RECIPE if getattr(given, name) is not None}
    if "widths" in wanted:
        wanted["widths"] = tuple(wanted["widths"])
    if differences := differing(recipe, wanted):
        hint = "with --resume, leave these options out; or begin anew in another --out"
        raise InputError(f"{path} was trained with {differences}", hint=hint)
    return recipe, _Start(network_of(recipe), True, facts["start"])


def _trainer(given: argparse.Namespace) -> tuple[Trainer, dict[str, Any]]:
    """What trains, new or resumed, and what there is to say about it; a new one is saved at once."""
    recipe, start = _resumed(given) if given.resume else _new(given)
    pictures = [p.to(given.device) for folder in given.images for p in load_folder(folder, at_least=recipe.crop)]
    trainer = Trainer(recipe, pictures, given.device, start.network, own=start.own)
    facts = {
        "hours": given.hours,
        "pictures": len(pictures),
        "megapixels": sum(p[0].numel() for p in pictures) / 1e6,
        "hardware": hardware(given.device, given.threads),
        "start": start.name,
    }
    return trainer, begin(trainer, given.out, facts, asdict(recipe), resume=given.resume)


def _introduce(trainer: Trainer, facts: dict[str, Any], held_out: int, left_s: float) -> None:
    size = sum(p.numel() for n, p in trainer.backbone.named_parameters() if "gain" not in n)
    goes_on = f"goes on at step {trainer.step_count:,}" if trainer.step_count else f"begins from {facts['start']}"
    recipe = trainer.recipe
    print(f"pictures  {facts['pictures']} to learn from ({facts['megapixels']:.0f} megapixels), {held_out} held out")
    print(f"network   {recipe.method}, widths {' '.join(map(str, recipe.widths))}, {size:,} parameters, {goes_on}")
    print(f"time      {duration(left_s)} on {facts['hardware']}", flush=True)

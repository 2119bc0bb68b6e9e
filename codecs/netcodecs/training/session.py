"""One run of training: what it begins from, its loop, its checkpoints, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netcodecs.progressive.backbone import FULL_WIDTHS, Backbone, widen
from netcodecs.progressive.methods import method_named, shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.training.begin import check_start, for_all_rates
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.clock import ActiveClock, duration
from netcodecs.training.crops import centre_crops, load_folder
from netcodecs.training.log import Log
from netcodecs.training.recipe import Recipe, differing, recipe_in
from netcodecs.training.stop import Stop
from netcodecs.training.trainer import Trainer, network_of
from netsim.errors import InputError

__all__ = ["LATEST", "train"]

LATEST = "latest.safetensors"
CHECKPOINT_S, VALIDATE_S = 180, 300
_OF_RECIPE = ("method", "widths", "batch", "crop", "rate", "hyper_rate", "hyper_first", "seed", "bf16")


def train(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs what ``netcodecs.training.progressive`` has parsed (``given``, from ``arguments``); returns the exit code.

    Raises InputError for what only shows when files are read.
    """
    given.device = _device(given.device)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    held_out = [p.to(given.device) for p in centre_crops(load_folder(given.validation, at_least=64, limit=8))]
    trainer, facts = _trainer(given)
    clock = ActiveClock(given.hours * 3600, active_s=facts["active_s"], stop_at=given.stop_at)
    _introduce(trainer, facts, len(held_out), clock.left_s())
    with Stop() as stop:
        try:
            _fit(trainer, clock, given.out, held_out, facts, stop)
        except KeyboardInterrupt:
            print(f"stopped   at once: {given.out / LATEST} may be some minutes old")
    if stop.asked:
        again = arguments if given.resume else [*arguments, "--resume"]
        print(f"stopped   {given.out / LATEST} holds step {load_tensors(given.out / LATEST)[1]['steps']:,}")
        print(f"next      {shlex.join(['netsim', 'train', 'progressive', *again])}", flush=True)
        return 128 + stop.asked
    print(f"next      python -m netcodecs.training.export {given.out} {trainer.recipe.method}.safetensors", flush=True)
    return 0


def _device(name: str | None) -> str:
    """The device that is asked for; CUDA where there is one, if none is. Raises InputError if torch finds none."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
        if kind in ("cpu", "cuda"):
            torch.empty(1, device=name)
            return name
    except (RuntimeError, AssertionError):  # no such name; torch without CUDA asserts
        pass
    raise InputError(f"--device {name}: torch finds none here", hint="cpu, or a CUDA device that torch sees")


def _new(given: argparse.Namespace) -> tuple[Recipe, Backbone | None, str]:
    """Recipe of a new run, the network that it begins from, and where that is from."""
    method = method_named(given.method or Recipe.method)
    path = given.start or (None if method.name == Recipe.method else shipped_weights(Recipe.method))
    start = None if path is None else for_all_rates(load_weights(path)[0])
    own = FULL_WIDTHS if start is None else start.widths
    chosen = {name: getattr(given, name) for name in _OF_RECIPE if getattr(given, name) is not None}
    recipe = Recipe(**(chosen | {"widths": tuple(given.widths or own)})).checked()
    if start is not None and start.widths != recipe.widths:
        if recipe.widths != FULL_WIDTHS:
            hint = f"leave --widths out, or widen them to {' '.join(map(str, FULL_WIDTHS))}"
            raise InputError(f"{path} has widths {' '.join(map(str, own))}, not those of --widths", hint=hint)
        start = widen(start)
    if start is not None:
        check_start(start, method)
    if start is not None and start.scr and given.hyper_first is None:  # it knows the rearranged channels already
        recipe = replace(recipe, hyper_first=0.0)
    return recipe, start, "lapped transform" if path is None else path.name


def _resumed(given: argparse.Namespace) -> tuple[Recipe, Backbone, str]:
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
    return recipe, network_of(recipe), facts["start"]


def _trainer(given: argparse.Namespace) -> tuple[Trainer, dict[str, Any]]:
    """What trains, new or resumed, and what there is to say about it; a new one is saved at once."""
    recipe, start, begun_from = _resumed(given) if given.resume else _new(given)
    pictures = [p.to(given.device) for folder in given.images for p in load_folder(folder, at_least=recipe.crop)]
    trainer = Trainer(recipe, pictures, given.device, start)
    facts = {
        "hours": given.hours,
        "pictures": len(pictures),
        "megapixels": sum(p[0].numel() for p in pictures) / 1e6,
        "hardware": _hardware(given.device, given.threads),
        "start": begun_from,
        "active_s": 0.0,
    }
    if given.resume:
        earlier = trainer.load(given.out / LATEST)
        if earlier["pictures"] != facts["pictures"] or earlier["megapixels"] != facts["megapixels"]:
            print(f"note      the checkpoint learned from {earlier['pictures']} pictures, other ones than these")
        facts["active_s"] = earlier["active_s"]
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        if not given.resume:
            trainer.save(given.out / LATEST, facts)  # from here on there is something to resume
        (given.out / "run.json").write_text(json.dumps(facts | {"recipe": asdict(recipe)}, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"--out {given.out} can't be written: {error.strerror}") from None
    return trainer, facts


def _hardware(device: str, threads: int) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {threads} threads"


def _introduce(trainer: Trainer, facts: dict[str, Any], held_out: int, left_s: float) -> None:
    size = sum(p.numel() for n, p in trainer.backbone.named_parameters() if "gain" not in n)
    goes_on = f"goes on at step {trainer.step_count:,}" if trainer.step_count else f"begins from {facts['start']}"
    recipe = trainer.recipe
    print(f"pictures  {facts['pictures']} to learn from ({facts['megapixels']:.0f} megapixels), {held_out} held out")
    print(f"network   {recipe.method}, widths {' '.join(map(str, recipe.widths))}, {size:,} parameters, {goes_on}")
    print(f"time      {duration(left_s)} on {facts['hardware']}", flush=True)


def _fit(
    trainer: Trainer, clock: ActiveClock, out: Path, held_out: Sequence[Tensor], facts: dict[str, Any], stop: Stop
) -> None:
    """Steps until the clock or somebody says stop, with a validation and a checkpoint every few minutes."""

    def save() -> None:
        trainer.save(out / LATEST, facts | {"active_s": clock.active_s})

    log = Log(out, steps=trainer.step_count)
    if trainer.step_count == 0:
        log.validation(trainer, clock, held_out)
    validated = saved = clock.active_s
    # however short the time, a run has learned something
    while not stop.asked and ((share := clock.tick()) < 1 or trainer.step_count == 0):
        log.step(trainer, clock, trainer.step(min(share, 1.0)))
        if clock.active_s - saved > CHECKPOINT_S:
            save()
            saved = clock.active_s
        if clock.active_s - validated > VALIDATE_S:
            log.validation(trainer, clock, held_out)
            validated = clock.active_s
    save()
    if not stop.asked:
        log.validation(trainer, clock, held_out)
    log.close(trainer, clock)

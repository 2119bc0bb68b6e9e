"""From a trainer that is ready to one that has used its time: the loop, its checkpoints, and how it ends."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.clock import ActiveClock
from netcodecs.training.runlog import RunLog
from netcodecs.training.stop import Stop
from netsim.errors import InputError
from netsim.machine import processor_name

__all__ = ["LATEST", "Trains", "begin", "device_named", "hardware", "run_to_end", "say_what_is_next"]

LATEST = "latest.safetensors"
CHECKPOINT_S, VALIDATE_S = 180, 300


class Trains(Protocol):
    """What the loop asks of a trainer."""

    step_count: int

    def step(self, share: float) -> tuple[Tensor, ...]:
        """One step at the given share of the run; returns what the log is told."""

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes everything that the next step depends on."""

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on exactly where a checkpoint was written; returns its facts."""


def device_named(name: str | None) -> str:
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


def hardware(device: str, threads: int) -> str:
    """What a run runs on, for a reader."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {os.cpu_count()} cores, {threads} threads"


def begin(trainer: Trains, out: Path, facts: dict[str, Any], recipe: dict[str, Any], *, resume: bool) -> dict[str, Any]:
    """Loads the checkpoint in ``out``, or writes the first one; returns the facts with the time worked so far.

    Raises InputError if the folder can't be written.
    """
    facts = facts | {"active_s": 0.0}
    if resume:
        earlier = trainer.load(out / LATEST)
        if earlier["pictures"] != facts["pictures"] or earlier["megapixels"] != facts["megapixels"]:
            print(f"note      the checkpoint learned from {earlier['pictures']} pictures, other ones than these")
        facts["active_s"] = earlier["active_s"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not resume:
            trainer.save(out / LATEST, facts)  # from here on there is something to resume
        (out / "run.json").write_text(json.dumps(facts | {"recipe": recipe}, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"--out {out} can't be written: {error.strerror}") from None
    return facts


def run_to_end(
    trainer: Trains, clock: ActiveClock, log: RunLog, out: Path, held_out: Sequence[Tensor], facts: dict[str, Any]
) -> int:
    """Trains until the time is used or somebody asks to stop; returns that signal's number, 0 if there was none."""
    with Stop() as stop:
        try:
            _fit(trainer, clock, log, out, held_out, facts, stop)
        except KeyboardInterrupt:
            print(f"stopped   at once: {out / LATEST} may be some minutes old")
    return stop.asked


def say_what_is_next(asked: int, out: Path, name: str, arguments: Sequence[str], weights: str) -> int:
    """The last lines of ``netsim train NAME``; returns its exit code. asked: what :func:`run_to_end` returned."""
    if asked:
        again = arguments if "--resume" in arguments else [*arguments, "--resume"]
        print(f"stopped   {out / LATEST} holds step {load_tensors(out / LATEST)[1]['steps']:,}")
        print(f"next      {shlex.join(['netsim', 'train', name, *again])}", flush=True)
        return 128 + asked
    print(f"next      python -m netcodecs.training.export {out} {weights}", flush=True)
    return 0


def _fit(
    trainer: Trains,
    clock: ActiveClock,
    log: RunLog,
    out: Path,
    held_out: Sequence[Tensor],
    facts: dict[str, Any],
    stop: Stop,
) -> None:
    """Steps until the clock or somebody says stop, with a validation and a checkpoint every few minutes."""

    def save() -> None:
        trainer.save(out / LATEST, facts | {"active_s": clock.active_s})

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

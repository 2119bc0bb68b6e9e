"""The options that every trainer has, and what is wrong with them before anything is loaded."""

from __future__ import annotations

import argparse
import math
import os
import time
from datetime import datetime
from pathlib import Path

from netsim.errors import InputError

__all__ = ["add_run_options", "check_run"]

_LEFT_BEHIND = ("latest.safetensors", "run.json", "validation.csv")  # by a run, in its folder


def add_run_options(parser: argparse.ArgumentParser, *, seed: int, held_out: str) -> None:
    """Pictures, length, folder and device. seed: the default one. held_out: how many pictures are validated on."""
    add = parser.add_argument
    add("--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders of training pictures")
    help_held_out = f"folder of pictures held out; {held_out} are used"
    add("--validation", type=Path, required=True, metavar="DIR", help=help_held_out)
    add("--hours", type=float, required=True, help="length of the whole run, resumed parts included")
    add("--stop-at", type=_seconds_at, metavar="TIME", help="local time at which to stop, as 2026-01-31T23:00")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the checkpoint and the logs")
    add("--resume", action="store_true", help="go on from the checkpoint in --out, with its settings")
    add("--seed", type=int, help=f"[{seed}]")
    add("--bf16", action="store_true", default=None, help="autocast to bfloat16, where the device has it")
    add("--threads", type=int, default=os.cpu_count() or 1, help="[%(default)s]")
    add("--device", help="cpu, cuda or cuda:N [cuda where torch finds it]")


def _seconds_at(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no time; write it as 2026-01-31T23:00") from None


def check_run(given: argparse.Namespace) -> None:
    """Raises InputError for what can be seen to be wrong before anything is loaded; a run is never overwritten."""
    if not 0 < given.hours < math.inf:
        raise InputError(f"--hours {given.hours:g}", hint="how long to train: above zero, 0.5 is half an hour")
    if given.stop_at is not None and given.stop_at <= time.time():
        raise InputError(f"--stop-at {datetime.fromtimestamp(given.stop_at):%Y-%m-%dT%H:%M} is over")
    if given.threads < 1:
        raise InputError(f"--threads {given.threads}", hint="at least 1")
    held_out = given.validation.resolve()
    for folder in (folder.resolve() for folder in given.images):
        if held_out.is_relative_to(folder) or folder.is_relative_to(held_out):
            hint = "give --validation a folder of other pictures"
            raise InputError(f"{given.validation} would be trained on, too", hint=hint)
    if given.out.exists() and not given.out.is_dir():
        raise InputError(f"--out {given.out} is no folder")
    has = [name for name in _LEFT_BEHIND if (given.out / name).exists()]
    if given.resume and _LEFT_BEHIND[0] not in has:
        raise InputError(f"nothing to resume: {given.out} has no {_LEFT_BEHIND[0]}", hint="leave --resume out to begin")
    if has and not given.resume:
        hint = "go on with it by --resume, or give another --out"
        raise InputError(f"{given.out} holds a training run already ({', '.join(has)})", hint=hint)

"""Training of the channel-progressive family: ``netsim train progressive --help``.

One network learns all λ: each batch holds every λ equally often. The run is given hours, not steps: the learning rate
follows the share of them that is used, so that it always ends low, on any machine. Here is the command line, which
answers without torch; the run itself is ``session``.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from netcodecs.progressive.methods import METHODS, method_named
from netcodecs.training.command import run
from netcodecs.training.recipe import Recipe
from netsim.errors import InputError

__all__ = ["main"]

_LEFT_BEHIND = ("latest.safetensors", "run.json", "validation.csv")  # by a run, in its folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netsim train progressive",
        description="Train a method of the channel-progressive family: mbt2018-mean with gains, one set of weights "
        "for all rates. Ctrl-C writes a checkpoint; the same command with --resume goes on.",
        epilog="Example:  netsim train progressive --method scr-mca-ge --images photos --validation held_out --hours 8 "
        "--out runs/scr-mca-ge",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--method", help=", ".join(METHODS) + f" [{Recipe.method}]")
    add("--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders of training pictures")
    add("--validation", type=Path, required=True, metavar="DIR", help="folder of pictures held out; eight are used")
    add("--hours", type=float, required=True, help="length of the whole run, resumed parts included")
    add("--stop-at", type=_seconds_at, metavar="TIME", help="local time at which to stop, as 2026-01-31T23:00")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the checkpoint and the logs")
    add("--resume", action="store_true", help="go on from the checkpoint in --out, with its settings")
    add(
        "--start",
        type=Path,
        metavar="FILE",
        help="weights to begin from: this method's, the baseline's, or CompressAI's checkpoint of mbt2018-mean "
        "[the baseline that ships; for mbt-mean itself a lapped transform]; not looked at with --resume",
    )
    add("--widths", type=int, nargs=3, help="channels of g_a's layers [those of --start, else 128 128 128]")
    add("--batch", type=int, help=f"crops per step, a multiple of four [{Recipe.batch}]")
    add("--crop", type=int, help=f"side of a crop in pixels, a multiple of 64 [{Recipe.crop}]")
    add("--rate", type=float, help=f"learning rate of the transforms [{Recipe.rate:g}]")
    add("--hyper-rate", type=float, help=f"learning rate of the hyperprior and the gains [{Recipe.hyper_rate:g}]")
    add(
        "--hyper-first",
        type=float,
        metavar="SHARE",
        help="of the run, in which the hyperprior alone learns, for methods with SCR "
        f"[{Recipe.hyper_first:g}; 0 where --start has SCR already]",
    )
    add("--seed", type=int, help=f"[{Recipe.seed}]")
    add("--bf16", action="store_true", default=None, help="autocast to bfloat16, where the device has it")
    add("--threads", type=int, default=os.cpu_count() or 1, help="[%(default)s]")
    add("--device", help="cpu, cuda or cuda:N [cuda where torch finds it]")
    return parser


def _seconds_at(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no time; write it as 2026-01-31T23:00") from None


def _check(given: argparse.Namespace) -> None:
    """Raises InputError for what can be seen to be wrong before anything is loaded."""
    if not 0 < given.hours < math.inf:
        raise InputError(f"--hours {given.hours:g}", hint="how long to train: above zero, 0.5 is half an hour")
    if given.stop_at is not None and given.stop_at <= time.time():
        raise InputError(f"--stop-at {datetime.fromtimestamp(given.stop_at):%Y-%m-%dT%H:%M} is over")
    if given.method is not None:
        method_named(given.method)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see ``--help``. Returns the exit code: 0, or 128 + the number of the signal that stopped it.

    Raises InputError for arguments that can't be.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(arguments)
    _check(given)
    try:
        from netcodecs.training.session import train
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}", hint="install netsim[learned]") from None
    return train(given, arguments)


if __name__ == "__main__":
    run(lambda: sys.exit(main()))

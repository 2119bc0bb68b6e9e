"""Training of ResiComp: ``netsim train resicomp --help``.

First its Transformer, on latents of trained transforms that are made once; then, on request, all of it through
pictures. Here is the command line, which answers without torch; the run itself is ``masked.session``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from netcodecs.training.command import run
from netcodecs.training.masked.recipe import ELIC_WIDTHS, HEADS, SIZES, Recipe
from netcodecs.training.options import add_run_options, check_run
from netcodecs.training.recipe import STRIDE
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    low, high = Recipe.lambdas
    parser = argparse.ArgumentParser(
        prog="netsim train resicomp",
        description="Train ResiComp's masked Transformer on the latents of trained transforms, or all of it. "
        "Ctrl-C writes a checkpoint; the same command with --resume goes on.",
        epilog="Example:  netsim train resicomp --images photos --validation held_out --hours 8 --out runs/resicomp",
        allow_abbrev=False,
    )
    add_run_options(parser, seed=Recipe.seed, held_out="six")
    add = parser.add_argument
    add(
        "--transforms",
        metavar="FILE|elic",
        help="g_a and g_s: those in weights of mbt-mean or of resicomp; `elic`: ELIC's, which learn from nothing, with "
        "--transforms-too [mbt-mean's that ship]",
    )
    add(
        "--widths",
        type=int,
        nargs=3,
        metavar=("A", "B", "C"),
        help="channels inside g_a and g_s of `--transforms elic` "
        f"[with --size {', '.join(f'{s} {w[0]} {w[1]} {w[2]}' for s, w in ELIC_WIDTHS.items())}]",
    )
    add(
        "--start",
        type=Path,
        metavar="FILE",
        help="a Transformer to begin from: another run's folder, or exported weights [none]; unused with --resume",
    )
    add("--size", help=f"of the Transformer: {', '.join(SIZES)} [that of --start, else {Recipe.size}]")
    add("--heads", help=f"which heads learn: {', '.join(HEADS)}; two runs give separate Transformers [{Recipe.heads}]")
    add("--alpha", type=float, help=f"weight of the concealment's error [{Recipe.alpha:g}]")
    add("--lambdas", type=float, nargs=2, metavar=("LOW", "HIGH"), help=f"range of λ [{low:g} {high:g}]")
    add("--batch", type=int, help=f"crops per step [{Recipe.batch}]")
    add("--crop", type=int, help=f"side of a crop in pixels, a multiple of 64 [{Recipe.side * STRIDE}]")
    add("--rate", type=float, help=f"learning rate of the Transformer [{Recipe.rate:g}]")
    add("--transforms-too", action="store_true", default=None, help="g_a, g_s and gains learn as well, from pictures")
    add("--transforms-rate", type=float, help=f"learning rate of the transforms [{Recipe.transforms_rate:g}]")
    add(
        "--lambda-warm-up",
        type=float,
        metavar="SHARE",
        help=f"of the run, with distortions weighed ten times; with --transforms-too [{Recipe.lambda_warm_up:g}; "
        "the paper, which trains from nothing: .15]",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see ``--help``. Returns the exit code: 0, or 128 + the number of the signal that stopped it.

    Raises InputError for arguments that can't be.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(arguments)
    check_run(given)
    try:
        from netcodecs.training.masked.session import train
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}", hint=install_command("learned")) from None
    return train(given, arguments)


if __name__ == "__main__":
    run(lambda: sys.exit(main()))

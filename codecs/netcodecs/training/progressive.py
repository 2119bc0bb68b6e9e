"""Training of the channel-progressive family: ``netsim train progressive --help``.

One network learns all λ: each batch holds every λ equally often. The run is given hours, not steps: the learning rate
follows the share of them that is used, so that it always ends low, on any machine. Here is the command line, which
answers without torch; the run itself is ``session``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from netcodecs.progressive.methods import METHODS, method_named
from netcodecs.training.command import run
from netcodecs.training.options import add_run_options, check_run
from netcodecs.training.recipe import Recipe
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netsim train progressive",
        description="Train a method of the channel-progressive family: mbt2018-mean with gains, one set of weights "
        "for all rates. Ctrl-C writes a checkpoint; the same command with --resume goes on.",
        epilog="Example:  netsim train progressive --method scr-mca-ge --images photos --validation held_out --hours 8 "
        "--out runs/scr-mca-ge",
        allow_abbrev=False,
    )
    add_run_options(parser, seed=Recipe.seed, held_out="eight")
    add = parser.add_argument
    add("--method", help=", ".join(METHODS) + f" [{Recipe.method}]")
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
        help="of the run, in which the hyperprior alone learns; 1: g_a and g_s stay as they are "
        f"[{Recipe.hyper_first:g}; .5 for a method with SCR that begins from the baseline]",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see ``--help``. Returns the exit code: 0, or 128 + the number of the signal that stopped it.

    Raises InputError for arguments that can't be.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(arguments)
    check_run(given)
    if given.method is not None:
        method_named(given.method)
    try:
        from netcodecs.training.session import train
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}", hint=install_command("learned")) from None
    return train(given, arguments)


if __name__ == "__main__":
    run(lambda: sys.exit(main()))

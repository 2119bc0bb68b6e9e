"""``netsim train progressive``: trains a method of the channel-progressive family."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from netcodecs.progressive.methods import METHODS, method_named, shipped_weights
from netcodecs.training.core.options import check_folders, standalone
from netcodecs.training.core.settings import TRANSFORMS, check_setting
from netcodecs.training.pieces import NEW
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    epilog="Example: netsim train progressive --method scr-mca-ge --images photos --validation held_out "
    "--steps 20000 --out runs/scr-mca-ge"
)
def progressive(
    images: Annotated[list[Path], typer.Option(help="Folder of training images; may be given several times.")],
    validation: Annotated[Path, typer.Option(help="Folder of images held out; eight are used.")],
    steps: Annotated[int, typer.Option(min=1, help="Length of the run; the learning rate falls to zero over it.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command resumes from its checkpoint.")],
    method: Annotated[str, typer.Option(help=", ".join(METHODS))] = "mbt-mean",
    start: Annotated[str, typer.Option(help="Weights to start from: a file, or `new`: none.")] = "",
    rate: Annotated[float, typer.Option(min=1e-9, help="Maximal learning rate.")] = 1e-3,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step.")] = 5,
    crop: Annotated[int, typer.Option(min=64, help="Side of a crop in pixels, a multiple of 64.")] = 256,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    transforms: Annotated[
        str, typer.Option(help=f"Of a new network: {', '.join(TRANSFORMS)}. [default: compact]", show_default=False)
    ] = "",
) -> None:
    """Trains one set of weights for a range of rates. Ctrl-C writes a checkpoint."""
    chosen = method_named(method)
    check_folders(images, validation)
    check_setting("crop", crop, "--crop")
    check_setting("rate", rate, "--rate")
    if transforms:
        check_setting("transforms", transforms, "--transforms")
        if start != NEW:
            raise InputError("--transforms without --start new", hint="trained weights have transforms of their own")
    try:
        from netcodecs.training.progressive.session import Session
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}", hint=install_command("learned")) from None
    source = start or str(shipped_weights("mbt-mean"))
    session = Session(
        chosen,
        source,
        images,
        validation,
        batch=batch,
        crop=crop,
        transforms=transforms or "compact",
        device=device,
        seed=seed,
    )
    sys.exit(session.train(out, steps=steps, rate=rate))


def main(arguments: list[str]) -> int:
    """The command line; see ``--help``. Returns the exit code: 0, or 128 + the number of the signal that stopped it.

    Raises:
        InputError: For arguments that can't be.
    """
    return standalone(app, "netsim train progressive", arguments)

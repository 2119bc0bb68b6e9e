"""``netsim train resicomp``: trains ResiComp's transforms and Transformer together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from netcodecs.common.shipped import shipped_weights
from netcodecs.training.core.options import check_folders, standalone
from netcodecs.training.core.settings import check_setting
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    epilog="Example: netsim train resicomp --images photos --validation held_out --steps 20000 --out runs/resicomp"
)
def resicomp(
    images: Annotated[list[Path], typer.Option(help="Folder of training images; may be given several times.")],
    validation: Annotated[Path, typer.Option(help="Folder of images held out; eight are used.")],
    steps: Annotated[int, typer.Option(min=1, help="Length of the run; the learning rate falls to zero over it.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command resumes from its checkpoint.")],
    start: Annotated[
        Path | None,
        typer.Option(help="Weights of resicomp to go on from, or of mbt-mean for its transforms.", show_default=False),
    ] = None,
    size: Annotated[str, typer.Option(help="Of a new Transformer: compact or paper.")] = "compact",
    separate: Annotated[
        bool, typer.Option(help="A second Transformer for concealment (the paper's ablation).")
    ] = False,
    rate: Annotated[float, typer.Option(min=1e-9, help="Maximal learning rate of the Transformer.")] = 1e-3,
    transforms_rate: Annotated[
        float,
        typer.Option(min=0, help="Learning rate of the transforms as a multiple of it; 0: they stay as they are."),
    ] = 0.5,
    alpha: Annotated[float, typer.Option(min=0, help="Weight of the concealed image's error.")] = 0.1,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step.")] = 8,
    crop: Annotated[int, typer.Option(min=64, help="Side of a crop in pixels, a multiple of the window.")] = 256,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Trains one set of weights for all rates. Ctrl-C writes a checkpoint."""
    check_folders(images, validation)
    for name, value in (("rate", rate), ("transforms_rate", transforms_rate), ("alpha", alpha)):
        check_setting(name, value, f"--{name.replace('_', '-')}")
    try:
        from netcodecs.training.resicomp.session import Session
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}", hint=install_command("learned")) from None
    session = Session(
        start or shipped_weights("mbt-mean"),
        images,
        validation,
        size=size,
        separate=separate,
        batch=batch,
        crop=crop,
        alpha=alpha,
        transforms_rate=transforms_rate,
        device=device,
        seed=seed,
    )
    sys.exit(session.train(out, steps=steps, rate=rate))


def main(arguments: list[str]) -> int:
    """The command line; see ``--help``. Returns the exit code: 0, or 128 + the number of the signal that stopped it.

    Raises:
        InputError: For arguments that can't be.
    """
    return standalone(app, "netsim train resicomp", arguments)

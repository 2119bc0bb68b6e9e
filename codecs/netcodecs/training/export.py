"""From a training folder to weights that ship, with their model card: ``python -m netcodecs.training.export``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from netcodecs.common.command import run_command
from netcodecs.progressive.methods import Method, method_named
from netcodecs.progressive.weights import dependents_kept, save_weights
from netcodecs.training.card_section import put_test_section, smaller_crops, write_card
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import load_folder
from netcodecs.training.core.fitting import FITTED_IMAGES
from netcodecs.training.core.run import CHECKPOINT, VALIDATION
from netcodecs.training.measure import Measured, measure, section_of
from netcodecs.training.progressive.emphasis import Emphasis
from netcodecs.training.progressive.entropy_coding import fit_entropy_coding
from netcodecs.training.progressive.session import averaged_network
from netcodecs.training.resicomp.export import export as export_resicomp
from netcodecs.training.resicomp.measure import Measured as MeasuredResiComp
from netcodecs.training.validation_table import validation_table

__all__ = ["export", "main", "model_card"]

_TRANSFORMS = {
    "residual": "Residual transforms",
    "mbt": "The transforms of mbt2018-mean",
    "elic": "The transforms of ELIC",
}


def _cell(row: Mapping[str, str]) -> str:
    bpp, psnr, lossy = (float(row[name]) for name in ("bpp", "psnr_db", "lossy_psnr_db"))
    return f"{bpp:.3f} bpp {psnr:.2f} / {lossy:.2f} dB"


def model_card(
    facts: Mapping[str, Any],
    method: Method,
    validation: str,
    weights: Path,
    *,
    notes: str = "",
    base: Path | None = None,
) -> str:
    """The card's text; every number in it comes from the run's own files or from a measurement made just now.

    Args:
        facts: Of the run's checkpoint.
        method: What was trained.
        validation: The table of the run's validations.
        weights: Where the file lies.
        notes: A sentence about the run.
        base: The weights that the file holds differences from.
    """
    config = facts["config"]
    adds = {
        "spatial-channel rearrangement": method.scr,
        "mask conditional aggregation": method.mca,
        "double tail drop in training": method.tail_drop,
        f"{method.losses} losses in training": method.losses != "none",
    }
    added = ", ".join(name for name, there in adds.items() if there) or "nothing: the baseline"
    stored = (
        "with the layers inside residual blocks as int8, the others as float16"
        if base is None
        else f"as differences from `{base.stem}`, most of them int8"
    )
    return f"""# {method.name}

{_TRANSFORMS[facts["kind"]]} and a mean-scale hyperprior (192 latent channels of stride 16, 128 of stride 64), gains
per λ. Adds: {added}. The weight average over training; stored {stored}.
This page is written by `python -m netcodecs.training.export`.

**Training.** {facts["images"]} photos ({facts["megapixels"]:g} megapixels), {facts["steps"]:,} steps of
{config["batch"]} crops of {config["crop"]}² per process, {facts["processes"]} processes, {facts["active_s"] / 3600:.2f}
hours; {facts["skipped"]} steps skipped as spikes. Start: {facts["start"]}. Learning rate {config["rate"]:g};
{_emphasis(facts, method)}. {notes}

**Validation** on images held out, means over images: estimated rate, PSNR without loss / with 10 % of the channels lost
(Gilbert–Elliott):

{validation}

**Known limits.** Photographs only; λ outside the trained range is refused.

**To go on training:**

    netsim train progressive --method {method.name} --start {shlex.quote(str(weights))} \\
        --images PHOTOS --validation HELD_OUT --steps 20000 --out runs/{method.name}
"""


def _emphasis(facts: Mapping[str, Any], method: Method) -> str:
    """What counted how much in a run, in words."""
    given = facts.get("emphasis", asdict(Emphasis()))
    parts = [f"losses weighted by (.0067/λ)^{given['balance']:g}"]
    if method.tail_drop:
        parts.append(f"{100 * given['whole_share']:g} % of the images keep their tail")
    if method.losses == "uniform":
        parts.append(f"{100 * given['lossless_share']:g} % lose no channel")
    return "; ".join([*parts, *smaller_crops(facts)])


def export(
    training: Path,
    weights: Path,
    *,
    base: Path | None = None,
    count_images: Path | None = None,
    test_images: Path | None = None,
    published: Path | None = None,
    notes: str = "",
    named: Path | None = None,
) -> list[Measured] | list[MeasuredResiComp]:
    """Writes ``weights`` (safetensors) and its model card beside it.

    Args:
        training: Folder of a run; of ResiComp, ``base`` and ``published`` are not looked at.
        weights: Is written; the card has its name.
        base: Weights in the folder of ``weights`` from which the run started: only differences are stored.
        count_images: Folder of training images to whose symbols entropy coding is fitted.
        test_images: Folder of images for the card's second table.
        published: Folder of published curves to set beside them.
        notes: A sentence about the run that its files don't tell.
        named: Where the weights will lie, for the card; None: at ``weights``.

    Returns:
        What was measured on ``test_images``, empty without.
    """
    facts = load_tensors(training / CHECKPOINT)[1]
    if facts["trains"] == "resicomp":
        return export_resicomp(
            training, weights, notes, count_images=count_images, test_images=test_images, named=named
        )
    method = method_named(facts["trains"])
    network = averaged_network(training / CHECKPOINT)
    if count_images is not None:
        fit_entropy_coding(network, load_folder(count_images, at_least=64, limit=FITTED_IMAGES))
    with dependents_kept(weights):
        save_weights(weights, network, method.name, base=base)
    validation = validation_table(training / VALIDATION, _cell)
    card = model_card(facts, method, validation, named or weights, notes=notes, base=base)
    write_card(weights, card)
    rows = measure(weights, test_images) if test_images is not None else []
    if rows:
        put_test_section(weights, section_of(rows, published))
    return rows


def main(
    training: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    weights: Annotated[Path, typer.Argument(help="Safetensors file to write; the card goes beside it.")],
    base: Annotated[Path | None, typer.Option(help="Weights beside it, to store differences from.")] = None,
    count_images: Annotated[Path | None, typer.Option(help="Training images to fit entropy coding to.")] = None,
    test_images: Annotated[Path | None, typer.Option(help="Folder of test images for the card.")] = None,
    published: Annotated[Path | None, typer.Option(help="Folder of published rate-distortion curves (JSON).")] = None,
    notes: Annotated[str, typer.Option(help="A sentence about the run that its files don't tell.")] = "",
) -> None:
    """Exports the weight average of a training run."""
    export(
        training,
        weights,
        base=base,
        count_images=count_images,
        test_images=test_images,
        published=published,
        notes=notes,
    )


if __name__ == "__main__":
    run_command(main)

"""From a training folder to the weights that ship, with their model card: ``python -m netcodecs.training.export``."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from netcodecs.progressive.backbone import FULL_WIDTHS, LAMBDAS, Backbone, load_backbone, widen
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.measure import measure, table

__all__ = ["averaged", "export", "main", "model_card", "shrunk"]

_HALF_FROM = 4096  # tensors with fewer elements (biases, gains, the bottleneck's) stay float32: they cost nothing


def averaged(checkpoint: Path) -> tuple[Backbone, dict[str, Any]]:
    """The weight average in a checkpoint, at full width and in eval mode, and the checkpoint's facts."""
    tensors, facts = load_tensors(checkpoint)
    backbone = Backbone(tuple(facts["recipe"]["widths"]))
    prefix = "average/"
    state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    backbone.load_state_dict(backbone.state_dict() | state)
    torch.manual_seed(0)  # the weights with which new channels listen
    return (backbone if backbone.widths == FULL_WIDTHS else widen(backbone)).eval(), facts


def shrunk(backbone: Backbone) -> dict[str, Tensor]:
    """What is stored: large tensors in float16, small ones in float32; tables that are made on loading left out."""
    return {
        name: (tensor.half() if tensor.numel() >= _HALF_FROM else tensor.float()).contiguous()
        for name, tensor in backbone.state_dict().items()
        if tensor.numel() and not name.endswith("scale_table")
    }


def _curve(path: Path, rows_shown: int = 12) -> str:
    """The validation curve as a table: first and last row and some between, loss (bpp, dB) at each λ."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = sorted({int(row["steps"]) for row in rows})
    shown = sorted({steps[round(i * (len(steps) - 1) / (rows_shown - 1))] for i in range(rows_shown)})
    lines = [
        "| step | hours | " + " | ".join(f"λ = {lam}" for lam in LAMBDAS) + " |",
        "|---" * (2 + len(LAMBDAS)) + "|",
    ]
    for step in shown:
        here = {float(row["lambda"]): row for row in rows if int(row["steps"]) == step}
        hours = float(next(iter(here.values()))["active_s"]) / 3600
        cells = (
            f"{float(here[lam]['loss']):.3f} ({float(here[lam]['bpp']):.3f} bpp, {float(here[lam]['psnr_db']):.2f} dB)"
            for lam in LAMBDAS
        )
        lines.append(f"| {step:,} | {hours:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def model_card(facts: dict[str, Any], curve: str, measured: str, notes: str) -> str:
    """The card's text; every number in it comes from the run's own files or from a measurement made just now."""
    recipe = facts["recipe"]
    return f"""# mbt-mean: mbt2018-mean with gains, one set of weights for λ = {", ".join(map(str, LAMBDAS))}

Weights of `netcodecs.progressive.backbone.Backbone` (N = 128, M = 192), the weight average over training, large
tensors in float16. This page is written by `python -m netcodecs.training.export`.

**Training.** {facts["pictures"]} photos ({facts["megapixels"]:.0f} megapixels), {facts["steps"]:,} steps of
{recipe["batch"]} crops of {recipe["crop"]}², {facts["active_s"] / 3600:.2f} hours of work on
{facts["hardware"]}; {facts["skipped"]} steps skipped as spikes. Start: {facts["start"]}.
Widths while training {tuple(recipe["widths"])}, learning rates {recipe["rate"]:g} (transforms) and
{recipe["hyper_rate"]:g} (hyperprior). {notes}

**Validation** on pictures held out, loss λ·255²·MSE + bpp, means over pictures:

{curve}

{measured}

**Known limits.** Trained for hours on a processor, not for a million steps on a GPU: at equal rate it lies below the
published mbt2018-mean. Photographs only; λ outside {LAMBDAS[0]}…{LAMBDAS[-1]} is refused. Where the network was
trained narrow, its further channels listen but are not yet heard: capacity that more training can use.

**To go on training** (the widths are full from here on):

    python -m netcodecs.training.progressive --start codecs/netcodecs/weights/mbt-mean.safetensors \\
        --images PHOTOS --validation HELD_OUT --hours 8 --out runs/mbt-mean
"""


def export(training: Path, weights: Path, *, measured_on: Path | None, published: Path | None, notes: str = "") -> None:
    """Writes ``weights`` (safetensors) and its model card beside it.

    training: a folder of ``netcodecs.training.progressive``. measured_on: test pictures for the card's second table
    (left out if None); published: folder of published curves to set beside them.
    """
    backbone, facts = averaged(training / "latest.safetensors")
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_file(shrunk(backbone), weights)
    measured = ""
    if measured_on is not None:
        rows = measure(load_backbone(weights), measured_on)
        measured = f"**Test** ({rows[0].pictures} pictures, real bytes of all streams):\n\n{table(rows, published)}"
    card = model_card(facts, _curve(training / "validation.csv"), measured, notes)
    weights.with_suffix(".md").write_text(card)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m netcodecs.training.export", description=__doc__)
    parser.add_argument("training", type=Path, help="folder of a training run")
    parser.add_argument("weights", type=Path, help="safetensors file to write; the card goes beside it")
    parser.add_argument("--measure", type=Path, help="folder of test pictures for the card")
    parser.add_argument("--published", type=Path, help="folder of published rate-distortion curves (JSON)")
    parser.add_argument("--notes", default="", help="a sentence about the run that its files don't tell")
    given = parser.parse_args(arguments)
    export(given.training, given.weights, measured_on=given.measure, published=given.published, notes=given.notes)


if __name__ == "__main__":
    main()

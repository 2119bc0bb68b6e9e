"""From a training folder to the weights that ship, with their model card: ``python -m netcodecs.training.export``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.progressive.methods import Method, method_named
from netcodecs.progressive.weights import save_weights
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.command import run
from netcodecs.training.curve import curve_table
from netcodecs.training.loop import LATEST
from netcodecs.training.measure import measure, table
from netcodecs.training.recipe import HYPER_CROPS
from netsim.errors import InputError

__all__ = ["averaged", "export", "main", "model_card"]


def averaged(checkpoint: Path) -> tuple[Backbone, dict[str, Any]]:
    """The weight average in a checkpoint, in eval mode, and the checkpoint's facts."""
    tensors, facts = load_tensors(checkpoint)
    method = method_named(facts["recipe"]["method"])
    backbone = Backbone(tuple(facts["recipe"]["widths"]), scr=method.scr, mca=method.mca)
    prefix = "average/"
    state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    backbone.load_state_dict(backbone.state_dict() | state)
    return backbone.eval(), facts


def _cell(row: Mapping[str, str]) -> str:
    bpp, psnr, lossy = (float(row[name]) for name in ("bpp", "psnr_db", "lossy_psnr_db"))
    return f"{bpp:.3f} bpp {psnr:.2f} / {lossy:.2f} dB"


def model_card(facts: dict[str, Any], method: Method, curve: str, measured: str, notes: str) -> str:
    """The card's text; every number in it comes from the run's own files or from a measurement made just now."""
    recipe = facts["recipe"]
    adds = {
        "spatial-channel rearrangement": method.scr,
        "mask conditional aggregation": method.mca,
        "double tail drop in training": method.tail_drop,
        f"{method.losses} losses in training": method.losses != "none",
    }
    added = ", ".join(name for name, there in adds.items() if there) or "nothing: the baseline"
    return f"""# {method.name}: mbt2018-mean with gains, one set of weights for λ = {", ".join(map(str, LAMBDAS))}

Adds to mbt2018-mean (N = 128, M = 192): {added}.

The weight average over training; the hyperprior's kernels as int8, those that a picture goes through as float16.
This page is written by `python -m netcodecs.training.export`.

**Training.** {facts["pictures"]} photos ({facts["megapixels"]:.0f} megapixels), {facts["steps"]:,} steps of
{recipe["batch"]} crops of {recipe["crop"]}², {facts["active_s"] / 3600:.2f} hours of work on
{facts["hardware"]}; {facts["skipped"]} steps skipped as spikes. Start: {facts["start"]}.
Widths of g_a {tuple(recipe["widths"])}, learning rates {recipe["rate"]:g} (transforms) and
{recipe["hyper_rate"]:g} (hyperprior). {_alone(recipe)}{notes}

**Validation** on pictures held out, means over pictures: estimated rate, PSNR without loss / with 10 % of the channels
lost (Gilbert–Elliott):

{curve}

{measured}

**Known limits.** {facts["active_s"] / 3600:.2f} hours of training in this run, where published networks have
days on a GPU. Photographs only; λ outside {LAMBDAS[0]}…{LAMBDAS[-1]} is refused.
Widths below (128, 128, 128) are a smaller network than the paper's;
training with `--widths 128 128 128` widens it without a change to what it computes.

**To go on training:**

    netsim train progressive --method {method.name} --start codecs/netcodecs/weights/{method.name}.safetensors \\
        --images PHOTOS --validation HELD_OUT --hours 8 --out runs/{method.name}
"""


def _alone(recipe: Mapping[str, Any]) -> str:
    """What the card says of the part of a run in which the hyperprior alone learned."""
    if not recipe["hyper_first"]:
        return ""
    part = "all" if recipe["hyper_first"] == 1 else f"the first {recipe['hyper_first']:.0%}"
    return f"In {part} of the run the hyperprior alone learned, from {HYPER_CROPS * recipe['batch']} crops a step. "


def export(training: Path, weights: Path, *, measured_on: Path | None, published: Path | None, notes: str = "") -> None:
    """Writes ``weights`` (safetensors) and its model card beside it.

    training: a folder of ``netcodecs.training.progressive``. measured_on: test pictures for the card's second table
    (left out if None); published: folder of published curves to set beside them.
    """
    backbone, facts = averaged(training / LATEST)
    method = method_named(facts["recipe"]["method"])
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(weights, backbone, method.name)
    measured = ""
    if measured_on is not None:
        rows = measure(weights, measured_on)
        measured = (
            f"**Test** ({rows[0].pictures} pictures, real bytes of all packets; each packet lost independently, two "
            f"loss patterns per picture and rate):\n\n{table(rows, published)}"
        )
    curve = curve_table(training / "validation.csv", "lambda", "λ = {:g}".format, _cell)
    card = model_card(facts, method, curve, measured, notes)
    weights.with_suffix(".md").write_text(card)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m netcodecs.training.export", description=__doc__)
    parser.add_argument("training", type=Path, help="folder of a training run")
    parser.add_argument("weights", type=Path, help="safetensors file to write; the card goes beside it")
    parser.add_argument("--measure", type=Path, help="folder of test pictures for the card")
    parser.add_argument("--published", type=Path, help="folder of published rate-distortion curves (JSON)")
    parser.add_argument("--notes", default="", help="a sentence about the run that its files don't tell")
    parser.add_argument("--values-from", type=Path, help="resicomp: folder of a second run, whose Transformer conceals")
    given = parser.parse_args(arguments)
    if "method" not in load_tensors(given.training / LATEST)[1].get("recipe", {}):
        from netcodecs.training.masked.export import export as export_resicomp

        if given.measure is not None or given.published is not None:
            raise InputError("--measure and --published are for the channel-progressive family", hint="leave them out")
        export_resicomp(given.training, given.weights, values_from=given.values_from, notes=given.notes)
        return
    export(given.training, given.weights, measured_on=given.measure, published=given.published, notes=given.notes)


if __name__ == "__main__":
    run(main)

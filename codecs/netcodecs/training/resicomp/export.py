"""From a training folder to ResiComp's weights and their model card."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.weights import save_weights
from netcodecs.training.card_section import put_test_section, smaller_crops, write_card
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import load_folder
from netcodecs.training.core.fitting import FITTED_IMAGES
from netcodecs.training.core.run import CHECKPOINT, VALIDATION
from netcodecs.training.resicomp.entropy_coding import fit_token_context
from netcodecs.training.resicomp.measure import Measured, measure, section_of
from netcodecs.training.resicomp.session import averaged_model
from netcodecs.training.validation_table import validation_table

__all__ = ["export", "model_card"]


def export(
    training: Path,
    weights: Path,
    notes: str = "",
    *,
    count_images: Path | None = None,
    test_images: Path | None = None,
    named: Path | None = None,
) -> list[Measured]:
    """Writes the weight average of a run, and its model card beside it.

    Args:
        training: Folder of a run of ResiComp.
        weights: Safetensors file to write.
        notes: A sentence about the run that its files don't tell.
        count_images: Folder of training images to which entropy coding is fitted.
        test_images: Folder of images for the card's second table.
        named: Where the weights will lie, for the card; None: at ``weights``.

    Returns:
        What was measured on ``test_images``, empty without.
    """
    facts = load_tensors(training / CHECKPOINT)[1]
    model = averaged_model(training / CHECKPOINT)
    if count_images is not None:
        fit_token_context(model, load_folder(count_images, at_least=64, limit=FITTED_IMAGES))
    save_weights(weights, model, facts={"steps": facts["steps"]})
    validation = validation_table(training / VALIDATION, _cell)
    card = model_card(facts, model, validation, named or weights, notes=notes)
    write_card(weights, card)
    rows = measure(weights, test_images) if test_images is not None else []
    if rows:
        put_test_section(weights, section_of(rows))
    return rows


def _cell(row: Mapping[str, str]) -> str:
    names = ("lc_bpp", "bpp_0", "bpp_50", "psnr_db", "concealed_psnr_db")
    lc, none, half, psnr, concealed = (float(row[name]) for name in names)
    return f"{lc:.3f} ({none:.3f}, {half:.3f}) bpp {psnr:.2f} / {concealed:.2f} dB"


def model_card(
    facts: Mapping[str, Any], model: ResiCompModel, validation: str, weights: Path, *, notes: str = ""
) -> str:
    """The card's text; every number in it comes from the run's own files or from a measurement made just now.

    Args:
        facts: Of the run's checkpoint.
        model: What was trained.
        validation: The table of the run's validations.
        weights: Where the file lies.
        notes: A sentence about the run.
    """
    config, size = facts["config"], model.transformer.size
    count = sum(parameter.numel() for parameter in model.parameters())
    second = " A second Transformer of this size conceals losses." if model.second is not None else ""
    learns = f"at {facts['transforms_rate']:g} times the rate" if facts["transforms_rate"] else "not at all"
    weighted = "; ".join([f"losses weighted by (.0067/λ)^{facts.get('balance', 0.4):g}", *smaller_crops(facts)])
    return f"""# resicomp

Transforms of kind `{model.transforms.kind.kind}` and a masked Swin Transformer ({size.layers} layers of {size.width},
{size.heads} heads, windows of {size.window}×{size.window} tokens, {size.mixtures} Gaussians per element) with a density
head and a concealing head; {count:,} parameters in all.{second} The weight average over training; large kernels as int8
with a scale per output channel. This page is written by `python -m netcodecs.training.export`.

**Training.** {facts["images"]} photos ({facts["megapixels"]:g} megapixels), {facts["steps"]:,} steps of
{config["batch"]} crops of {config["crop"]}² per process, {facts["processes"]} processes, {facts["active_s"] / 3600:.2f}
hours; {facts["skipped"]} steps skipped as spikes. Start: {facts["start"]}. Learning rate {config["rate"]:g}; transforms
learn {learns}; α = {facts["alpha"]:g}; {weighted}. {notes}

**Validation** on images held out, means over images: estimated rate of LC (of tokens of which none, half of the others
are known), PSNR without loss / with a random half of the tokens concealed:

{validation}

**Known limits.** Photographs only; λ outside {model.transforms.lambdas[0]:g}…{model.transforms.lambdas[-1]:g} is
refused.

**To go on training:**

    netsim train resicomp --start {shlex.quote(str(weights))} \\
        --images PHOTOS --validation HELD_OUT --steps 20000 --out runs/resicomp
"""

"""From a training folder to ResiComp's weights that ship, with their model card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from netcodecs.progressive.backbone import Backbone, M
from netcodecs.progressive.methods import shipped_weights
from netcodecs.resicomp.transformer import DualTransformer
from netcodecs.resicomp.weights import of_transforms, save_weights
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.curve import curve_table, last_row
from netcodecs.training.loop import LATEST
from netcodecs.training.masked.recipe import Recipe, recipe_in
from netcodecs.training.masked.trainer import NETWORK_SIZES
from netcodecs.training.masked.transforms import (
    below,
    same_transforms,
    transforms_among,
    transforms_at,
)
from netcodecs.training.recipe import STRIDE
from netsim.errors import InputError

__all__ = ["Averaged", "averaged", "export", "model_card"]


@dataclass(frozen=True)
class Averaged:
    """The weight average in a checkpoint, in eval mode. transforms: those of the run; the name of the method whose
    weights ship, where they are the very same."""

    network: DualTransformer
    spread: Tensor
    transforms: Backbone | str
    recipe: Recipe
    facts: dict[str, Any]


def averaged(checkpoint: Path) -> Averaged:
    """Reads a checkpoint of ``netsim train resicomp``. Raises InputError if there is no such checkpoint."""
    tensors, facts = load_tensors(checkpoint)
    recipe = recipe_in(facts, checkpoint)
    network = DualTransformer(M, NETWORK_SIZES[recipe.size])
    network.load_state_dict(below(tensors, "average/"))
    backbone = transforms_among(tensors, facts)
    shipped = shipped_weights("mbt-mean")
    ships = shipped.is_file() and same_transforms(backbone, transforms_at(shipped))
    return Averaged(network.eval(), tensors["spread"], "mbt-mean" if ships else backbone, recipe, facts)


def _number(row: Mapping[str, str], name: str) -> float:
    return float(row.get(name) or "nan")


def _cell(row: Mapping[str, str]) -> str:
    parts = [
        ("bpp", ".3f", "bpp"),
        ("psnr_db", ".2f", "dB"),
        ("concealed_db", ".2f", "dB"),
        ("lossy_psnr_db", ".2f", "dB"),
    ]
    return " ".join(f"{_number(row, n):{form}} {unit}" for n, form, unit in parts if not math.isnan(_number(row, n)))


def curve(path: Path) -> str:
    """The validation curve, a column per share of known tokens."""
    lam = _number(last_row(path), "lambda")
    return f"λ = {lam:.4g}:\n\n" + curve_table(path, "known", "{:.0%} known".format, _cell)


def _trained(one: Averaged) -> str:
    """The paragraph about a run."""
    facts, recipe = one.facts, one.recipe
    side = STRIDE * recipe.side
    return (
        f"{facts['pictures']} photos ({facts['megapixels']:.0f} megapixels), {facts['steps']:,} steps of "
        f"{recipe.batch} crops of {side}², {facts['active_s'] / 3600:.2f} hours of work on "
        f"{facts['hardware']}; {facts['skipped']} steps skipped as spikes. "
        f"Start: {facts['start']}. Learning rate {recipe.rate:g}, λ from {recipe.lambdas[0]:g} to "
        f"{recipe.lambdas[1]:g}, α = {recipe.alpha:g}, heads: {recipe.heads}"
        + (f"; transforms too, at {recipe.transforms_rate:g}" if recipe.transforms_too else "")
        + "."
    )


def _described(transforms: Backbone | str) -> str:
    if isinstance(transforms, str):
        return f"those of `{transforms}`, which ships"
    whose = "ELIC's" if transforms.kind == "elic" else "mbt2018-mean's"
    count = sum(tensor.numel() for tensor in of_transforms(transforms).values())
    return f"{whose}, {', '.join(map(str, transforms.widths))} channels inside, {count:,} parameters; in this file"


def model_card(one: Averaged, curves: str, values: Averaged | None = None, notes: str = "") -> str:
    """The card's text; every number in it comes from the run's own files. values: the run of a second Transformer."""
    recipe, size = one.recipe, one.network.size
    count = sum(p.numel() for p in one.network.parameters())
    own = _described(one.transforms)
    through = recipe.transforms_too
    distances = (
        "PSNR of the loss-free picture and of the one whose masked tokens are concealed"
        if through
        else "PSNR of concealed tokens, estimated from the latent's error"
    )
    second = f"\n**Training of the concealing Transformer.** {_trained(values)}\n" if values else ""
    hours = one.facts["active_s"] / 3600
    return f"""# resicomp: masked Transformer, one set of weights for λ = {recipe.lambdas[0]:g} to {recipe.lambdas[1]:g}

Swin Transformer ({recipe.size}: {size.layers} layers of {size.width}, {size.heads} heads, {size.mixtures} Gaussians
per element; {count:,} parameters) with a density head and a concealing head. Transforms: {own}. The weight average
over training; matrices as int8 with a scale per row. This page is written by `python -m netcodecs.training.export`.

**Training.** {_trained(one)} {notes}
{second}
**Validation** on pictures held out, means over pictures, with a share of the tokens known: estimated rate of the
others, as if the whole picture were like them; {distances}. {curves}

**Known limits.** {hours:.2f} hours of training, where the paper's network has 1.1 million steps on a GPU.
{"" if through else "The transforms were trained for another entropy model and don't know of the Transformer. "}\
Photographs only; λ outside {recipe.lambdas[0]:g}…{recipe.lambdas[1]:g} is refused.

**To go on training:**

    netsim train resicomp --start codecs/netcodecs/weights/resicomp-compact.safetensors \\
        --images PHOTOS --validation HELD_OUT --hours 8 --out runs/resicomp
"""


def export(training: Path, weights: Path, *, values_from: Path | None = None, notes: str = "") -> None:
    """Writes ``weights`` (safetensors) and its model card beside it.

    training: a folder of ``netsim train resicomp``. values_from: folder of a second run whose Transformer conceals,
    the first one's only codes.
    """
    one = averaged(training / LATEST)
    more: dict[str, Any] = {}
    values = None
    if values_from is not None:
        values = averaged(values_from / LATEST)
        _check_pair(one, values)
        more["values"] = values.network
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(weights, one.network, one.spread, one.recipe.lambdas, one.transforms, **more)
    curves = [curve(folder / "validation.csv") for folder in (training, values_from) if folder is not None]
    weights.with_suffix(".md").write_text(model_card(one, "\n\n".join(curves), values, notes))


def _check_pair(one: Averaged, values: Averaged) -> None:
    """Raises InputError if two runs' Transformers don't see the same latents."""
    if one.recipe.heads == "value" or values.recipe.heads == "density":
        raise InputError("the first run's Transformer codes, the second's conceals", hint="change their places")
    if one.recipe.transforms_too or values.recipe.transforms_too:
        raise InputError("separate Transformers need the same transforms", hint="train both without --transforms-too")
    if not one.spread.equal(values.spread):
        hint = "the same --images and --transforms for both"
        raise InputError("the two runs learned from other latents: their channels' spreads differ", hint=hint)

"""The transforms that a run learns on: from a file of weights, from a checkpoint, and whether they are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import load_weights
from netcodecs.resicomp.weights import holds_resicomp, of_transforms
from netcodecs.resicomp.weights import load_weights as load_resicomp
from netsim.errors import InputError

__all__ = ["below", "check_given", "same_transforms", "transforms_among", "transforms_at"]


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it.

    >>> below({"a/b": 1, "c": 2}, "a/")
    {'b': 1}
    """
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def transforms_at(path: Path) -> Backbone:
    """A baseline's network, or what ResiComp's weights have of one.

    Raises InputError if the file holds one with modules of its own.
    """
    if holds_resicomp(path):
        return load_resicomp(path).backbone
    backbone, method = load_weights(path)
    if backbone.scr or backbone.aggregation is not None:
        raise InputError(f"{path.name} is of {method.name}", hint="the transforms are those of mbt-mean, or random")
    return backbone


def transforms_among(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Backbone:
    """Those in a checkpoint, averaged if they learned."""
    state = below(tensors, "average_transforms/") or below(tensors, "transforms/")
    noted = facts["transforms"]
    kind = noted.get("kind", "mbt")  # checkpoints from before there was a choice don't say
    backbone = Backbone(tuple(noted["widths"]), lambdas=tuple(noted["lambdas"]), kind=kind)
    backbone.load_state_dict(backbone.state_dict() | state)
    return backbone.eval()


def same_transforms(one: Backbone, other: Backbone) -> bool:
    """Whether two networks have the same g_a, g_s and gains, bit for bit."""
    mine, theirs = of_transforms(one), of_transforms(other)
    return all(n in theirs and t.shape == theirs[n].shape and t.equal(theirs[n]) for n, t in mine.items())


def check_given(own: Backbone, given: str | None, widths: Sequence[int] | None, where: Path) -> None:
    """Raises InputError if what is given beside the transforms found at ``where`` are others.

    given: a file, or ``elic`` for its kind. widths: of them.
    """
    if widths is not None and tuple(widths) != own.widths:
        raise InputError(f"{where} has transforms of widths {own.widths}", hint="leave --widths out")
    if given == "elic":
        if own.kind != given:
            hint = "leave --transforms out, or --start: ELIC's transforms begin with a Transformer of their own"
            raise InputError(f"{where} was trained on other transforms than ELIC's", hint=hint)
    elif given is not None and not same_transforms(own, transforms_at(Path(given))):
        name = Path(given).name
        raise InputError(f"{where} was trained on other transforms than {name}", hint="leave --transforms out")

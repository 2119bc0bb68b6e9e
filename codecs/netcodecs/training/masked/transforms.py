"""The transforms that a run learns on: from a file of weights, from a checkpoint, and whether they are the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.weights import load_weights
from netsim.errors import InputError

__all__ = ["below", "of_transforms", "same_transforms", "transforms_among", "transforms_at", "transforms_of"]


def of_transforms(backbone: Backbone) -> dict[str, Tensor]:
    """What of a backbone ResiComp uses: g_a, g_s and the gains, by name."""
    used = ("model.g_a.", "model.g_s.", "log_gain", "log_inverse_gain")
    return {name: tensor for name, tensor in backbone.state_dict().items() if name.startswith(used)}


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it.

    >>> below({"a/b": 1, "c": 2}, "a/")
    {'b': 1}
    """
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def transforms_at(path: Path) -> Backbone:
    """A baseline's network. Raises InputError if the file holds one with modules of its own."""
    backbone, method = load_weights(path)
    if backbone.scr or backbone.aggregation is not None:
        raise InputError(f"{path.name} is of {method.name}", hint="the transforms are those of mbt-mean, or random")
    return backbone


def transforms_among(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Backbone | None:
    """Those in a checkpoint, averaged if they learned; None in one of the trainer's first version."""
    state = below(tensors, "average_transforms/") or below(tensors, "transforms/")
    if not state:
        return None
    noted = facts["transforms"]
    backbone = Backbone(tuple(noted["widths"]), lambdas=tuple(noted["lambdas"]))
    backbone.load_state_dict(backbone.state_dict() | state)
    return backbone.eval()


def same_transforms(one: Backbone, other: Backbone) -> bool:
    """Whether two networks have the same g_a, g_s and gains, bit for bit."""
    mine, theirs = of_transforms(one), of_transforms(other)
    return all(n in theirs and t.shape == theirs[n].shape and t.equal(theirs[n]) for n, t in mine.items())


def transforms_of(own: Backbone | None, given: Path | None, where: Path) -> Backbone:
    """Those that a run or its checkpoint has, else those of a file, else those that ship.

    own: found at ``where``. Raises InputError if a file is given beside them and holds others.
    """
    if own is None:
        return transforms_at(given or shipped_weights("mbt-mean"))
    if given is not None and not same_transforms(own, transforms_at(given)):
        raise InputError(f"{where} was trained on other transforms than {given.name}", hint="leave --transforms out")
    return own

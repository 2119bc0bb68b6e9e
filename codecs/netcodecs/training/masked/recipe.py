"""What defines a run that trains ResiComp, apart from its pictures and its length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from netcodecs.training.recipe import STRIDE
from netsim.errors import InputError, did_you_mean

__all__ = ["ELIC_WIDTHS", "HEADS", "SIZES", "Recipe", "differing", "recipe_in"]

SIZES = ("compact", "paper")
#: of each size, channels after the first three convolutions of ELIC's g_a: the paper's, and some for modest hardware
ELIC_WIDTHS = {"compact": (48, 64, 128), "paper": (256, 256, 256)}
HEADS = ("both", "density", "value")


@dataclass(frozen=True)
class Recipe:
    """Settings of a run.

    batch: crops per step, of side × side tokens. rate: learning rate. lambdas: range of λ, drawn log-uniformly.
    alpha: weight of the concealment's error (ResiComp, Eq. 12). average: decay per step of the weight average.
    clip: largest norm of a gradient. warm: share of the run over which the learning rate rises.
    size: of the Transformer. heads: which of its heads learn; ``density`` in one run and ``value`` in another give the
    paper's separate Transformers. bf16: autocast.
    transforms_too: g_a, g_s and the gains learn as well, through pictures, at transforms_rate; for the first
    lambda_warm_up of the run with distortions weighed ten times (ResiComp, §V-A).
    """

    batch: int = 8
    side: int = 16
    rate: float = 1e-3
    lambdas: tuple[float, float] = (0.001, 0.0067)
    alpha: float = 0.1
    average: float = 0.998
    clip: float = 1.0
    warm: float = 0.03
    seed: int = 0
    size: str = "compact"
    heads: str = "both"
    bf16: bool = False
    transforms_too: bool = False
    transforms_rate: float = 1e-4
    lambda_warm_up: float = 0.0

    def checked(self) -> Recipe:
        """This recipe. Raises InputError for a value that no run can have."""
        for name, known in (("size", SIZES), ("heads", HEADS)):
            if getattr(self, name) not in known:
                raise InputError(f"no {name} `{getattr(self, name)}`", hint=did_you_mean(getattr(self, name), known))
        if self.batch < 1:
            raise InputError(f"batch {self.batch}", hint="at least 1")
        if self.side < 4 or self.side % 4:
            raise InputError(f"crop {self.side * STRIDE}", hint="a multiple of 64: the Transformer's windows")
        for name in ("rate", "transforms_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}", hint="a learning rate is above zero")
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"alpha {self.alpha}", hint="the weight of the concealment's error: 0 or more")
        if not 0 < self.lambdas[0] <= self.lambdas[1] < math.inf:
            low, high = self.lambdas
            raise InputError(f"lambdas {low:g} {high:g}", hint="the lowest, then the highest, above zero")
        if not 0 <= self.lambda_warm_up < 1:
            raise InputError(f"lambda_warm_up {self.lambda_warm_up}", hint="a share of the run, from 0 to below 1")
        return self._consistent()

    def _consistent(self) -> Recipe:
        if self.lambda_warm_up and not self.transforms_too:
            hint = "with transforms that stay as they are, λ weighs nothing against the rate: add --transforms-too"
            raise InputError("a λ warm-up without training the transforms", hint=hint)
        if self.transforms_too and self.heads != "both":
            raise InputError(f"transforms_too with heads {self.heads}", hint="transforms learn from both heads")
        if self.heads == "value" and self.alpha == 0:
            raise InputError("heads value with alpha 0", hint="nothing would be learned")
        return self


def recipe_in(facts: Mapping[str, Any], path: object) -> Recipe:
    """The recipe in a checkpoint's facts.

    Raises InputError, naming ``path``, if it is another family's.
    """
    own = facts.get("recipe", {})
    if unknown := sorted(set(own) - {field.name for field in fields(Recipe)}):
        raise InputError(f"{path} is no checkpoint of resicomp: its recipe has `{unknown[0]}`")
    return Recipe(**(own | {"lambdas": tuple(own["lambdas"])}))


def differing(recipe: Recipe, wanted: Mapping[str, Any]) -> str:
    """What a recipe has that is not as wanted, for a reader; "" if nothing.

    >>> differing(Recipe(), {"size": "paper", "batch": 8})
    'size compact, not paper'
    """
    own = asdict(recipe)
    return ", ".join(f"{name} {own[name]}, not {value}" for name, value in wanted.items() if own[name] != value)

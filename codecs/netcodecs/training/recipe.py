"""What defines a training run, apart from its pictures and its length."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from netcodecs.progressive.methods import method_named
from netsim.errors import InputError

__all__ = ["HYPER_CROPS", "STRIDE", "Recipe", "differing", "recipe_in"]

STRIDE = 16  # pixels of a latent sample's side
HYPER_CROPS = 4  # times as many crops a step where the hyperprior alone learns: they cost little


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run.

    method: one of ``netcodecs.progressive.methods``. batch: crops per step, a multiple of the number of λ.
    crop: side in pixels, a multiple of 64.
    rate: learning rate for g_a, g_s; hyper_rate: for the hyperprior, the bottleneck and the gains;
    aux_rate: for the bottleneck's quantiles. warm: share of the run over which the rates rise.
    hyper_first: share of the run in which the hyperprior alone learns, on latents made once, with several times as many
    crops a step; 1: g_a and g_s stay as they are. With SCR it begins with what was trained on channels that SCR has
    since mixed, and until it knows better its gradient would spoil g_a.
    average: decay per step of the weight average that is validated and exported. bf16: autocast of g_a and g_s.
    """

    method: str = "mbt-mean"
    widths: tuple[int, int, int] = (128, 128, 128)
    batch: int = 4
    crop: int = 192
    rate: float = 6e-4
    hyper_rate: float = 1e-3
    aux_rate: float = 1e-3
    warm: float = 0.02
    hyper_first: float = 0.0
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    bf16: bool = False

    def checked(self) -> Recipe:
        """This recipe. Raises InputError for a value that no run can have."""
        from netcodecs.progressive.backbone import FULL_WIDTHS, LAMBDAS  # torch is not loaded for --help

        method_named(self.method)
        if not (self.batch > 0 and self.batch % len(LAMBDAS) == 0 and self.crop > 0 and self.crop % 64 == 0):
            hint = f"a batch divides by {len(LAMBDAS)} (one crop per λ), a crop by 64"
            raise InputError(f"batch {self.batch}, crop {self.crop}", hint=hint)
        if any(not 0 < width <= full for width, full in zip(self.widths, FULL_WIDTHS, strict=True)):
            raise InputError(f"widths {' '.join(map(str, self.widths))}", hint=f"each from 1 to {max(FULL_WIDTHS)}")
        for name in ("rate", "hyper_rate", "aux_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}", hint="a learning rate is above zero")
        if not 0 <= self.hyper_first <= 1:
            raise InputError(f"hyper_first {self.hyper_first}", hint="a share of the run, from 0 to 1")
        return self


def recipe_in(facts: dict[str, Any]) -> Recipe:
    """The recipe in a checkpoint's facts."""
    return Recipe(**(facts["recipe"] | {"widths": tuple(facts["recipe"]["widths"])}))


def differing(recipe: Recipe, wanted: dict[str, Any]) -> str:
    """What a recipe has that is not as wanted, for a reader; "" if nothing.

    >>> differing(Recipe(), {"method": "random", "batch": 4})
    'method mbt-mean, not random'
    """
    own = asdict(recipe)
    return ", ".join(f"{name} {own[name]}, not {value}" for name, value in wanted.items() if own[name] != value)

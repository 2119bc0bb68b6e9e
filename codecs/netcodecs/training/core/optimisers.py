"""The optimisers of a training step: which parameter is updated how, the course of the rates, gradient spikes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from netcodecs.training.core.checkpoint import optimiser_tensors, restore_optimiser
from netcodecs.training.core.soap import Soap

__all__ = ["Grouping", "Optimisers", "SpikeFilter", "ema_update", "rate_factor"]

#: name and parameter → ("soap" or "adam", learning rate as a multiple of the run's)
Grouping = Callable[[str, nn.Parameter], tuple[str, float]]

_SOAP_EVERY, _SOAP_EVERY_ON_GPU = 10, 25  # steps between two turns of the bases: QR is slow on a GPU
_SETTLED_STEPS = 100  # after which a gradient's usual size is known
_SPIKE = 10.0  # times the usual norm
_LARGE = 2.0


def rate_factor(share: float, warm: float) -> float:
    """Learning rate as a share of its maximum: linear rise over ``warm``, then a cosine to zero.

    >>> rate_factor(0.0, 0.02), round(rate_factor(0.5, 0.02), 3), rate_factor(1.0, 0.02)
    (0.01, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0))) * min(1.0, share / warm + 0.01)


class Optimisers:
    """SOAP for kernels, Adam for the rest.

    Args:
        network: What learns.
        grouping: Says of each parameter which optimiser it has, and its rate.
        rate: The run's maximal learning rate.
    """

    def __init__(self, network: nn.Module, grouping: Grouping, rate: float) -> None:
        groups: dict[str, defaultdict[float, list[Tensor]]] = {"soap": defaultdict(list), "adam": defaultdict(list)}
        self.parameters: list[nn.Parameter] = []
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                kind, factor = grouping(name, parameter)
                groups[kind][factor].append(parameter)
                self.parameters.append(parameter)
        given = {
            kind: [{"params": p, "maximum": rate * factor} for factor, p in sorted(by_factor.items())]
            for kind, by_factor in groups.items()
            if by_factor
        }
        on_gpu = any(parameter.is_cuda for parameter in self.parameters)
        every = _SOAP_EVERY_ON_GPU if on_gpu else _SOAP_EVERY
        self._optimisers: dict[str, torch.optim.Optimizer] = {
            kind: Soap(g, lr=rate, every=every)
            if kind == "soap"
            else torch.optim.Adam(g, lr=rate, betas=(0.9, 0.99), fused=True)
            for kind, g in given.items()
        }

    def step(self, factor: float) -> None:
        """One update at ``factor`` times the maximal rates."""
        for optimiser in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = group["maximum"] * factor
            optimiser.step()

    def tensors(self) -> dict[str, Tensor]:
        """The running state, by name."""
        made: dict[str, Tensor] = {}
        for kind, optimiser in self._optimisers.items():
            made |= optimiser_tensors(optimiser, f"optimiser/{kind}")
        return made

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Puts back what :meth:`tensors` returned."""
        for kind, optimiser in self._optimisers.items():
            restore_optimiser(optimiser, tensors, f"optimiser/{kind}")


class SpikeFilter:
    """Skips gradients far above the usual norm, and shortens those somewhat above it.

    Attributes:
        skipped: How many steps were skipped.
        usual_norm: Running mean of the gradient's norm.
    """

    def __init__(self) -> None:
        self.skipped, self.usual_norm = 0, 0.0

    def scale(self, norm: float, steps: int) -> float:
        """What to multiply a gradient by; 0: skip the step.

        Each skipped step raises the usual norm by a fifth, so that gradients that have grown for good are accepted
        after a few steps.

        Args:
            norm: Of the gradient.
            steps: Done so far.
        """
        settled = steps > _SETTLED_STEPS and self.usual_norm > 0
        if not math.isfinite(norm) or (settled and norm > _SPIKE * self.usual_norm):
            self.usual_norm *= 1.2
            self.skipped += 1
            return 0.0
        self.usual_norm = norm if self.usual_norm == 0 else 0.98 * self.usual_norm + 0.02 * norm
        return min(1.0, _LARGE * self.usual_norm / norm) if norm else 1.0


@torch.no_grad()
def ema_update(average: Iterable[Tensor], now: Iterable[Tensor], decay: float, steps: int) -> None:
    """Moves an exponential moving average of weights towards the weights after step ``steps``.

    In the first steps the average follows faster than ``decay`` says.
    """
    mine = [tensor for tensor in average if tensor.is_floating_point()]
    theirs = [tensor for tensor in now if tensor.is_floating_point()]
    torch._foreach_lerp_(mine, theirs, 1 - min(decay, (1 + steps) / (10 + steps)))

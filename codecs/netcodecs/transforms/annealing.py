"""Encoder-side search: a better latent for the same decoder.

Stochastic Gumbel annealing (Yang, Bamler & Mandt, "Improving inference for neural image compression", NeurIPS 2020,
§3.2): a latent is refined by gradient steps on the loss that a codec was trained with. Rounding is replaced by a random
choice between the two neighbouring integers whose temperature falls, so that nothing changes where it becomes rounding
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

__all__ = ["SEARCH_STEPS", "anneal", "frozen"]

#: of each effort
SEARCH_STEPS = (0, 100, 300)
_HOT, _COLD = 0.5, 0.1  # temperature at the first and at the last step
_STEADY = 0.7  # share of the steps at full rate; then it falls to a twentieth


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Modules whose parameters get no gradients for a while."""
    learned = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def anneal(
    values: Sequence[tuple[Tensor, float]], steps: int, loss_of: Callable[[int, Callable[[Tensor], Tensor]], Tensor]
) -> None:
    """Moves tensors, in place, to where a loss is less once they are rounded. The same at every call.

    Args:
        values: Tensors that ask for gradients, each with its learning rate.
        steps: Of the search. Ten to fifty make the result worse than none.
        loss_of: The loss of a step; it gets the step's number and the function that stands for rounding.
    """
    generator = torch.Generator(values[0][0].device).manual_seed(0)
    optimiser = torch.optim.Adam([{"params": [tensor], "rate": rate} for tensor, rate in values], betas=(0.9, 0.99))
    with torch.enable_grad():
        for step in range(steps):
            share = step / max(steps - 1, 1)
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * (1.0 if share < _STEADY else (1 - share) / (1 - _STEADY) + 0.05)
            temperature = _HOT * (_COLD / _HOT) ** share
            loss = loss_of(step, partial(_soft_rounded, temperature=temperature, generator=generator))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _soft_rounded(values: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A random mixture of both neighbouring integers; the nearer one is the likelier (Yang et al., eq. 7)."""
    floor = torch.floor(values).detach()
    part = (values - floor).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(part), -torch.atanh(1 - part)]) / temperature
    uniform = torch.rand(logits.shape, generator=generator, device=values.device).clamp(1e-9, 1 - 1e-7)
    weights = torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, 0)
    return floor + weights[1]

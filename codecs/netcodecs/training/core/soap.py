"""SOAP: Adam in the eigenbasis of the gradient's second moment (Vyas et al., "SOAP: Improving and stabilizing Shampoo
using Adam", ICLR 2025, algorithm 3).

Its steps are dearer than Adam's, but at equal time the first thousands of them take a transform coder visibly further
(docs/notes/training.md has the trial).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Soap"]

_LARGEST = 256  # a side longer than this keeps its own basis: rotating it would cost more than the network itself


class Soap(torch.optim.Optimizer):
    """SOAP over the sides (out, in, taps) of convolution kernels, or (out, in) of matrices.

    A side of length 1 or above 256 is not rotated. parameters: 4-D or 2-D tensors, or groups of them with their own
    ``lr``. betas: decay of the momentum and of the squares.
    shampoo: decay of each side's second moment, updated at every second step. every: steps between two updates of the
    bases. The momentum is kept in the rotated basis.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        shampoo: float = 0.9,
        every: int = 10,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "shampoo": shampoo, "every": every})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; the very first only measures."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, _three_sided(parameter.grad), group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        sides = [i for i in range(3) if 1 < gradient.shape[i] <= _LARGEST]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            for side in sides:
                state[f"moment{side}"] = _moment(gradient, side)
                # in double precision: where channels had no gradient, single gives NaN or does not converge
                basis = torch.linalg.eigh(state[f"moment{side}"].double())[1].flip(1)
                # contiguous, as from a checkpoint: a product's last bits depend on it
                state[f"basis{side}"] = basis.to(gradient.dtype, memory_format=torch.contiguous_format)
        state["step"] += 1
        step, (first, second) = int(state["step"]), group["betas"]
        bases = {side: state[f"basis{side}"] for side in sides}
        rotated = _rotate(gradient, bases)
        state["exp_avg"].lerp_(rotated, 1 - first)
        state["exp_avg_sq"].lerp_(rotated**2, 1 - second)
        if step > 1:
            scale = (state["exp_avg_sq"] / (1 - second**step)).sqrt_().add_(1e-10)
            update = _rotate(state["exp_avg"] / scale, {side: basis.T for side, basis in bases.items()})
            parameter.sub_(update.view(parameter.shape), alpha=group["lr"] / (1 - first**step))
        if step % 2 == 0:
            for side in sides:
                state[f"moment{side}"].lerp_(_moment(gradient, side), 1 - group["shampoo"])
        if step % group["every"] == 0 or step in (2, 4):
            self._turn(state, bases)

    @staticmethod
    def _turn(state: dict[str, Tensor], bases: dict[int, Tensor]) -> None:
        """One power iteration follows the slowly turning eigenbases; the momentum turns with them."""
        still = _rotate(state["exp_avg"], {side: basis.T for side, basis in bases.items()})
        for side, basis in bases.items():
            state[f"basis{side}"] = torch.linalg.qr(state[f"moment{side}"] @ basis)[0].contiguous()
        state["exp_avg"] = _rotate(still, {side: state[f"basis{side}"] for side in bases})


def _moment(gradient: Tensor, side: int) -> Tensor:
    rows = gradient.movedim(side, 0).flatten(1)
    return rows @ rows.T


def _rotate(tensor: Tensor, bases: dict[int, Tensor]) -> Tensor:
    """basisᵀ applied along each side of a (out, in, taps) tensor."""
    if 0 in bases:
        tensor = (bases[0].T @ tensor.flatten(1)).view(tensor.shape)
    if 1 in bases:  # a matrix in one product, not row by row
        tensor = bases[1].T @ tensor if tensor.shape[2] > 1 else (tensor[:, :, 0] @ bases[1])[:, :, None]
    return tensor @ bases[2] if 2 in bases else tensor


def _three_sided(gradient: Tensor) -> Tensor:
    """(out, in, taps); a matrix has one tap."""
    return gradient.contiguous().reshape(*gradient.shape[:2], -1)

from __future__ import annotations

import torch
from netcodecs.training.core.soap import Soap
from torch import Tensor


def _distance(optimiser: type[torch.optim.Optimizer], steps: int) -> float:
    """Squared distance left on a quadratic whose axes are turned against the parameter's."""
    generator = torch.Generator().manual_seed(3)
    turn, _ = torch.linalg.qr(torch.randn(24, 24, generator=generator))
    curvature = turn @ torch.diag(torch.logspace(0, 3, 24)) @ turn.T
    target = torch.randn(24, 6, 3, 3, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(24, 6, 3, 3))
    running = optimiser([weight], lr=0.03)  # type: ignore[call-arg]
    for _ in range(steps):
        gap: Tensor = weight - target
        loss = 0.5 * torch.einsum("oikl,op,pikl->", gap, curvature, gap)
        running.zero_grad()
        loss.backward()
        running.step()
    return float(((weight - target) ** 2).sum())


def test_turned_axes_hinder_adam_more_than_soap() -> None:
    assert _distance(Soap, 200) < 0.5 * _distance(torch.optim.Adam, 200)


def test_bases_stay_orthonormal_and_long_sides_are_left_alone() -> None:
    weight = torch.nn.Parameter(torch.randn(8, 300, 3, 3, generator=torch.Generator().manual_seed(0)))
    running = Soap([weight], lr=1e-3)
    for _ in range(25):
        running.zero_grad()
        (weight**4).sum().backward()
        running.step()
    state = running.state[weight]
    assert "basis1" not in state
    for side in (0, 2):
        basis = state[f"basis{side}"]
        torch.testing.assert_close(basis.T @ basis, torch.eye(len(basis)), atol=1e-5, rtol=0)


def test_channels_without_a_gradient_do_no_harm() -> None:
    """As where tail drop sends few channels: the second moment has low rank, and numbers at the edge of float32."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(48, 196, 3, 3, generator=generator))
    scale = torch.logspace(0, -40, 196)[None, :, None, None]
    scale[:, 150:] = 0
    running = Soap([weight], lr=1e-3)
    for _ in range(4):
        running.zero_grad()
        slope = torch.randn(48, 196, 3, 3, generator=generator) * scale
        (weight * slope).sum().backward()
        running.step()
    assert bool(weight.isfinite().all())

"""Encoder-side search: a better latent for the same decoder.

Stochastic Gumbel annealing (Yang, Bamler & Mandt, "Improving inference for neural image compression", NeurIPS 2020,
§3.2): latent and hyperprior are refined by gradient steps on λ·255²·MSE + bpp. Rounding is replaced by a random choice
between the two neighbouring integers whose temperature falls, so that nothing changes where it becomes rounding again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.transforms.hyperprior import Hyperprior, gaussian_bits

__all__ = ["SEARCH_STEPS", "refined"]

#: of each effort
SEARCH_STEPS = (0, 100, 300)
_LATENT_RATE, _HYPER_RATE = 0.03, 0.02
_HOT, _COLD = 0.5, 0.1  # temperature at the first and at the last step
_STEADY = 0.7  # share of the steps at full rate; then it falls to a twentieth


def refined(network: Backbone, image: Tensor, lam: float, steps: int) -> tuple[Tensor, Tensor]:
    """The latent and the hyperprior of an image after a search.

    Args:
        network: In eval mode, of kind ``residual``; its parameters keep their gradients' state.
        image: (1, 3, H, W), 0…1, H and W multiples of 64.
        lam: Weight of the distortion.
        steps: Of the search. Ten to fifty make the result worse than none.

    Returns:
        The latent before SCR, (1, M, h, w), and the hyperprior, (1, N, h/4, w/4), both to be rounded.
    """
    hyper = network.hyper
    assert isinstance(hyper, Hyperprior)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    generator = torch.Generator(image.device).manual_seed(0)
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        with torch.no_grad():
            gain, inverse = network.gains(torch.tensor([lam], device=image.device))
            latent = network.analysed(image, gain)
            side = hyper.analysis(latent)
        latent.requires_grad_()
        side.requires_grad_()
        optimiser = torch.optim.Adam(
            [{"params": [latent], "rate": _LATENT_RATE}, {"params": [side], "rate": _HYPER_RATE}], betas=(0.9, 0.99)
        )
        pixels = image.shape[2] * image.shape[3]
        with torch.enable_grad():
            for step in range(steps):
                share = step / max(steps - 1, 1)
                for group in optimiser.param_groups:
                    group["lr"] = group["rate"] * (1.0 if share < _STEADY else (1 - share) / (1 - _STEADY) + 0.05)
                temperature = _HOT * (_COLD / _HOT) ** share
                chosen = _soft_rounded(side, temperature, generator)
                log_scales, means = hyper.parameters_of(chosen)
                symbols = _soft_rounded(latent - means, temperature, generator)
                shown = network.synthesised(symbols + means, None, inverse)
                bits = gaussian_bits(symbols, log_scales).sum() + hyper.prior.bits(chosen).sum()
                loss = lam * 255**2 * (shown - image).square().mean() + bits / pixels
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
    return latent.detach(), side.detach()


def _soft_rounded(values: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A random mixture of both neighbouring integers; the nearer one is the likelier (Yang et al., eq. 7)."""
    floor = torch.floor(values).detach()
    part = (values - floor).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(part), -torch.atanh(1 - part)]) / temperature
    uniform = torch.rand(logits.shape, generator=generator, device=values.device).clamp(1e-9, 1 - 1e-7)
    weights = torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, 0)
    return floor + weights[1]

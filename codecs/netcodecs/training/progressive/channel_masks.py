"""What happens to each channel in a training step: double tail drop, and the losses of ``netsim.channels``."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netcodecs.progressive.backbone import ChannelMask, M, N
from netcodecs.progressive.methods import Method
from netcodecs.training.progressive.emphasis import Emphasis
from netsim.channels.markov import MarkovChannel
from netsim.channels.presets import preset

__all__ = ["UNIFORM_RATES", "received_by", "sample_channel_mask", "tail_drop"]

# paper 1, §4.1: around 5, 10 and 20 % loss
UNIFORM_RATES = ((0.005, 0.015, 0.025, 0.035, 0.05), (0.01, 0.03, 0.05, 0.07, 0.1), (0.02, 0.06, 0.1, 0.14, 0.2))


def sample_channel_mask(
    method: Method, count: int, rng: np.random.Generator, emphasis: Emphasis | None = None
) -> ChannelMask | None:
    """Masks of ``count`` images as a method is trained; None if nothing is ever removed or lost."""
    emphasis = emphasis or Emphasis()
    if not method.tail_drop and method.losses == "none":
        return None
    sent, sent_hyper = torch.ones(count, M, dtype=torch.bool), torch.ones(count, N, dtype=torch.bool)
    if method.tail_drop:
        kept = torch.from_numpy(np.where(rng.random(count) < emphasis.whole_share, 1.0, rng.random(count)))
        sent, sent_hyper = tail_drop(kept, M), tail_drop(kept, N)
    return ChannelMask(sent, sent_hyper, received_by(method.losses, count, rng, emphasis.lossless_share))


def tail_drop(kept: Tensor, channels: int) -> Tensor:
    """The first int(p·C)+1 of C channels of each image, bool (B, C): Hojjat et al., ProgDTD (CVPR-W 2023), §3.2.

    >>> tail_drop(torch.tensor([0.0, 0.5, 1.0]), 4).tolist()
    [[True, False, False, False], [True, True, True, False], [True, True, True, True]]
    """
    return torch.arange(channels) < (kept * channels).long()[:, None] + 1


def received_by(
    losses: str, count: int, rng: np.random.Generator, lossless_share: float = Emphasis.lossless_share
) -> Tensor:
    """Which channels arrive, bool (count, M), under a method's model of losses; a chain steps once per channel.

    "gilbert-elliott": each image its own chain from state G, transition first and then the draw (the release).
    "uniform": a share of the images loses nothing, the others lose at one of ``UNIFORM_RATES``.
    """
    if losses == "none":
        return torch.ones(count, M, dtype=torch.bool)
    uniforms = rng.random((count, M, 2))
    if losses == "gilbert-elliott":
        chain = _trained_on()
        received, _ = chain.receive_many(uniforms, chain.initial_states(np.zeros(count)))
        return torch.from_numpy(received)
    return torch.from_numpy(uniforms[:, :, 1] >= _uniform_rates(count, rng, lossless_share)[:, None])


@cache
def _trained_on() -> MarkovChannel:
    return preset("ge-10", "released", start="G")


def _uniform_rates(count: int, rng: np.random.Generator, lossless_share: float) -> NDArray[np.float64]:
    rates = np.array(UNIFORM_RATES)
    around, which = (rng.integers(n, size=count) for n in rates.shape)
    return np.where(rng.random(count) >= lossless_share, rates[around, which], 0.0)

"""Mask conditional aggregation (MCA): the decoder is told which channels were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Feature", "Guess", "MaskConditionalAggregation"]

_MASK_WIDTH, _MASK_FEATURES = 64, 4
_PAIRS = 16  # channels that begin with two outputs
_STRAIGHT = 0.004  # scale of an output that is all but linear: for values up to 15, to within 5 %


@dataclass(frozen=True)
class Feature:
    """A case that the mask can tell: these channels are lost, and those are received (or not sent)."""

    lost: tuple[int, ...]
    received: tuple[int, ...]


@dataclass(frozen=True)
class Guess:
    """What takes a lost channel's place where a feature is the case. weights: of the latent around, (C, 3, 3)."""

    channel: int
    feature: int
    weights: Tensor


class MaskConditionalAggregation(nn.Module):
    """Between the received latent and g_s (paper 1, §3.3 and Fig. 4).

    The mask goes through conv3×3 C→64, GELU, conv3×3 64→4, GELU; beside the latent through conv3×3 C+4→C, GELU.
    channels: C of the latent. ``scale`` folds into the layers before and behind it (it multiplies what goes into the
    last GELU and divides what comes out) and is not trained: it says where on the GELU an output works.
    """

    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, _MASK_WIDTH, 3, padding=1)
        self.second = nn.Conv2d(_MASK_WIDTH, _MASK_FEATURES, 3, padding=1)
        self.fusion = nn.Conv2d(channels + _MASK_FEATURES, channels, 3, padding=1)
        self.register_buffer("scale", torch.ones(channels, 1, 1))

    def forward(self, latent: Tensor, mask: Tensor) -> Tensor:
        """What g_s sees, (B, C, h, w).

        latent: (B, C, h, w), zero where lost. mask: the same shape, 1 = received or not sent, 0 = lost.
        """
        features = functional.gelu(self.second(functional.gelu(self.first(mask))))
        return functional.gelu(self.fusion(torch.cat([latent, features], 1)) * self.scale) / self.scale

    @torch.no_grad()
    def begin_in_front_of(
        self,
        heard: nn.ConvTranspose2d,
        passed: Sequence[int],
        features: Sequence[Feature],
        guesses: Sequence[Guess],
        reach: float,
    ) -> list[int]:
        """Starts as a module that passes what arrived on, all but unchanged, and guesses what did not.

        heard: g_s's first layer, changed with it. passed: channels to pass on, those of the largest values first. Each
        of the first ones becomes a pair GELU(y) and GELU(-y), of which ``heard`` takes the difference:
        GELU(y) - GELU(-y) = y. Those after them have one output that works where GELU is all but straight:
        GELU(sy)/s = y/2 + .4 s y². The last ones, for which no output is left, are not heard: they are returned.
        features: at most four cases of what is lost. guesses: each takes another pair of outputs, which a bias larger
        than any guess (``reach``) keeps at zero unless its feature is there.
        """
        former = heard.weight.clone()
        assert self.fusion.bias is not None
        self.fusion.bias.zero_()
        self.fusion.weight.zero_()
        heard.weight.zero_()
        self.scale.fill_(1.0)
        for place, channel in enumerate(passed[:_PAIRS]):
            self._pair(heard, place, former[channel])
            self.fusion.weight[2 * place, channel, 1, 1] = 1.0
            self.fusion.weight[2 * place + 1, channel, 1, 1] = -1.0
        self._tell(features, reach)
        for place, guess in enumerate(guesses, _PAIRS):
            self._pair(heard, place, former[guess.channel])
            for sign, row in ((1.0, 2 * place), (-1.0, 2 * place + 1)):
                self.fusion.weight[row, : len(former)] = sign * guess.weights
                self.fusion.weight[row, len(former) + guess.feature, 1, 1] = 1.0
                self.fusion.bias[row] = -reach
        outputs = range(2 * (_PAIRS + len(guesses)), len(former))
        for output, channel in zip(outputs, passed[_PAIRS:], strict=False):
            self.fusion.weight[output, channel, 1, 1] = 1.0
            self.scale[output] = _STRAIGHT
            heard.weight[output] = 2.0 * former[channel]
        return list(passed[_PAIRS + len(outputs) :])

    @staticmethod
    def _pair(heard: nn.ConvTranspose2d, place: int, weights: Tensor) -> None:
        heard.weight[2 * place], heard.weight[2 * place + 1] = weights, -weights

    def _tell(self, features: Sequence[Feature], reach: float) -> None:
        """Mask feature i is ``reach`` where features[i] is the case, else zero."""
        assert self.first.bias is not None
        assert self.second.bias is not None
        root = reach**0.5
        for number, feature in enumerate(features):
            self.first.weight[number] = 0.0
            for sign, channels in ((-root, feature.lost), (root, feature.received)):
                self.first.weight[number, list(channels), 1, 1] = sign
            self.first.bias[number] = root * (1 - len(feature.received))
            self.second.weight[number] = 0.0
            self.second.weight[number, number, 1, 1] = root
            self.second.bias[number] = 0.0

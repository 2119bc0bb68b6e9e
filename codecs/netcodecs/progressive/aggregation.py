"""Mask conditional aggregation (MCA): the decoder is told which channels were lost."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GUESSED", "MaskConditionalAggregation"]

_MASK_WIDTH, _MASK_FEATURES = 64, 4
_PAIRS = 16  # channels that begin with two outputs
_STRAIGHT = 0.004  # scale of an output that is all but linear: for values up to 15, to within 5 %
_SHARING = 4  # channels that SCR has mixed are lost at the same places
GUESSED = _MASK_FEATURES * _SHARING  # channels that can have a mask feature to tell of their losses


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
    def begin_in_front_of(self, heard: nn.ConvTranspose2d, guess: Tensor | None = None, reach: float = 0.0) -> None:
        """Starts as a module that passes what arrived on, all but unchanged, and guesses what did not.

        heard: g_s's first layer, changed with it. Each of the first channels becomes a pair GELU(y) and GELU(-y), of
        which ``heard`` takes the difference: GELU(y) - GELU(-y) = y. Channels after them (with fewer bits and smaller
        values, if they are in order) have one output that works where GELU is all but straight: GELU(sy)/s =
        y/2 + .4 s y². The last ones, for which no output is left, are not heard at first.
        guess: weights of a channel's eight neighbours, (4·features, 3, 3) for the first channels, four to a mask
        feature: with SCR these four are lost at the same places. Each that is not all zero takes another pair of
        outputs, which a bias larger than any guess (``reach``) keeps at zero unless the mask says lost. None: nothing
        is guessed.
        """
        wanted = [] if guess is None else torch.nonzero(guess.abs().amax((1, 2)))[:, 0].tolist()
        guessed = len(wanted)
        former = heard.weight.clone()
        self._forget()
        heard.weight.zero_()
        assert self.fusion.bias is not None
        for channel in range(_PAIRS):
            self._pair(heard, channel, former[channel])
            self.fusion.weight[2 * channel, channel, 1, 1] = 1.0
            self.fusion.weight[2 * channel + 1, channel, 1, 1] = -1.0
        self.scale.fill_(1.0)
        for output in range(2 * (_PAIRS + guessed), len(former)):
            channel = output - _PAIRS - 2 * guessed
            self.fusion.weight[output, channel, 1, 1] = 1.0
            self.scale[output] = _STRAIGHT
            heard.weight[output] = 2.0 * former[channel]
        if guess is None:
            return
        self._tell_losses(reach)
        for place, channel in enumerate(wanted, _PAIRS):
            self._pair(heard, place, former[channel])
            for sign, row in ((1.0, 2 * place), (-1.0, 2 * place + 1)):
                self.fusion.weight[row, channel] = sign * guess[channel]
                self.fusion.weight[row, len(former) + channel // _SHARING, 1, 1] = 1.0
                self.fusion.bias[row] = -reach

    def _forget(self) -> None:
        """The mask is not heard, and nothing is passed."""
        assert self.fusion.bias is not None
        self.fusion.bias.zero_()
        self.fusion.weight.zero_()

    @staticmethod
    def _pair(heard: nn.ConvTranspose2d, place: int, weights: Tensor) -> None:
        heard.weight[2 * place], heard.weight[2 * place + 1] = weights, -weights

    def _tell_losses(self, reach: float) -> None:
        """Mask feature g is ``reach`` where channels 4g…4g+3 are lost, else zero."""
        assert self.first.bias is not None
        assert self.second.bias is not None
        root = reach**0.5
        for feature in range(_MASK_FEATURES):
            self.first.weight[feature] = 0.0
            self.first.weight[feature, _SHARING * feature, 1, 1] = -root
            self.first.bias[feature] = root
            self.second.weight[feature] = 0.0
            self.second.weight[feature, feature, 1, 1] = root
            self.second.bias[feature] = 0.0

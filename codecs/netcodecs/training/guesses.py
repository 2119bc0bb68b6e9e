"""What MCA begins with in place of what was lost: guesses from copies and neighbours, by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netcodecs.progressive.aggregation import Feature, Guess
from netcodecs.progressive.backbone import M
from netcodecs.training.descriptions import Coded, Described

__all__ = ["copies_for_mca", "guesses_of"]

_COPIES = (2, 1, 1)  # of the dearest groups: MCA's four mask features tell no more cases apart
_AROUND = [0, 1, 2, 3, 5, 6, 7, 8]  # of 3×3 samples, all but the middle
_RATIOS = tuple(2 ** (-k / 2) for k in range(9))  # of fineness, to choose from


@dataclass(frozen=True)
class _Fit:
    """weights: of the eight neighbours and then of the copies. error: squared, a mean over samples."""

    weights: Tensor
    error: float


def copies_for_mca(
    coded: Sequence[Coded], dearest: Sequence[int], costs: Tensor, size: int, lost: float
) -> dict[int, tuple[float, ...]]:
    """How finely the copies of the dearest groups are quantised compared with the originals, by group.

    dearest, costs: of ``loss_costs``. size: channels of a group. lost: share of the channels to prepare for.
    A copy is as fine as makes λ·D + R least, D that of a guess from it where the original is lost; a second copy is
    for where the first one is lost as well.
    """
    chosen = {}
    for group, count in zip(dearest, _COPIES, strict=False):
        ratios = []
        for number in range(1, count + 1):
            totals = [
                sum(_weighed(one, group, size, ratio, float(costs[group]), lost, number) for one in coded)
                for ratio in _RATIOS
            ]
            ratios.append(_RATIOS[min(range(len(totals)), key=totals.__getitem__)])
        chosen[group] = tuple(ratios)
    return chosen


def _weighed(one: Coded, group: int, size: int, ratio: float, cost: float, lost: float, number: int) -> float:
    """λ·D + R of a copy that is heard where ``number`` other descriptions are lost, as a share of the whole rate."""
    channels = slice(size * group, size * (group + 1))
    original, (copy, bits) = one.told(1.0, channels)[0], one.told(ratio, channels)
    generator = torch.Generator().manual_seed(0)
    tries = [(one, original, [copy])]
    error = sum(_fit(tries, place, [place], size, lost, generator, 1).error for place in range(size))
    return (one.lam * 255**2 * cost * lost**number * error + float(bits.sum())) / float(one.bits.sum())


@torch.no_grad()
def guesses_of(
    coded: Sequence[Coded], described: Sequence[Described], size: int, lost: float
) -> tuple[list[Feature], list[Guess], float]:
    """What MCA is to tell apart, what it is to put in place of what was lost, and more than any guess amounts to.

    coded: as the network is with its copies. A guess is linear in the copies and, with SCR, in the eight neighbours,
    for all λ at once. Where a group has two copies, one guess is for the case that the first one is there and one for
    the case that it is not.
    """
    heard = [(one, one.told(1.0)[0]) for one in coded]
    generator = torch.Generator().manual_seed(0)
    features: list[Feature] = []
    guesses: list[Guess] = []
    for one in described:
        cases = [((one.group,), one.copies[:1], one.copies), ((one.group, *one.copies[:1]), (), one.copies[1:])]
        for gone, received, copies in cases if len(one.copies) > 1 else [((one.group,), (), one.copies)]:
            features.append(Feature(gone, received))
            for place in range(size):
                channel, heard_of = one.group + place, [copy + place for copy in copies]
                tries = [(at, values, [values] * len(heard_of)) for at, values in heard]
                fit = _fit(tries, channel, heard_of, size, lost, generator, len(received))
                guesses.append(Guess(channel, len(features) - 1, _kernel(fit.weights, channel, heard_of)))
    channels = [guess.channel for guess in guesses]
    return features, guesses, 3.0 * max(float(values[:, channels].abs().max()) for _, values in heard)


def _fit(
    tries: Sequence[tuple[Coded, Tensor, Sequence[Tensor]]],
    channel: int,
    copies: Sequence[int],
    size: int,
    lost: float,
    generator: torch.Generator,
    there: int,
) -> _Fit:
    """The best linear guess of a channel's samples where they are lost.

    tries: of each λ the latents as coded, what is heard of the originals and what of each copy. copies: their channels;
    the first ``there`` of them have arrived for sure, the others and the neighbours but for a share ``lost``.
    """
    width = 8 + len(copies)
    squares, products, power, weight = torch.zeros(width, width), torch.zeros(width), 0.0, 0.0
    for one, original, told in tries:
        count, _, height, breadth = original.shape
        # with SCR, samples whose row and column have like parities are lost together; without it, all are
        arrived = (torch.rand(count, 2, 2, generator=generator) >= lost).float() * (size > 1)
        own = original[:, channel] * arrived.repeat(1, height // 2, breadth // 2)
        around = nn.functional.unfold(own[:, None], 3, padding=1)[:, _AROUND]
        rows = [around.transpose(0, 1).flatten(1)]
        for number, (copy, values) in enumerate(zip(copies, told, strict=True)):
            kept = torch.ones(count, 1, 1) if number < there else torch.rand(count, 1, 1, generator=generator) >= lost
            rows.append((values[:, copy] * kept).flatten()[None])
        given, wanted = torch.cat(rows), original[:, channel].flatten()
        share = one.lam / len(wanted)
        squares += share * given @ given.T
        products += share * given @ wanted
        power, weight = power + share * float(wanted.square().sum()), weight + one.lam
    ridge = 1e-3 * squares.diagonal().mean() * torch.eye(width)
    weights = torch.linalg.solve(squares + ridge, products)
    error = power - 2 * float(weights @ products) + float(weights @ squares @ weights)
    return _Fit(weights, max(error, 0.0) / weight)


def _kernel(weights: Tensor, channel: int, copies: Sequence[int]) -> Tensor:
    """A guess's weights as (M, 3, 3)."""
    kernel = torch.zeros(M, 9)
    kernel[channel, _AROUND] = weights[:8]
    kernel[list(copies), 4] = weights[8:]
    return kernel.view(M, 3, 3)

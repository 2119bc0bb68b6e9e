"""Fits the concealment of ``scr-mca-plus`` to the baseline's weights: ``python -m netcodecs.training.fit_concealment``.

No gradient steps: least squares over the residuals of some crops (a minute or two). ``--validation`` measures it beside
``scr-mca-u`` before its first step, on images held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from netcodecs.common.command import run_command
from netcodecs.progressive.backbone import Backbone, M
from netcodecs.progressive.concealment import ResidualConcealment, save_concealment
from netcodecs.progressive.methods import METHODS, shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.threads import one_thread
from netcodecs.training.card_section import write_card
from netcodecs.training.core.crops import RandomCrops, centre_crop, load_folder
from netcodecs.training.progressive.channel_masks import received_by
from netcodecs.training.progressive.session import initial_network
from netcodecs.transforms.gains import LAMBDAS
from netcodecs.transforms.hyperprior import Hyperprior
from netsim.statistics.intervals import mean_interval

__all__ = ["Compared", "compare", "fit_concealment", "main"]

_CROPS, _SIDE, _AT_ONCE = 64, 256, 16
_MASKS = 3  # loss patterns per image
_LOSSES = "gilbert-elliott"  # 10 % of the channels
_METHOD = METHODS["scr-mca-u"]


@dataclass(frozen=True)
class Compared:
    """PSNR in dB of each held-out image at one λ, (images,) each: mean over loss patterns.

    Attributes:
        lam: Weight of the distortion.
        whole: Without loss.
        start: ``scr-mca-u`` before its first step.
        plus: ``scr-mca-plus``.
    """

    lam: float
    whole: NDArray[np.float64]
    start: NDArray[np.float64]
    plus: NDArray[np.float64]


def fit_concealment(network: Backbone, crops: Tensor) -> ResidualConcealment:
    """A concealment fitted under 10 % Gilbert–Elliott channel loss, at all λ of the network alike.

    Args:
        network: The baseline, in eval mode.
        crops: (B, 3, H, W), 0…1, H and W multiples of 64.
    """
    made = ResidualConcealment(M)

    def examples() -> Iterator[tuple[Tensor, Tensor]]:
        for number, (lam, part) in enumerate((lam, p) for lam in network.lambdas for p in crops.split(_AT_ONCE)):
            decoded, means, _ = _latent(network, part, lam)
            yield decoded - means, _mask(decoded.shape, number)

    made.fit(examples())
    return made


def compare(
    weights: Path, concealment: ResidualConcealment, crops: Tensor, images: Sequence[NDArray[np.uint8]]
) -> list[Compared]:
    """Sets the concealment beside the start of ``scr-mca-u`` on images held out.

    Both have the baseline's transforms and rates, and meet the same losses: 10 % of the channels after SCR.

    Args:
        weights: The baseline's.
        concealment: Fitted.
        crops: Training images, from which ``scr-mca-u`` starts.
        images: uint8 (H, W, 3), held out.
    """
    baseline = load_weights(weights)[0]
    start = initial_network(_METHOD, str(weights), crops).eval()
    found = []
    for lam in (LAMBDAS[1], LAMBDAS[3]):
        rows = [_compared(baseline, start, concealment, image, lam, place) for place, image in enumerate(images)]
        whole, of_start, plus = (np.array(column) for column in zip(*rows, strict=True))
        found.append(Compared(lam, whole, of_start, plus))
    return found


@torch.no_grad()
@one_thread()
def _compared(
    baseline: Backbone,
    start: Backbone,
    concealment: ResidualConcealment,
    image: NDArray[np.uint8],
    lam: float,
    seed: int,
) -> tuple[float, float, float]:
    given = centre_crop(image)
    decoded, means, inverse = _latent(baseline, given, lam)
    ordered, _, of_start = _latent(start, given, lam)
    of_plus, of_mca = [], []
    for number in range(_MASKS):
        mask = _mask(decoded.shape, _MASKS * seed + number)
        of_plus.append(_psnr(given, baseline.g_s(concealment(decoded, mask, means) * inverse)))
        of_mca.append(_psnr(given, start.synthesised(ordered * mask, mask, of_start)))
    return _psnr(given, baseline.g_s(decoded * inverse)), float(np.mean(of_mca)), float(np.mean(of_plus))


@torch.no_grad()
def _latent(network: Backbone, images: Tensor, lam: float) -> tuple[Tensor, Tensor, Tensor]:
    """Latent as decoded and its means, (B, M, h, w) each, and the inverse gain."""
    assert isinstance(network.hyper, Hyperprior)
    gain, inverse = network.gains(torch.full((len(images),), lam))
    latent = network.analysed(images, gain)
    _, means = network.hyper.parameters_of(torch.round(network.hyper.analysis(latent)))
    return torch.round(latent - means) + means, means, inverse


def _mask(shape: torch.Size, seed: int) -> Tensor:
    """1 = received, after SCR."""
    from netcodecs.progressive.rearrangement import rearranged

    received = received_by(_LOSSES, shape[0], np.random.default_rng(seed))
    return rearranged(received[:, :, None, None].float().expand(shape).contiguous())


def _psnr(images: Tensor, shown: Tensor) -> float:
    error = torch.round(shown.clamp(0, 1) * 255) - torch.round(images * 255)
    return float(10 * torch.log10(255**2 / error.square().mean()))


def table(rows: Sequence[Compared]) -> str:
    """Markdown: both methods, and the paired difference with its 95 % t interval over the images."""
    lines = ["| λ | without loss | scr-mca-u, start | scr-mca-plus | difference |", "|---|---|---|---|---|"]
    for row in rows:
        count = len(row.plus)
        apart = mean_interval(row.plus - row.start, np.ones(count), np.arange(count))
        levels = " | ".join(f"{part.mean():.2f} dB" for part in (row.whole, row.start, row.plus))
        lines.append(f"| {row.lam:g} | {levels} | {apart.value:+.2f} ({apart.low:+.2f} … {apart.high:+.2f}) |")
    return "\n".join(lines)


def card(source: str, images: int, measured: str) -> str:
    """The model card beside the file."""
    return f"""# scr-mca-plus

Our own method beside paper 1's: the weights of `{source}` (which it reads from their own file), spatial-channel
rearrangement, and a concealment that is fitted without training. A missing sample is the hyperprior's mean plus a share
of each received neighbour's residual; the shares (eight per channel, 192 channels) are fitted by least squares. The
file holds these taps alone, and a digest of the analysis, gains and hyperprior that they were fitted to: beside others
it is refused. This page is written by `python -m netcodecs.training.fit_concealment`.

**Fit.** {_CROPS} crops of {_SIDE}² from {images} photos, all λ alike, 10 % of the channels lost (Gilbert–Elliott).

**Measured** on images held out, 10 % of the channels lost (Gilbert–Elliott), {_MASKS} loss patterns per image; the
difference is paired by image, with its 95 % interval:

{measured}
"""


def main(
    images: Annotated[list[Path], typer.Option(help="Folder of training images; may be given several times.")],
    validation: Annotated[Path, typer.Option(help="Folder of images held out.")],
    weights: Annotated[Path | None, typer.Option(help="The baseline's weights; those that ship if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; the one that ships if left out.")] = None,
    limit: Annotated[int, typer.Option(help="How many images held out.")] = 24,
) -> None:
    """Fits the concealment, measures it, and writes file and card."""
    source = weights or shipped_weights("mbt-mean")
    network = load_weights(source)[0]
    photos = [image for folder in images for image in load_folder(folder, at_least=_SIDE)]
    crops = RandomCrops(photos, _SIDE).draw(_CROPS, np.random.default_rng(0))
    concealment = fit_concealment(network, crops)
    measured = table(compare(source, concealment, crops[:32], load_folder(validation, at_least=64, limit=limit)))
    print(measured)
    path = out or shipped_weights("scr-mca-plus")
    save_concealment(path, concealment, network, {"concealment_of": source.name})
    write_card(path, card(source.stem, len(photos), measured))


if __name__ == "__main__":
    run_command(main)

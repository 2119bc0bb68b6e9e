"""Rate and quality of trained weights on a folder of images, from the real bytes of real packets."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.interpolate import PchipInterpolator

from netcodecs.common.command import run_command
from netcodecs.progressive.codec import ChannelProgressive, ProgressiveSettings
from netcodecs.progressive.concealment import holds_concealment
from netcodecs.progressive.family import ScrMcaPlus, ScrMcaPlusSettings
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.resicomp.weights import holds_resicomp
from netcodecs.training.card_section import put_test_section
from netcodecs.training.core.crops import load_folder
from netcodecs.training.resicomp import measure as of_resicomp
from netcodecs.transforms.gains import lambda_of
from netsim.codec import OperatingPoint
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

__all__ = [
    "LOSS_RATES",
    "Measured",
    "codec_of",
    "curves_in",
    "main",
    "mean_loss",
    "measure",
    "published_psnr_db",
    "section_of",
    "table",
]

_PUBLISHED = {"mbt2018-mean": "compressai-mbt2018-mean_mse_cuda.json", "JPEG 2000": "jpeg2000.json"}
QUALITIES = (0.0, 1.0, 2.0, 3.0, 4.0)
LOSS_RATES = (0.05, 0.1, 0.2)
MASKS = 2


@dataclass(frozen=True)
class Measured:
    """Means over images at one quality.

    Attributes:
        quality: Operating point.
        images: How many.
        bpp: Of all that is sent.
        psnr_db: Without loss.
        lossy_db: PSNR at each of ``LOSS_RATES``.
    """

    quality: float
    images: int
    bpp: float
    psnr_db: float
    lossy_db: tuple[float, ...]


def codec_of(weights: Path, effort: int = 0) -> ChannelProgressive:
    """The codec that runs some weights, whichever method they are of; ``effort`` as in ProgressiveSettings.

    A file of ``fit_concealment`` is run by scr-mca-plus, beside the baseline's weights that ship.
    """
    if holds_concealment(weights):
        return ScrMcaPlus(ScrMcaPlusSettings.model_validate({"concealment": weights, "effort": effort}))
    method = load_weights(weights)[1].name

    class Measured(ChannelProgressive):
        name = method

    return Measured(ProgressiveSettings.model_validate({"weights": weights, "effort": effort}))


def measure(
    weights: Path,
    folder: Path,
    *,
    limit: int | None = None,
    masks: int = MASKS,
    qualities: Sequence[float] = QUALITIES,
    effort: int = 0,
) -> list[Measured]:
    """Encodes and decodes every image at every quality, whole and with packets lost.

    Args:
        weights: A file of weights.
        folder: Of test images.
        limit: How many images, spread evenly over the folder.
        masks: Loss patterns per image and loss rate, each packet lost independently; the same at every call.
        qualities: Operating points.
        effort: Of the encoder, as in ProgressiveSettings.

    Returns:
        A row per quality; PSNR on 8-bit RGB, its mean a mean of dB.
    """
    images = load_folder(folder, at_least=16, limit=limit)
    codec = codec_of(weights, effort)
    results = []
    for quality in qualities:
        cells = []
        for number, image in enumerate(images):
            stream = codec.encode(image, OperatingPoint("quality", quality))
            drawn = np.random.default_rng(number).random((masks, len(stream)))
            received = [np.ones((1, len(stream)), bool), *(drawn >= rate for rate in LOSS_RATES)]
            every = np.concatenate(received) | stream.protected
            psnr = psnr_db(image, codec.decode(stream, every))
            cells.append((stream.bpp, psnr[0], *psnr[1:].reshape(len(LOSS_RATES), masks).mean(1)))
        bpp, whole, *lossy = (float(v) for v in np.mean(cells, axis=0))
        results.append(Measured(quality, len(images), bpp, whole, tuple(lossy)))
    return results


def mean_loss(rows: Sequence[Measured], *, under_loss: bool) -> float:
    """Mean over qualities of ln(bpp + λ·255²·MSE): by how much one set of weights is better than another.

    Args:
        rows: Of :func:`measure`.
        under_loss: Take the mean MSE of the image without loss and at each of ``LOSS_RATES``, else without loss.

    >>> row = Measured(3.0, 1, 0.4, 30.0, (27.0, 25.0, 20.0))
    >>> round(math.exp(mean_loss([row], under_loss=False)), 4)  # .4 + .0067 · 65.025
    0.8357
    """
    losses = []
    for row in rows:
        levels = (row.psnr_db, *row.lossy_db) if under_loss else (row.psnr_db,)
        mse = 255**2 * float(np.mean([10 ** (-level / 10) for level in levels]))
        losses.append(math.log(row.bpp + lambda_of(row.quality) * mse))
    return float(np.mean(losses))


def curves_in(folder: Path) -> dict[str, Path]:
    """The published curves that a card sets beside ours, by name. Raises InputError if a folder lacks one."""
    curves = {name: folder / file for name, file in _PUBLISHED.items()}
    if missing := [path.name for path in curves.values() if not path.is_file()]:
        raise InputError(f"no {missing[0]} in {folder}", hint="CompressAI's results/image/kodak has it")
    return curves


def published_psnr_db(curve: Path, bpp: float) -> float:
    """PSNR of a published curve (CompressAI's JSON) at a rate; nan outside.

    Between its points by pchip over the log rate: published curves bend upwards, straight lines lie up to .04 dB above.
    """
    results = json.loads(curve.read_text())["results"]
    points = sorted(zip(results["bpp"], results["psnr-rgb"], strict=True))
    rates = np.log([rate for rate, _ in points])
    return float(PchipInterpolator(rates, [psnr for _, psnr in points], extrapolate=False)(math.log(bpp)))


def table(rows: Sequence[Measured], published: Path | None) -> str:
    """Markdown: ours, and what the published curves (means over the 24 Kodak images) have at the same rate, if any."""
    curves = curves_in(published) if published is not None else {}
    lossy = [f"{100 * rate:g} % lost" for rate in LOSS_RATES]
    head = ["quality", "λ", "bpp", "PSNR dB", *lossy, *(f"published {name} at this rate, dB" for name in curves)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{row.quality:g}", f"{lambda_of(row.quality):.4g}", f"{row.bpp:.3f}", f"{row.psnr_db:.2f}"]
        cells += [f"{psnr:.2f}" for psnr in row.lossy_db]
        levels = (published_psnr_db(curve, row.bpp) for curve in curves.values())
        cells += ["–" if math.isnan(level) else f"{level:.2f}" for level in levels]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section_of(rows: Sequence[Measured], published: Path | None, masks: int = MASKS) -> str:
    """Of a model card. Arguments as for :func:`table`; ``masks`` as measured."""
    measured = (
        f"**Test** ({rows[0].images} images, real bytes of all packets; each packet lost independently, loss patterns "
        f"per image and rate: {masks}):"
    )
    return f"{measured}\n\n{table(rows, published)}\n"


def main(
    images: Annotated[Path, typer.Argument(help="Folder of test images.")],
    weights: Annotated[
        Path | None, typer.Option(help="Exported weights; the baseline's that ship if left out.")
    ] = None,
    published: Annotated[Path | None, typer.Option(help="Folder of published rate-distortion curves (JSON).")] = None,
    limit: Annotated[int | None, typer.Option(help="How many images, spread evenly over the folder.")] = None,
    masks: Annotated[int | None, typer.Option(min=1, help=f"Loss patterns per image and loss rate; {MASKS}.")] = None,
    effort: Annotated[int, typer.Option(min=0, max=2, help="Of the encoder; 1 and 2 search for a better latent.")] = 0,
    card: Annotated[bool, typer.Option("--card", help="Also into the model card beside the weights.")] = False,
) -> None:
    """Prints rate and quality of trained weights, from the real bytes of real packets."""
    chosen = weights or shipped_weights("mbt-mean")
    if card and effort:
        raise InputError("--card with --effort", hint="a card tells what the codec does by itself")
    if published is not None:
        curves_in(published)
    if chosen.suffix == ".safetensors" and holds_resicomp(chosen):
        if published is not None or masks is not None or effort:
            raise InputError("--published, --masks and --effort are not for weights of resicomp", hint="leave them out")
        measured = of_resicomp.measure(chosen, images, limit=limit)
        shown, section = of_resicomp.table(measured), of_resicomp.section_of(measured)
    else:
        count = MASKS if masks is None else masks
        rows = measure(chosen, images, limit=limit, masks=count, effort=effort)
        shown, section = table(rows, published), section_of(rows, published, count)
    print(shown)
    if card:
        put_test_section(chosen, section)


if __name__ == "__main__":
    run_command(main)

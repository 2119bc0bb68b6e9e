"""Rate and quality of trained weights on a folder of pictures, from the real bytes of real packets."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from netcodecs.progressive.codec import ChannelProgressive, ProgressiveSettings
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.transforms import quality_lambda
from netcodecs.progressive.weights import load_weights
from netcodecs.training.command import run
from netcodecs.training.crops import load_folder
from netsim.codec import OperatingPoint
from netsim.metrics.psnr import psnr_db

__all__ = ["LOSS_RATES", "Measured", "codec_of", "main", "measure", "published_psnr_db", "table"]

_PUBLISHED = {"mbt2018-mean": "compressai-mbt2018-mean_mse_cuda.json", "JPEG 2000": "jpeg2000.json"}
QUALITIES = (0.0, 1.0, 2.0, 3.0)
LOSS_RATES = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Measured:
    """Means over pictures at one quality. bpp: of all that is sent; lossy_db: PSNR at each of ``LOSS_RATES``."""

    quality: float
    pictures: int
    bpp: float
    psnr_db: float
    lossy_db: tuple[float, ...]


def codec_of(weights: Path) -> ChannelProgressive:
    """The codec that runs some weights, whichever method they are of."""
    method = load_weights(weights)[1].name

    class Measured(ChannelProgressive):
        name = method

    return Measured(ProgressiveSettings(weights=weights))


def measure(
    weights: Path, folder: Path, *, limit: int | None = None, masks: int = 2, qualities: Sequence[float] = QUALITIES
) -> list[Measured]:
    """Encodes and decodes every picture at every quality, whole and with packets lost.

    masks: how many loss patterns per picture and loss rate, each packet lost independently; the same patterns of
    uniform numbers at every call. PSNR on 8-bit RGB; its mean is a mean of dB.
    """
    pictures = [p.permute(1, 2, 0).contiguous().numpy() for p in load_folder(folder, at_least=16, limit=limit)]
    codec = codec_of(weights)
    results = []
    for quality in qualities:
        cells = []
        for number, picture in enumerate(pictures):
            stream = codec.encode(picture, OperatingPoint("quality", quality))
            drawn = np.random.default_rng(number).random((masks, len(stream)))
            received = [np.ones((1, len(stream)), bool), *(drawn >= rate for rate in LOSS_RATES)]
            every = np.concatenate(received) | stream.protected
            psnr = psnr_db(picture, codec.decode(stream, every))
            cells.append((stream.bpp, psnr[0], *psnr[1:].reshape(len(LOSS_RATES), masks).mean(1)))
        bpp, whole, *lossy = (float(v) for v in np.mean(cells, axis=0))
        results.append(Measured(quality, len(pictures), bpp, whole, tuple(lossy)))
    return results


def published_psnr_db(curve: Path, bpp: float) -> float:
    """PSNR of a published curve (CompressAI's JSON) at a rate, linear in log rate between its points; nan outside."""
    results = json.loads(curve.read_text())["results"]
    points = sorted(zip(results["bpp"], results["psnr-rgb"], strict=True))
    rates = np.log([rate for rate, _ in points])
    return float(np.interp(math.log(bpp), rates, [psnr for _, psnr in points], left=math.nan, right=math.nan))


def table(rows: Sequence[Measured], published: Path | None) -> str:
    """Markdown: ours, and the published curves' PSNR at the same rate (means over the 24 Kodak pictures)."""
    curves = {name: published / file for name, file in _PUBLISHED.items()} if published is not None else {}
    lossy = [f"{100 * rate:g} % lost" for rate in LOSS_RATES]
    head = ["quality", "λ", "bpp", "PSNR dB", *lossy, *(f"published {name} at this rate, dB" for name in curves)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{row.quality:g}", f"{quality_lambda(row.quality):.4g}", f"{row.bpp:.3f}", f"{row.psnr_db:.2f}"]
        cells += [f"{psnr:.2f}" for psnr in row.lossy_db]
        cells += [f"{published_psnr_db(curve, row.bpp):.2f}" for curve in curves.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m netcodecs.training.measure", description=__doc__)
    parser.add_argument("--weights", type=Path, help="exported weights; mbt-mean's that ship if left out")
    parser.add_argument("--images", type=Path, required=True, help="folder of test pictures")
    parser.add_argument("--published", type=Path, help="folder of published rate-distortion curves (JSON)")
    parser.add_argument("--limit", type=int, help="how many pictures, spread evenly over the folder")
    parser.add_argument("--masks", type=int, default=2, help="loss patterns per picture and loss rate [%(default)s]")
    given = parser.parse_args(arguments)
    torch.set_flush_denormal(True)
    weights = given.weights or shipped_weights("mbt-mean")
    print(table(measure(weights, given.images, limit=given.limit, masks=given.masks), given.published))


if __name__ == "__main__":
    run(main)

"""Rate and quality of a trained backbone on a folder of pictures, from real bytes."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from netcodecs.progressive.backbone import LAMBDAS, Backbone, load_backbone
from netcodecs.training.crops import load_folder

__all__ = ["Measured", "main", "measure", "published_psnr_db", "table"]

_PUBLISHED = {"mbt2018-mean": "compressai-mbt2018-mean_mse_cuda.json", "JPEG 2000": "jpeg2000.json"}


@dataclass(frozen=True)
class Measured:
    """Means over pictures at one λ: loss is λ·255²·MSE + bpp."""

    lam: float
    pictures: int
    bpp: float
    psnr_db: float
    loss: float


@torch.no_grad()
def measure(backbone: Backbone, folder: Path, *, limit: int | None = None) -> list[Measured]:
    """Encodes and decodes every picture at every λ with CompressAI's own range coder.

    bpp counts the bytes of the latent's and the hyperprior's strings over the unpadded picture; pictures are padded
    to multiples of 64 by repeating their border. PSNR on 8-bit RGB; its mean is a mean of dB.
    """
    pictures = load_folder(folder, at_least=16, limit=limit)
    results = []
    for lam in LAMBDAS:
        codec = backbone.at(lam)
        cells = []
        for picture in pictures:
            exact = picture[None].float() / 255
            height, width = exact.shape[2:]
            padded = functional.pad(exact, (0, -width % 64, 0, -height % 64), mode="replicate")
            stream = codec.compress(padded)
            shown = codec.decompress(stream["strings"], stream["shape"])["x_hat"][..., :height, :width]
            mse = float((((shown * 255).round() - exact * 255) ** 2).mean())
            bpp = 8 * sum(len(strings[0]) for strings in stream["strings"]) / (height * width)
            cells.append((bpp, 10 * math.log10(255**2 / mse), lam * mse + bpp))
        bpp, psnr_db, loss = (float(v) for v in np.mean(cells, axis=0))
        results.append(Measured(lam, len(pictures), bpp, psnr_db, loss))
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
    head = ["λ", "bpp", "PSNR dB", "loss", *(f"published {name} at this rate, dB" for name in curves)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{row.lam}", f"{row.bpp:.3f}", f"{row.psnr_db:.2f}", f"{row.loss:.3f}"]
        cells += [f"{published_psnr_db(curve, row.bpp):.2f}" for curve in curves.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m netcodecs.training.measure", description=__doc__)
    parser.add_argument("--weights", type=Path, help="exported weights; those that ship if left out")
    parser.add_argument("--images", type=Path, required=True, help="folder of test pictures")
    parser.add_argument("--published", type=Path, help="folder of published rate-distortion curves (JSON)")
    parser.add_argument("--limit", type=int, help="how many pictures, spread evenly over the folder")
    given = parser.parse_args(arguments)
    print(table(measure(load_backbone(given.weights), given.images, limit=given.limit), given.published))


if __name__ == "__main__":
    main()

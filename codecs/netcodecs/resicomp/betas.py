"""β per context mode at which packets are alike: ``python -m netcodecs.resicomp.betas --images FOLDER``.

The paper tunes β for each mode until packet sizes are alike (§IV-C). Coding every mode at every β would take days. The
bits of a slice depend on its number of tokens and on the share of all tokens that it is predicted from. So the bits of
a token are measured once, on images, at ten shares and with the distributions that code; the packet sizes of any mode
and β follow from Eq. 10. ``--code`` then codes each mode at its β and prints the spread of real packets.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from netcodecs.common.command import run_command
from netcodecs.resicomp.codec import SLICES, ResiComp, ResiCompSettings
from netcodecs.resicomp.modes import MODES, context_matrix
from netcodecs.resicomp.order import qlds_order
from netcodecs.resicomp.packets import BETA_STEP
from netcodecs.resicomp.slices import slice_sizes
from netsim.codec import OperatingPoint
from netsim.errors import InputError
from netsim.image_file import read_image_file

__all__ = ["best_beta", "main", "spread", "token_bits"]

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

SHARES = np.arange(10) / 10
_BETAS = np.arange(round(8 / BETA_STEP) + 1) * BETA_STEP
_TABLE = Path(__file__).with_name("betas.csv")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp"}


def token_bits(codec: ResiComp, images: Iterable[Image], quality: float) -> Floats:
    """Mean bits of a token when a share of all tokens is known, (10,): one entry for each of ``SHARES``.

    Args:
        codec: Whose networks predict.
        images: uint8 (H, W, 3) each.
        quality: Operating point.
    """
    networks = codec.networks
    sums, tokens = np.zeros(len(SHARES)), np.zeros(len(SHARES))
    for image in images:
        symbols = networks.symbols(networks.analyse(image), quality)
        grid = symbols.shape[:2]
        order = qlds_order(*grid)
        for number, share in enumerate(SHARES):
            known, cells = np.zeros(len(order), bool), order[round(share * len(order)) :]
            known[order[: round(share * len(order))]] = True
            mixtures = networks.densities(symbols, known.reshape(grid), quality, cells)
            sums[number] += networks.coder.bits(symbols.reshape(len(order), -1)[cells], mixtures).sum()
            tokens[number] += len(cells)
    return np.asarray(sums / tokens)


def spread(sizes: Floats) -> float:
    """Standard deviation over mean.

    >>> spread(np.array([90.0, 110.0]))
    0.1
    """
    return float(sizes.std() / sizes.mean())


def best_beta(mode: str, slices: int, tokens: int, bits: Floats) -> tuple[float, float]:
    """β of the smallest spread of packet sizes (of equal spreads the smaller β), and that spread.

    Args:
        mode: Context mode.
        slices: Number of slices.
        tokens: Number of tokens.
        bits: Of a token at each of ``SHARES``, (10,).

    >>> best_beta("ISC", 10, 1536, np.full(10, 8.0))[0]
    0.0
    >>> best_beta("LC", 10, 1536, 8.0 - 5 * SHARES)[0] > 1
    True
    """
    contexts = context_matrix(mode, slices)

    def off(beta: float) -> float:
        sizes = slice_sizes(tokens, contexts, beta)
        return spread(sizes * np.interp(contexts @ sizes / tokens, SHARES, bits))

    found = min((round(off(float(beta)), 6), round(float(beta), 2)) for beta in _BETAS)
    return found[1], found[0]


def _images(folder: Path, limit: int | None) -> list[Image]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise InputError(f"no images in {folder}", hint="a folder with PNG or JPEG files")
    return [read_image_file(path) for path in paths[:limit]]


def _coded(weights: Path | None, mode: str, slices: int, beta: float, images: Sequence[Image], quality: float) -> str:
    """Mean size of each packet and their spread, as they are coded."""
    codec = ResiComp(ResiCompSettings(mode=mode, slices=slices, beta=beta, weights=weights))
    sizes = np.mean([codec.encode(i, OperatingPoint("quality", quality)).sizes_bytes[1:] for i in images], axis=0)
    return f"coded: spread {spread(sizes):.3f}, bytes {' '.join(f'{size:.0f}' for size in sizes)}"


def main(
    images: Annotated[Path, typer.Option(help="Folder of images.")],
    limit: Annotated[int | None, typer.Option(help="Number of images, from the first.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights of resicomp; those that ship if left out.")] = None,
    quality: float = 2.0,
    slices: int = SLICES,
    code: Annotated[bool, typer.Option(help="Also code each mode, and print the packets' sizes.")] = False,
    out: Annotated[Path, typer.Option(help="Table to write.")] = _TABLE,
) -> None:
    """Finds β per context mode at which packets are alike."""
    given = _images(images, limit)
    bits = token_bits(ResiComp(ResiCompSettings(weights=weights)), given, quality)
    print("bits of a token  " + "  ".join(f"{s:.0%} {b:.1f}" for s, b in zip(SHARES, bits, strict=True)), flush=True)
    tokens = round(float(np.mean([-(-i.shape[0] // 16) * -(-i.shape[1] // 16) for i in given])))
    rows = []
    for mode in MODES:
        beta, off = best_beta(mode, slices, tokens, bits)
        rows.append({"mode": mode, "slices": slices, "beta": beta, "spread": off})
        real = _coded(weights, mode, slices, beta, given, quality) if code else ""
        print(f"{mode:8} beta {beta:<5g} spread {off:.3f}  {real}", flush=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run_command(main)

"""Draws the two figures of the README anew: ``python docs/demo/make.py runs/demo``, after ``make demo``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import netsim

HERE = Path(__file__).parent
WIDTH = 1400

CODECS = (
    "[{jpeg2000: {bpp: 0.35, receiver: prefix}}, {jpeg2000: {bpp: 0.35, receiver: resilient}},"
    " {vvc: {sent_bpp: 0.35, protection: {reed-solomon: 30%}}}]"
)


def main(run: Path) -> None:
    """Copy the run's radar, and draw one image under one loss pattern."""
    shutil.copy(run / "radar.png", HERE / "radar.png")
    overrides = ["images={samples: [motorcycle_left]}", "link=ideal", f"codecs={CODECS}"]
    with tempfile.TemporaryDirectory() as folder:
        made = netsim.reproduce("loss-resilient-lic/fig1", out=Path(folder) / "strip", overrides=overrides)
        drawn = next(path for path in made.files if path.suffix == ".png")
        image = Image.open(drawn).convert("RGB")
        image.thumbnail((WIDTH, WIDTH))
        image.save(HERE / "images.jpg", quality=92, subsampling=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

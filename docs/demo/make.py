"""Takes the two figures of the README from a run of the demo: ``python docs/demo/make.py runs/demo``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
WIDTH = 1400


def main(run: Path) -> None:
    """Copies the run's radar and its row of images.

    Args:
        run: Folder that ``make demo`` wrote.
    """
    shutil.copy(run / "radar.png", HERE / "radar.png")
    image = Image.open(run / "strip.png").convert("RGB")
    image.thumbnail((WIDTH, WIDTH))
    image.save(HERE / "images.jpg", quality=92, subsampling=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

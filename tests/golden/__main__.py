"""``python -m tests.golden [NAME ...]``: writes the golden files of all scenarios, or of those named, anew."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from netsim.registry import register
from tests.golden.golden import SCENARIOS, differences, golden_frames, mean_error, run_frames, write_frames


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        raise SystemExit(f"no scenario {unknown[0]!r}; known: {', '.join(SCENARIOS)}")
    register("metric", "mean_error")(mean_error)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NETSIM_STORE"] = f"{folder}/store.sqlite"
        for name in names or SCENARIOS:
            frames = run_frames(name, Path(folder) / name)
            try:
                changes = differences(name, frames, golden_frames(name))
            except FileNotFoundError:
                changes = ["new"]
            write_frames(name, frames)
            print("\n  ".join([f"{name}: {'as before' if not changes else ''}".rstrip(" "), *changes]))


if __name__ == "__main__":
    main(sys.argv[1:])

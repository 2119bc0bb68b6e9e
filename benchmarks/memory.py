"""Peak memory of a whole run with ten million slots."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peak import peak_mib
from benchmarks.result import Result, within

__all__ = ["long_sweep"]

SLOTS = 10_000_000
LIMIT_MIB = 2048.0
TIME_LIMIT_S = 1800


def long_sweep() -> list[Result]:
    """MiB resident at most, in a process of its own: five channels × trials × four slots of JPEG under FEC."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.memory", folder, str(SLOTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIME_LIMIT_S)
    measured = json.loads(done.stdout)
    if measured["slots"] != SLOTS:
        raise AssertionError(f"the log holds {measured['slots']} slots")
    return [within("peak memory of a sweep with 10⁷ slots", measured["peak_mib"], LIMIT_MIB, "MiB")]


def _run(folder: Path, slots: int) -> dict[str, float]:
    """Run in this process; says the peak of it and of its children, whichever is larger, and the log's length."""
    import numpy as np
    from PIL import Image
    from pyarrow import parquet

    from netsim.analysis.summary_files import write_summary
    from netsim.api import plan
    from netsim.runs.pipeline import run_plan
    from netsim.runs.progress import Reporter

    images = folder / "images"
    images.mkdir()
    ramp = np.arange(64, dtype=np.uint8)
    Image.fromarray(np.stack(np.broadcast_arrays(ramp, ramp[:, None], 128), axis=-1).astype(np.uint8)).save(
        images / "ramp.png"
    )
    os.environ["NETSIM_STORE"] = str(folder / "store.sqlite")
    scenario = {
        "name": "long",
        "images": str(images),
        "codecs": [{"jpeg": {"quality": 40}}],
        "protection": {"reed-solomon": "30%"},
        "channels": ["EP1", "EP2", "EP3", "EP4", "EP6"],
        "engine": "array",
        "trials": slots // (5 * 4),
        "slots": 4,
        "seed": 7,
    }
    run = run_plan(plan(scenario), folder / "run", 1, Reporter(), write_summary)
    kib = 1024 if sys.platform == "darwin" else 1
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / kib / 1024
    return {"peak_mib": max(peak_mib(), children), "slots": parquet.ParquetFile(run / "log.parquet").metadata.num_rows}


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]), int(sys.argv[2]))))

"""How time and memory grow with rows of a plan, parts, images and slots. Each size has a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peak import peak_mib
from benchmarks.result import Result, within

__all__ = ["growth"]

EXPONENT = 1.1
LIMIT_MIB = 2048.0
TIME_LIMIT_S = 7200
SIZES: dict[str, tuple[int, ...]] = {
    "plan": (10_000, 100_000, 1_000_000),
    "run in part": (10_000, 100_000, 1_000_000),
    "run": (100, 400, 1600),
    "resume": (100, 400, 1600),
    "precision": (25, 100, 400),
    "images": (100, 400, 1600),
    "summary of rows": (1_000, 4_000, 16_000),
    "summary of slots": (100_000, 1_000_000, 10_000_000),
}
"""Of each case: rows, parts that are there, images or slots. A run in part stops after ``PARTS`` parts."""

PARTS = 400


def growth() -> list[Result]:
    """The exponent of processor time in each case; the peak of memory at the largest size."""
    return [result for case in SIZES for result in _case(case)]


def _case(case: str) -> list[Result]:
    sizes = SIZES[case]
    found = [_measured(case, size) for size in sizes]
    unit = {"images": "images", "summary of slots": "slots", "resume": "parts"}.get(case, "rows")
    exponent = _exponent(sizes, [one["cpu_s"] for one in found])
    seconds = f"{found[-1]['cpu_s']:.3g} s at {sizes[-1]:,}"
    return [
        within(f"growth of {case}, {sizes[0]:,} to {sizes[-1]:,} {unit} ({seconds})", exponent, EXPONENT, "exponent"),
        within(f"peak memory of {case}, {sizes[-1]:,} {unit}", found[-1]["peak_mib"], LIMIT_MIB, "MiB"),
    ]


def _exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log time over log size.

    >>> round(_exponent([10, 100], [1.0, 100.0]), 9)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _measured(case: str, size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.growth", case, str(size), folder]
        environment = os.environ | {"NETSIM_STORE": str(Path(folder) / "store.sqlite")}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIME_LIMIT_S, env=environment
        )
    return dict(json.loads(done.stdout))


def _scenario(folder: Path, channels: int, codecs: int, qualities: int, images: int = 1, **more: Any) -> dict[str, Any]:
    """A grid of channels × (codecs × qualities) over small images."""
    from PIL import Image

    (folder / "images").mkdir(exist_ok=True)
    ramp = np.arange(32, dtype=np.uint8)
    for number in range(images):
        pixels = np.stack(np.broadcast_arrays(ramp, ramp[:, None], number % 251), axis=-1).astype(np.uint8)
        pixels[0, 0] = number % 256, number // 256, 0  # no image twice
        Image.fromarray(pixels).save(folder / "images" / f"{number:05d}.png")
    losses = [{"loss_rate": (i + 1) / (4 * channels), "name": f"loss {i}"} for i in range(channels)]
    entries = [{"jpeg": {"quality": list(range(1, qualities + 1)), "packets": i + 1}} for i in range(codecs)]
    shared = {"name": "grid", "images": str(folder / "images"), "seed": 7, "engine": "array", "trials": 2}
    return {**shared, "channels": losses, "codecs": entries, **more}


def _run(scenario: dict[str, Any], folder: Path, parts: int | None = None) -> None:
    """Run a scenario in this process. parts: stop after so many parts of transport, or at the log."""
    from netsim.analysis.summary_files import write_summary
    from netsim.api import plan
    from netsim.runs import pipeline
    from netsim.runs.progress import Reporter

    class Stop(Exception):
        pass

    log, write_part = pipeline._log, pipeline.write_part
    written = 0

    def stop(*_: Any) -> None:
        raise Stop

    def write(*arguments: Any) -> None:
        nonlocal written
        write_part(*arguments)
        written += 1
        if written == parts:
            raise Stop

    try:
        if parts is not None:
            pipeline._log, pipeline.write_part = stop, write
        pipeline.run_plan(plan(scenario), folder / "run", 1, Reporter(), write_summary)
    except Stop:
        pass
    finally:
        pipeline._log, pipeline.write_part = log, write_part


def _grid(rows: int) -> tuple[int, int, int]:
    """Channels, codecs and qualities of so many rows."""
    schemes = 1000 if rows >= 100_000 else 25
    return rows // schemes, max(schemes // 50, 1), min(schemes, 50)


def _plan(size: int, folder: Path) -> Callable[[], object]:
    from netsim.api import plan
    from netsim.scenario.show import plan_text

    scenario = _scenario(folder, *_grid(size))

    def call() -> object:
        found = plan(scenario)
        if len(found.rows) != size:
            raise AssertionError(f"{len(found.rows)} rows")
        return plan_text(found), found.run_id

    return call


def _rows(size: int, folder: Path) -> Callable[[], object]:
    scenario = _scenario(folder, *_grid(size))
    return lambda: _run(scenario, folder)


def _in_part(size: int, folder: Path) -> Callable[[], object]:
    scenario = _scenario(folder, *_grid(size))
    return lambda: _run(scenario, folder, PARTS)


def _resume(size: int, folder: Path) -> Callable[[], object]:
    scenario = _scenario(folder, *_grid(size))
    _run(scenario, folder, size + 1)
    return lambda: _run(scenario, folder, size + 1)


def _precision(size: int, folder: Path) -> Callable[[], object]:
    scenario = _scenario(folder, *_grid(size), precision="2 dB", trials=200)
    return lambda: _run(scenario, folder)


def _images(size: int, folder: Path) -> Callable[[], object]:
    scenario = _scenario(folder, 2, 1, 2, images=size, trials=1)
    return lambda: _run(scenario, folder)


def _summary(rows: int, slots: int, folder: Path) -> Callable[[], object]:
    """A log of made-up numbers: so many rows of a plan, each with so many slots."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from netsim.analysis.summary_files import write_summary
    from netsim.runs.folder import RunFolder
    from netsim.runs.log import log_schema

    run, schema = RunFolder(folder), log_schema([])
    generator = np.random.default_rng(7)
    with pq.ParquetWriter(run.log, schema, compression="zstd") as writer:
        for first in range(0, rows * slots, 1 << 16):
            number = np.arange(first, min(first + (1 << 16), rows * slots))
            row, slot, none = number // slots, number % slots, np.zeros(len(number), dtype=np.int64)
            lost = generator.binomial(10, 0.1, len(number))
            texts = {"engine": "array", "image": "a", "codec": "jpeg", "status": "full", "link": "ideal"}
            columns: dict[str, Any] = {name: np.full(len(number), text) for name, text in texts.items()}
            columns |= {"row": row, "trial": slot // 4, "slot": slot % 4, "packets_sent": none + 10, "weight": none + 1}
            columns |= {"packets_lost": lost, "packets_delivered": 10 - lost, "psnr_db": 40.0 - lost, "seed": none}
            columns |= {"scheme": np.char.add("jpeg ", (row // 100).astype(str))}
            columns |= {"channel": np.char.add("loss ", (row % 100).astype(str)), "operating_point": texts["codec"]}
            columns["operating_point"] = np.full(len(number), "quality=30")
            arrays = []
            for field in schema:
                values = columns.get(field.name, none)
                if field.name in ("packet", "drawn", "usable_mask", "design_weight"):
                    arrays.append(pa.nulls(len(number), field.type))
                elif pa.types.is_string(field.type) and field.name not in columns:
                    arrays.append(pa.array(np.full(len(number), ""), field.type))
                else:
                    arrays.append(pa.array(values).cast(field.type))
            writer.write_table(pa.table(arrays, schema=schema))
    return lambda: write_summary(run, 13.0)


CASES: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "plan": _plan,
    "run": _rows,
    "run in part": _in_part,
    "resume": _resume,
    "precision": _precision,
    "images": _images,
    "summary of rows": lambda size, folder: _summary(size, 4, folder),
    "summary of slots": lambda size, folder: _summary(1, size, folder),
}


def main(case: str, size: int, folder: Path) -> None:
    """Print processor seconds and the resident peak of this process as JSON; imports and compilation do not count."""
    warm = folder / "warm"
    warm.mkdir()
    _run(_scenario(warm, 1, 1, 1, precision="2 dB"), warm)
    call = CASES[case](size, folder)
    began = time.process_time()
    call()
    seconds = time.process_time() - began
    print(json.dumps({"cpu_s": seconds, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

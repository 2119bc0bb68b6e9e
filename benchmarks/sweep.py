"""EP1–EP6 of JPEG 2000 ``resilient``: the exact engine against a loop that decodes every trial."""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np

import netsim
from benchmarks.result import Result, faster
from netsim.channels import preset
from netsim.codec import OperatingPoint, create_codec
from netsim.images import images_from_spec
from netsim.metrics.psnr import psnr_db

__all__ = ["decode_sweep"]

HALF_WIDTH_DB = 0.05
CHANNELS = [f"EP{i}" for i in range(1, 7)]
IMAGE, BPP, PACKETS = "astronaut", 0.35, 10
TIMED_TRIALS = 40


def decode_sweep() -> list[Result]:
    """Seconds for the mean PSNR of an image over EP1–EP6, each to ±.05 dB (95 %) or better.

    Ours: ``netsim.run`` with the exact engine and an empty store, from scenario to summary: zero width.
    Reference: trials × (seconds to draw a mask, decode it, measure it), the seconds measured on real trials of
    EP4, the trials of each channel those whose interval is ±.05 dB: (1.96 σ / .05)², σ exactly from our table.
    """
    with tempfile.TemporaryDirectory() as folder:
        ours_s, sigmas = _ours(Path(folder))
    trials = sum(max(2, math.ceil((1.96 * sigma / HALF_WIDTH_DB) ** 2)) for sigma in sigmas)
    reference_s = trials * _trial_s()
    name = f"JPEG 2000 resilient over EP1–EP6, one image, ±{HALF_WIDTH_DB} dB"
    return [faster(name, 1 / ours_s, 1 / reference_s, 50, "sweeps/s")]


def _ours(folder: Path) -> tuple[float, list[float]]:
    """(seconds, standard deviation of the PSNR of one trial in each channel)."""
    before = os.environ.get("NETSIM_STORE")
    os.environ["NETSIM_STORE"] = str(folder / "store.sqlite")
    try:
        scenario = {
            "name": "sweep",
            "images": {"samples": [IMAGE]},
            "codecs": [{"jpeg2000": {"bpp": BPP, "receiver": "resilient", "packets": PACKETS}}],
            "channels": CHANNELS,
            "engine": "exact",
        }
        start = time.perf_counter()
        run = netsim.run(scenario, out=folder / "run")
        means = run.summary["psnr_db"].to_numpy()
        seconds = time.perf_counter() - start
    finally:
        del os.environ["NETSIM_STORE"]
        if before is not None:
            os.environ["NETSIM_STORE"] = before
    sigmas = []
    for channel, mean in zip(CHANNELS, means, strict=True):
        rows = run.log[run.log["channel"] == channel]
        sigmas.append(float(np.sqrt((rows["weight"] * (rows["psnr_db"] - mean) ** 2).sum())))
    return seconds, sigmas


def _trial_s() -> float:
    """Seconds of one trial of the papers' loop: draw which packets arrive, decode them, measure the image."""
    item = images_from_spec({"samples": [IMAGE]}, Path.cwd()).items[0]
    codec = create_codec("jpeg2000", {"receiver": "resilient", "packets": PACKETS})
    image, channel, rng = item.pixels(), preset("EP4"), np.random.default_rng(7)
    stream = codec.encode(image, OperatingPoint("bpp", BPP))
    times = []
    for _ in range(TIMED_TRIALS):
        start = time.perf_counter()
        received = np.append(True, channel.sample(PACKETS, rng)[0])  # the protected packet first
        psnr_db(image, codec.decode(stream, codec.usable(stream, received)[None]))
        times.append(time.perf_counter() - start)
    return float(np.median(times))

"""Logs as the engines write them, made without an engine: a two-state channel over ten packets a slot."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PACKETS = 10
LOSS = {"EP1": (0.0021, 6.5), "EP2": (0.031, 1.59), "EP3": (0.065, 5.0), "EP4": (0.138, 1.69), "EP5": (0.214, 10.0)}
LOSS |= {"EP6": (0.323, 2.71), "ge-15": (0.15, 1.1), "uniform 20%": (0.2, 1.25)}
SCHEMES = {  # scheme: (parity packets of ten, dB at 0.35 bpp without loss; None: prefix receiver)
    "vvc": (0, 33.6),
    "vvc + 10% FEC": (1, 33.1),
    "vvc + 30% FEC": (3, 31.9),
    "vvc + 50% FEC": (5, 30.4),
    "vvc + 70% FEC": (7, 28.4),
    "jpeg2000 prefix": (None, 30.6),
    "jpeg2000 resilient": (None, 30.5),
    "hevc": (0, 33.0),
    "hevc + 30% FEC": (3, 31.2),
    "jpeg": (0, 28.9),
    "webp": (0, 30.0),
    "webp + 50% FEC": (5, 27.4),
}
IMAGES = ("astronaut", "chelsea", "coffee", "rocket")


def sampled_log(
    schemes: list[str] | None = None,
    channels: list[str] | None = None,
    bpps: tuple[float, ...] = (0.25, 0.35, 0.5),
    trials: int = 12,
    slots: int = 8,
    seed: int = 1,
    packet_rows: bool = False,
) -> pd.DataFrame:
    """A log of the event engine; all schemes see the same losses."""
    rows: list[dict[str, Any]] = []
    channels = channels or list(LOSS)[:6]
    plan = product(channels, schemes or list(SCHEMES)[:7], bpps)
    received = {channel: _receptions(channel, trials, slots, seed) for channel in channels}
    for number, (channel, scheme, bpp) in enumerate(plan):
        for trial, slot in product(range(trials), range(slots)):
            row = _slot(scheme, bpp, slot, received[channel][trial, slot], packet_rows)
            fixed = {"row": number, "trial": trial, "channel": channel, "seed": seed}
            rows += [one | fixed for one in row]
    return _frame(rows)


def exact_log(schemes: list[str] | None = None, channels: list[str] | None = None) -> pd.DataFrame:
    """A log of the exact engine for independent losses: one row per number of packets received."""
    from scipy.stats import binom

    rows: list[dict[str, Any]] = []
    plan = product(channels or list(LOSS)[:6], schemes or list(SCHEMES)[:5])
    for number, (channel, scheme) in enumerate(plan):
        for image, count in product(range(len(IMAGES)), range(PACKETS + 1)):
            mask = np.arange(PACKETS) < count
            weight = float(binom.pmf(count, PACKETS, 1 - LOSS[channel][0]))
            one = _slot(scheme, 0.35, image, mask, False)[-1]
            rows.append(one | {"row": number, "trial": 0, "channel": channel, "seed": 0} | {"weight": weight})
    return _frame(rows).assign(engine="exact")


def write_run(folder: Path, log: pd.DataFrame, **manifest: Any) -> Path:
    """A run folder with a log and a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    log.to_parquet(folder / "log.parquet")
    about = {
        "name": "synthetic sweep",
        "status": "finished",
        "run_id": "0123456789abcdef",
        "scenario": {"name": "synthetic sweep", "codecs": [{"vvc": {"bpp": [0.25, 0.35, 0.5]}}], "trials": 12},
        "failure_db": 13.0,
        "seed": 7,
        "plan": {
            "rows": 126,
            "trials": 12,
            "slots": 8,
            "slots_total": 12096,
            "images": dict.fromkeys(IMAGES, "ab" * 32),
        },
        "engine": "event",
        "tools": {"libvvenc": {"version": "1.13", "sha256": "cd" * 32, "command": "ffmpeg -i in.png -c:v libvvenc"}},
        "notes": ["EP5: printed mean loss 0.214, the chain runs at 0.500"],
        "versions": {"netsim": "0.1.0", "numpy": "1.26.4", "torch": None},
        "git": "0" * 40,
        "device": {"machine": "x86_64", "workers": 2},
        "command": ["netsim", "run", "scenarios/synthetic.yaml", "--set", "trials=12"],
        "created": "2026-01-01T00:00:00+00:00",
    }
    (folder / "manifest.json").write_text(json.dumps(about | manifest))
    return folder


def _receptions(channel: str, trials: int, slots: int, seed: int) -> np.ndarray:
    """bool [trials, slots, PACKETS], True = received: a Gilbert chain of the channel's loss rate and burst."""
    loss_rate, burst = LOSS[channel]
    leave, enter = 1 / burst, loss_rate / (burst * (1 - loss_rate))
    uniforms = np.random.default_rng([seed, len(channel), list(LOSS).index(channel)]).random((trials, slots * PACKETS))
    lost = np.zeros_like(uniforms, dtype=bool)
    state = uniforms[:, 0] < loss_rate
    for i in range(uniforms.shape[1]):
        state = np.where(state, uniforms[:, i] >= leave, uniforms[:, i] < enter)
        lost[:, i] = state
    return ~lost.reshape(trials, slots, PACKETS)


def _slot(scheme: str, bpp: float, slot: int, mask: np.ndarray, packet_rows: bool) -> list[dict[str, Any]]:
    counts = range(1, PACKETS + 1) if packet_rows else ()
    early = [
        _one(scheme, bpp, slot, mask & (np.arange(PACKETS) < count), mask, count - 1)
        for count in counts
        if mask[count - 1]
    ]
    return [*early, _one(scheme, bpp, slot, mask, mask, None)]


def _one(scheme: str, bpp: float, slot: int, seen: np.ndarray, mask: np.ndarray, packet: int | None) -> dict[str, Any]:
    parity, level = SCHEMES[scheme]
    image = slot % len(IMAGES)
    full = level + 5.5 * np.log2(bpp / 0.35) + (0.0, 1.2, -1.6, 3.1)[image]
    if parity is None:
        usable = int(np.argmin(seen)) if not seen.all() else PACKETS
        usable = usable if scheme.endswith("prefix") else int(seen.sum())
        psnr = full - 1.1 * (PACKETS - usable) if usable else np.nan
    else:
        usable = PACKETS - parity if seen.sum() >= PACKETS - parity else 0
        psnr = full if usable else np.nan
    lost = int((~mask).sum())
    status = "failed" if not usable else ("full" if parity is not None or usable == PACKETS else "partial")
    return {
        "slot": slot,
        "packet": packet,
        "start_s": 10.0 * slot,
        "time_s": 10.0 * slot + (packet + 1 if packet is not None else PACKETS) * 0.9,
        "image": IMAGES[image],
        "codec": scheme.split()[0],
        "operating_point": f"bpp={bpp:g}",
        "protection": "none" if not parity else f"reed-solomon {parity}0%",
        "scheme": scheme,
        "packets_lost": lost,
        "packets_recovered": min(lost, parity or 0) if usable else 0,
        "packets_usable": usable,
        "bytes": int(bpp * 49152),
        "bpp": bpp,
        "status": status,
        "psnr_db": psnr,
        "ms_ssim": np.nan if np.isnan(psnr) else 1 - 10 ** (-(psnr - 12) / 10),
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    log = pd.DataFrame(rows)
    fixed = {"run_id": "0123456789abcdef", "engine": "event", "settings": "", "mode": "", "link": "ideal"}
    fixed |= {"packets_sent": PACKETS, "packets_late": 0, "packets_dropped": 0}
    log = log.assign(**{name: value for name, value in fixed.items() if name not in log})
    log = log.assign(packets_delivered=PACKETS - log["packets_lost"], packet=log["packet"].astype("Int32"))
    return log if "weight" in log else log.assign(weight=1.0)

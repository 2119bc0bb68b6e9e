"""Golden logs: what eight small scenarios gave when their files were written.

A scenario's folder holds ``scenario.yaml``, ``labels.csv`` (its distinct labels, numbered), ``log.csv`` (a row for
each row of the log, with the number of its labels) and ``summary.csv``.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd

import netsim

__all__ = ["FILES", "LEARNED", "SCENARIOS", "differences", "golden_frames", "mean_error", "run_frames", "write_frames"]

FOLDER = Path(__file__).parent
SCENARIOS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/scenario.yaml")))
LEARNED = ("progressive", "resicomp")
"""Scenarios of learned codecs: their synthesis is floating-point, which differs between processors."""

FILES = ("labels", "log", "summary")

_LABELS = ["row", "engine", "image", "codec", "settings", "operating_point", "mode", "protection", "scheme", "channel"]
_LABELS += ["link", "seed"]
_DERIVED = ["run_id", "bpp"]  # a digest of the code; 8 · bytes ÷ pixels, which the summary has
_QUALITY_COLUMNS = ("psnr", "ms_ssim", "mean_error")
_LEARNED_DB = 1e-3
_ROUNDING = 1e-9  # relative: sums in another order


def mean_error(reference: np.ndarray, images: np.ndarray) -> np.ndarray:
    """A metric of the scenarios' own: mean absolute error, float [m]; a failed image counts as 255."""
    return np.abs(images.astype(float) - reference).reshape(len(images), -1).mean(axis=1)


mean_error.failed, mean_error.lowest, mean_error.highest = 255.0, 0.0, 255.0  # type: ignore[attr-defined]


def run_frames(name: str, out: Path) -> dict[str, pd.DataFrame]:
    """Run a scenario; its labels, log and summary as a golden file has them.

    Args:
        name: One of ``SCENARIOS``.
        out: The run's folder.
    """
    run = netsim.run(FOLDER / name / "scenario.yaml", out=out)
    log = run.log.drop(columns=_DERIVED)
    labels = log[_LABELS].drop_duplicates(ignore_index=True)
    labels.insert(0, "labels", range(len(labels)))
    numbers = log[_LABELS].merge(labels, on=_LABELS, how="left")["labels"]  # keeps the order of the left frame
    values = log.drop(columns=_LABELS)
    values.insert(0, "labels", numbers)
    frames = {"labels": labels, "log": values, "summary": run.summary}
    return {name: _read(frame.to_csv(index=False)) for name, frame in frames.items()}


def golden_frames(name: str) -> dict[str, pd.DataFrame]:
    """The committed frames of a scenario."""
    return {file: _read((FOLDER / name / f"{file}.csv").read_text(encoding="utf-8")) for file in FILES}


def write_frames(name: str, frames: dict[str, pd.DataFrame]) -> None:
    """Replace the committed frames of a scenario."""
    for file, frame in frames.items():
        (FOLDER / name / f"{file}.csv").write_text(frame.to_csv(index=False), encoding="utf-8")


def differences(name: str, found: dict[str, pd.DataFrame], golden: dict[str, pd.DataFrame]) -> list[str]:
    """How frames of a scenario differ from the golden ones, in sentences; empty if they do not.

    Everything must be equal, but: weights and the summary's floats to rounding, image quality of learned codecs to
    1e-3 dB.
    """
    sentences = []
    for file in FILES:
        here, there = found[file], golden[file]
        if list(here.columns) != list(there.columns) or len(here) != len(there):
            sentences.append(f"{file}: {len(here)} × {list(here.columns)}, not {len(there)} × {list(there.columns)}")
            continue
        for column in there.columns:
            unequal = np.flatnonzero(~_equal(here[column], there[column], *_tolerance(name, file, column)))
            if len(unequal):
                at = unequal[0]
                now, was = here[column].iloc[at], there[column].iloc[at]
                sentences.append(f"{file}, {column}: {len(unequal)} differ; the first at row {at}: {now}, was {was}")
    return sentences


def _tolerance(name: str, file: str, column: str) -> tuple[float, float]:
    """(relative, absolute)."""
    if name in LEARNED and column.startswith(_QUALITY_COLUMNS):
        return _ROUNDING, _LEARNED_DB
    return (_ROUNDING, 1e-12) if file == "summary" or column in ("weight", "design_weight") else (0.0, 0.0)


def _equal(here: pd.Series, there: pd.Series, relative: float, absolute: float) -> np.ndarray:
    if pd.api.types.is_float_dtype(here.dtype) and pd.api.types.is_float_dtype(there.dtype):
        return np.isclose(here, there, rtol=relative, atol=absolute, equal_nan=True)
    both_missing = here.isna().to_numpy() & there.isna().to_numpy()
    return both_missing | (here.to_numpy() == there.to_numpy())


def _read(text: str) -> pd.DataFrame:
    text_columns = {"usable_mask": str}
    file = io.StringIO(text)
    return pd.read_csv(file, keep_default_na=False, na_values=[""], float_precision="round_trip", dtype=text_columns)

"""Folders of runs with damaged, missing and exchanged files: what the run wrote, or a refusal."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from netsim.analysis.replay import replayed_plan
from netsim.analysis.summary_files import write_summary
from netsim.api import plan
from netsim.errors import InputError
from netsim.runs.folder import read_manifest
from netsim.runs.parts import read_part
from netsim.runs.pipeline import run_plan
from netsim.runs.progress import Reporter
from netsim.runs.results import load_run
from netsim.runs.verify import verify_run
from tests.fuzz.mutations import damaged

FILES = ("manifest.json", "log.parquet", "summary.csv", "distribution.csv")
WORDS = [
    b"PAR1",
    b"null",
    b"[]",
    b"{}",
    b'"files"',
    b'"status"',
    b'"checksum"',
    b"1e999",
    b"\\ud800",
    b",",
    b"\n",
    b"nan",
]
ODD: list[Any] = [None, True, -1, 1e300, float("nan"), "", "x", "\ud800", [], {}, [[]], {"": {}}, "finished", "running"]


def attempt(rng: Random, folder: Path) -> object:
    """Damages one thing of a finished run or of a part of an unfinished one, and reads all that can be read."""
    original, parts = _templates(folder)
    way = rng.random()
    if way < 0.25:
        return _read_part(rng, folder, parts)
    run = folder / "damaged"
    run.mkdir(exist_ok=True)
    for name in FILES:
        (run / name).write_bytes(original[name])
    if way < 0.5:
        _edit_manifest(rng, run / "manifest.json")
        return _read_edited(rng, run)
    name = rng.choice(FILES)
    if way < 0.55:
        (run / name).unlink()
    elif way < 0.6:
        (run / name).write_bytes(original[rng.choice(FILES)])
    else:
        (run / name).write_bytes(damaged(original[name], rng, WORDS))
    found = load_run(run)
    tables = found.log, found.summary, found.distribution
    assert all((run / name).read_bytes() == original[name] for name in FILES[1:]), "a damaged file was read"
    assert json.loads((run / FILES[0]).read_bytes()) == json.loads(original[FILES[0]])  # spaces may differ
    verdict = verify_run(run)
    assert not verdict.faults
    return tables


def _read_part(rng: Random, folder: Path, parts: dict[str, bytes]) -> object:
    name = rng.choice(sorted(parts))
    content = parts[name] if rng.random() < 0.1 else damaged(parts[name], rng, [b"PK\x03\x04", b"\x93NUMPY", b"}"])
    if rng.random() < 0.1:
        content = parts[rng.choice(sorted(parts))]
    path = folder / name
    path.write_bytes(content)
    arrays = read_part(path)
    assert content == parts[name], "a damaged part was read"
    return arrays


def _edit_manifest(rng: Random, path: Path) -> None:
    """As an editor would: valid JSON, without the checksum, some values replaced or dropped."""
    manifest = json.loads(path.read_text())
    del manifest["checksum"]
    for _ in range(rng.randint(1, 3)):
        place: Any = manifest
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
            if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.4:
                if rng.random() < 0.2:
                    del place[key]
                else:
                    place[key] = rng.choice(ODD)
                break
            place = place[key]
    path.write_text(json.dumps(manifest))


def _read_edited(rng: Random, run: Path) -> object:
    """All but the log: its hash may be gone, and a foreign manifest says nothing of it."""
    found = load_run(run)
    verify_run(run)
    if rng.random() < 0.2:
        replayed_plan(found)
    return found.summary, found.distribution


@cache
def _templates(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Files of a finished run, and parts of one that was stopped."""
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    (source / "images").mkdir(parents=True)
    levels = np.random.default_rng(0).integers(0, 5, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(levels * np.uint8(40)).save(source / "images" / "a.png")
    scenario = {
        "name": "template",
        "images": str(source / "images"),
        "codecs": [{"jpeg": {"quality": 30}}],
        "channels": ["EP4", {"loss_rate": 0.1}],
        "engine": "array",
        "trials": 3,
    }
    before = os.environ.get("NETSIM_STORE")
    os.environ["NETSIM_STORE"] = str(source / "store.sqlite")
    try:
        done = run_plan(plan(scenario), source / "run", 1, Reporter(), write_summary)
        parts = _stopped(scenario, source / "stopped")
    finally:
        os.environ.pop("NETSIM_STORE") if before is None else os.environ.update(NETSIM_STORE=before)
    assert read_manifest(done)["status"] == "finished"
    return {name: (done / name).read_bytes() for name in FILES}, parts


def _stopped(scenario: dict[str, Any], out: Path) -> dict[str, bytes]:
    def stop(*_: object) -> None:
        raise InputError("stopped")

    with suppress(InputError):
        run_plan(plan(scenario), out, 1, Reporter(), stop)
    return {path.name: path.read_bytes() for path in (out / "parts").glob("*.npz")}

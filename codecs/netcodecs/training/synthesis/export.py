"""From a training folder to all weights that get the new blocks."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import torch

from netcodecs.progressive.methods import METHODS
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.run import CHECKPOINT, VALIDATION
from netcodecs.training.synthesis.objective import BASELINE, MoreBlocks
from netcodecs.training.synthesis.session import averaged_blocks
from netcodecs.transforms.residual import ResidualSize
from netcodecs.weight_files import digest, read_weights, restored, shrunk, write_weights

__all__ = ["export", "write_all"]

_BEFORE = "**Known limits.**"  # where a card gets its note


def export(training: Path, folder: Path) -> list[Path]:
    """Gives the blocks of a run to all methods, and says so on their model cards.

    Args:
        training: Folder of a run.
        folder: Of weights and model cards.

    Returns:
        The weights that were written.
    """
    facts = load_tensors(training / CHECKPOINT)[1]
    with (training / VALIDATION).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["steps"]) == facts["steps"]]
    gains: dict[str, list[str]] = {}
    for row in rows:
        name = facts["methods"][int(float(row["method"]))]
        gains.setdefault(name, []).append(f"{float(row['gain_db']):+.3f} dB at λ = {float(row['lambda']):g}")
    notes = {name: _note(facts, ", ".join(gains.get(name, ()))) for name in METHODS}
    return write_all(averaged_blocks(training / CHECKPOINT), folder, notes)


def _note(facts: Mapping[str, Any], gains: str) -> str:
    config, more_8, more_16 = facts["config"], facts["more_8"], facts["more_16"]
    return f"""**Deeper synthesis.** Then g_s got {more_16} more residual blocks at stride 16, {more_8} at stride 8,
the same ones in all methods, trained together while all else stayed as it was: {facts["steps"]:,} steps of
{config["batch"]} crops of {config["crop"]}² per process from {facts["images"]} photos, {facts["processes"]} processes,
{facts["active_s"] / 3600:.2f} hours, learning rate {config["rate"]:g}. Rates stay as above; PSNR on images held out,
with the losses of training: {gains}."""


def write_all(more: MoreBlocks, folder: Path, notes: Mapping[str, str]) -> list[Path]:
    """Gives the new blocks to all methods whose weights are in a folder, the baseline first.

    What the files hold is taken over as it is stored: rounded anew, streams would no longer be the same.

    Args:
        more: The new blocks.
        folder: Of weights and model cards.
        notes: By method: a paragraph for its card.

    Returns:
        The files that were written.
    """
    names = [BASELINE, *(name for name in METHODS if name != BASELINE)]
    paths = [path for name in names if (path := folder / f"{name}.safetensors").is_file()]
    for path in paths:
        _write(path, more, paths[0])
        card = path.with_suffix(".md")
        if card.is_file():
            text = card.read_text(encoding="utf-8")
            card.write_text(text.replace(_BEFORE, f"{notes[path.stem]}\n\n{_BEFORE}", 1), encoding="utf-8")
    return paths


def _write(path: Path, more: MoreBlocks, base: Path) -> None:
    """Adds the new blocks to a file of weights: to the baseline's themselves, to another no difference from them."""
    stored, facts = read_weights(path)
    size = ResidualSize(*facts["widths"])
    first_8 = 1 + size.blocks_16 + size.more_16  # places in g_s
    last = first_8 + 1 + size.blocks_8 + size.more_8
    new = {first_8 + i: block for i, block in enumerate(more.at_16)}
    new |= {last + len(more.at_16) + i: block for i, block in enumerate(more.at_8)}
    deeper = replace(size, more_8=size.more_8 + len(more.at_8), more_16=size.more_16 + len(more.at_16))

    def renamed(name: str) -> str:
        if not name.startswith("g_s."):
            return name
        place, rest = name.removeprefix("g_s.").split(".", 1)
        moved = len(more.at_16) * (int(place) >= first_8) + len(more.at_8) * (int(place) >= last)
        return f"g_s.{int(place) + moved}.{rest}"

    added = {f"g_s.{place}.{n}": t.detach() for place, block in new.items() for n, t in block.state_dict().items()}
    if path != base:
        added = {name: torch.zeros_like(tensor) for name, tensor in added.items()}
    stored = {renamed(name): tensor for name, tensor in stored.items()} | shrunk(added)
    facts = {**facts, "widths": astuple(deeper)}
    if path != base:
        known, own = (restored(given) for given in (read_weights(base)[0], stored))
        shared = {n: known[n] for n, t in own.items() if n in known and known[n].shape == t.shape}
        shared = {name: tensor for name, tensor in shared.items() if tensor.is_floating_point()}
        facts["base"] = {"file": base.name, "sha256": digest(shared)}
    write_weights(path, stored, facts)

"""Checkpoints that resume exactly, as one safetensors file: never pickle.

Tensors are named by what they belong to (``model/…``, ``average/…``, ``optimiser/0/exp_avg/…``, ``random``); counters
stand in the file's metadata as JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from netsim.errors import InputError

__all__ = ["load_tensors", "optimiser_tensors", "restore_optimiser", "save_tensors"]


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes tensors and JSON-able facts beside the target and moves them there: a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    copies = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    save_file(copies, partial, metadata={"facts": json.dumps(facts)})
    os.replace(partial, path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file written by :func:`save_tensors`.

    Raises:
        InputError: The file is missing, or is something else.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}", hint="the folder of a training run holds one")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("facts")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise InputError(f"{path} can't be read as a checkpoint", hint=str(error)) from None
    if text is None:
        raise InputError(f"{path} is not a checkpoint of a training run", hint="weights go to --start")
    return tensors, json.loads(text)


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimiser's running state, named by parameter number and quantity."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}/{number}/{quantity}": torch.as_tensor(value)
        for number, quantities in state.items()
        for quantity, value in quantities.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Puts the state back that :func:`optimiser_tensors` took out."""
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix + "/"):
            number, quantity = name[len(prefix) + 1 :].split("/")
            state.setdefault(int(number), {})[quantity] = value
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})

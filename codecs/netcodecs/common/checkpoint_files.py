"""Checkpoints that others wrote: torch's zip files and safetensors, read without running anything in them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from netsim.errors import InputError, NotInstalledError

__all__ = ["TORCH_SUFFIXES", "read_checkpoint"]

TORCH_SUFFIXES = {".pth", ".tar", ".pt"}


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Args:
        path: ``.pth``, ``.pt`` or ``.tar``: read by torch's restricted loader (``weights_only``), which makes tensors
            and containers and runs no code; a file with a ``state_dict`` gives that. Any other suffix: safetensors.

    Returns:
        Tensors on the processor; ``module.`` in front of names, which data-parallel training leaves, is taken off.

    Raises:
        InputError: The file is missing or can't be read.
    """
    if not path.is_file():
        raise NotInstalledError(f"no weights at {path}")
    try:
        if path.suffix not in TORCH_SUFFIXES:
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path.name} is not a safetensors file", hint=str(error)) from None
    except Exception as error:  # torch raises what its zip reader, its unpickler or the file itself calls for
        reason = str(error).partition("\n")[0]
        if "weights_only" in reason or "Weights only" in reason:  # torch's way out would run the file's code
            reason = "it holds more than tensors: nothing else is read from a stranger's file; save its state_dict"
        raise InputError(f"{path.name} can't be read as a checkpoint", hint=reason) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    return {k.removeprefix("module."): v for k, v in state.items() if isinstance(v, Tensor)}

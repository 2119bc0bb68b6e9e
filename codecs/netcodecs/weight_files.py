"""Weights on disk: safetensors with large tensors as deflated int8 or float16, and what they are of in the metadata."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from netsim.distribution import install_command
from netsim.errors import InputError, NotInstalledError

__all__ = ["digest", "fill", "in_float16", "read_weights", "restored", "shrunk", "tensors_below", "write_weights"]

_FACTS = "netcodecs"
_SMALL = 4096  # tensors with fewer elements stay float32: they cost nothing
_LEAST_SCALE = 1e-7  # above float16's smallest number
_SCALE, _SHAPE = "/scale", "/shape"


def shrunk(tensors: Mapping[str, Tensor], *, in_int8: Callable[[str], bool] = lambda name: True) -> dict[str, Tensor]:
    """What is stored of a state dict: large tensors as int8 with a scale per row, or as float16; small ones in float32.

    int8 is deflated (zlib), which saves a seventh: most values are small.

    Args:
        tensors: By name; empty ones are left out.
        in_int8: Whether the large tensor of a name is stored as int8; else it is float16.

    >>> small = shrunk({"w": torch.linspace(-1, 1, 8192).reshape(64, 32, 2, 2), "b": torch.ones(3)})
    >>> {name: tensor.dtype for name, tensor in small.items()}
    {'w': torch.uint8, 'w/shape': torch.int64, 'w/scale': torch.float16, 'b': torch.float32}
    >>> small["w/shape"].tolist(), tuple(small["w/scale"].shape)
    ([64, 32, 2, 2], (64, 1, 1, 1))
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.numel():
            continue
        if not tensor.is_floating_point():
            stored[name] = tensor.contiguous()
        elif tensor.numel() < _SMALL:
            stored[name] = tensor.float().contiguous()
        elif not in_int8(name):
            stored[name] = tensor.half().contiguous()
        else:
            axes = tuple(range(1, tensor.dim()))
            scale = (tensor.float().abs().amax(axes, keepdim=True) / 127).clamp(min=_LEAST_SCALE).half()
            whole = torch.round(tensor.float() / scale.float()).clamp(-127, 127).to(torch.int8).contiguous()
            deflated = zlib.compress(whole.numpy().tobytes(), 9)
            stored[name] = torch.frombuffer(bytearray(deflated), dtype=torch.uint8)
            stored[name + _SHAPE] = torch.tensor(tensor.shape)
            stored[name + _SCALE] = scale.contiguous()
    return stored


def restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that :func:`shrunk` stored; floating-point tensors are float32.

    Raises:
        InputError: If a scale does not belong to its tensor, or a tensor can't be inflated to its shape.
    """
    made = {}
    for name, given in stored.items():
        tensor = given if (shape := stored.get(name + _SHAPE)) is None else _inflated(name, given, shape)
        if (scale := stored.get(name + _SCALE)) is not None:
            if scale.shape != (*tensor.shape[:1], *[1] * (tensor.dim() - 1)):
                raise InputError(f"the scale of {name} has shape {tuple(scale.shape)}", hint="export the weights anew")
            made[name] = tensor.float() * scale.float()
        elif not name.endswith((_SCALE, _SHAPE)):
            made[name] = tensor.float() if tensor.is_floating_point() else tensor
    return made


def _inflated(name: str, deflated: Tensor, shape: Tensor) -> Tensor:
    """An int8 tensor of :func:`shrunk`."""
    sides = [max(int(side), 0) for side in shape.flatten()]
    size, unpacker = math.prod(sides), zlib.decompressobj()
    try:
        content = unpacker.decompress(deflated.numpy().tobytes(), size + 1)
    except zlib.error:
        content = b""
    if not size or len(content) != size or not unpacker.eof:
        raise InputError(f"{name} can't be inflated to the shape {sides}", hint="export the weights anew")
    return torch.frombuffer(bytearray(content), dtype=torch.int8).view(sides)


def in_float16(name: str) -> bool:
    """For ``shrunk(in_int8=…)``: no tensor in int8."""
    return False


def tensors_below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, by the rest of their names.

    >>> sorted(tensors_below("average/", {"average/g_a.weight": torch.ones(1), "rate": torch.ones(1)}))
    ['g_a.weight']
    """
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and float32 values."""
    made = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        made.update(f"{name} {tuple(tensor.shape)}\n".encode())
        made.update((tensor.detach().float() + 0.0).cpu().contiguous().numpy().astype("<f4").tobytes())  # -0 is 0
    return made.hexdigest()


def write_weights(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes stored tensors (see :func:`shrunk`) and JSON-able facts about them; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(dict(tensors), partial, metadata={_FACTS: json.dumps(facts)})
    partial.chmod(0o644)  # the library makes files that only their owner reads
    os.replace(partial, path)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Stored tensors of a file, and its facts ({} if netcodecs did not write it).

    Raises:
        InputError: If the file is missing or no safetensors file, or its facts are not JSON.
    """
    if not path.is_file():
        hint = f"{install_command('weights')}, or train them: docs/how-to/training.md"
        raise NotInstalledError(f"no weights at {path}", hint=hint)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_FACTS, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        facts = json.loads(text)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path.name} is not a safetensors file", hint=str(error)) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path.name}: its facts can't be read", hint=str(error)) from None
    if not isinstance(facts, dict):
        raise InputError(f"{path.name}: its facts are {text}", hint="a JSON object; export the weights anew")
    return tensors, facts


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Loads tensors into a module.

    Raises:
        InputError: If names, shapes or types differ. Tables that the module makes itself (empty, or ``scale_table``)
            may be missing or there.
    """
    own = module.state_dict()
    made = {name for name, value in own.items() if not value.numel() or name.endswith("scale_table")}
    given = {name: tensor for name, tensor in tensors.items() if name not in made}
    wrong = sorted(set(given) ^ (set(own) - made)) or sorted(
        n for n in given if (given[n].shape, given[n].dtype) != (own[n].shape, own[n].dtype)
    )
    if wrong:
        raise InputError(f"{path.name} does not hold this network's weights: {wrong[0]}", hint="export them anew")
    module.load_state_dict(own | given)

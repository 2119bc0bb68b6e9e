"""Weights on disk: safetensors, the hyperprior as int8 with scales, what they are of in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from netcodecs.progressive.backbone import FULL_WIDTHS, LAMBDAS, Backbone, M, N
from netcodecs.progressive.methods import Method, method_named, shipped_weights
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["load_backbone", "load_weights", "restored", "save_weights", "shrunk"]

_SMALL = 4096  # tensors with fewer elements (biases, gains, the bottleneck's) stay float32: they cost nothing
_OWN_SCALE_TAPS = 25  # kernels of so many taps have a scale each
# What a picture goes through. In int8 MCA's many small weights, which pass the latent on, cost .3 to .5 dB.
_IN_HALF = ("aggregation.", "model.g_a.", "model.g_s.")
_LEAST_SCALE = 1e-7  # above float16's smallest number
_SCALE = "/scale"
_COMPRESSAI_SUFFIXES = {".pth", ".tar", ".pt"}


def shrunk(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is stored of a state dict: the hyperprior's large kernels as int8, other large tensors in float16, small
    ones in float32.

    Each 5×5 kernel has a scale, smaller ones share one per channel (the first axis). Empty tensors and tables that are
    made on loading are left out.

    >>> small = shrunk({"w": torch.linspace(-1, 1, 8192).reshape(64, 32, 2, 2), "b": torch.ones(3)})
    >>> {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in small.items()}
    {'w': (torch.int8, (64, 32, 2, 2)), 'w/scale': (torch.float16, (64, 1, 1, 1)), 'b': (torch.float32, (3,))}
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.numel() or name.endswith("scale_table"):
            continue
        if tensor.numel() < _SMALL:
            stored[name] = tensor.float().contiguous()
        elif tensor.dim() < 4 or name.startswith(_IN_HALF):
            stored[name] = tensor.half().contiguous()
        else:
            axes = (2, 3) if tensor.shape[2] * tensor.shape[3] >= _OWN_SCALE_TAPS else (1, 2, 3)
            scale = (tensor.float().abs().amax(axes, keepdim=True) / 127).clamp(min=_LEAST_SCALE).half()
            stored[name] = torch.round(tensor.float() / scale.float()).clamp(-127, 127).to(torch.int8).contiguous()
            stored[name + _SCALE] = scale
    return stored


def restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict, float32, that :func:`shrunk` made."""
    return {
        name: tensor.float() * stored[name + _SCALE].float() if name + _SCALE in stored else tensor.float()
        for name, tensor in stored.items()
        if not name.endswith(_SCALE)
    }


def save_weights(path: Path, backbone: Backbone, method: str) -> None:
    """Writes a trained network; its method, widths and λ stand in the file's metadata."""
    facts = {"method": method, "widths": backbone.widths, "lambdas": backbone.lambdas}
    save_file(shrunk(backbone.state_dict()), path, metadata={"netcodecs": json.dumps(facts)})


def load_backbone(path: Path | None = None) -> Backbone:
    """The network in a weights file, in eval mode; mbt-mean's that ship if None. See :func:`load_weights`."""
    return load_weights(shipped_weights("mbt-mean") if path is None else path)[0]


def load_weights(path: Path) -> tuple[Backbone, Method]:
    """Network, in eval mode, and method of a weights file.

    path: a file of :func:`save_weights`, or CompressAI's checkpoint of mbt2018-mean (N = 128, M = 192: its qualities
    1 to 4), as ``.pth``/``.tar`` or safetensors: taken as it is, for its one rate. A ``.pth`` is read by torch's
    restricted loader, which makes tensors and containers and runs nothing.
    Raises InputError if the file is missing, can't be read or holds other tensors.
    """
    if not path.is_file():
        raise InputError(f"no weights at {path}", hint=f"{install_command('weights')}, or train them: docs/training.md")
    tensors, facts = _read(path)
    if facts is None:
        return _from_compressai(path, tensors), method_named("mbt-mean")
    method = method_named(facts["method"])
    widths, lambdas = tuple(facts["widths"]), tuple(facts["lambdas"])
    backbone = Backbone(widths, scr=method.scr, mca=method.mca, lambdas=lambdas)
    _fill(path, backbone, restored(tensors))
    return backbone.eval(), method


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors of a file and, if netcodecs wrote it, what they are."""
    if path.suffix in _COMPRESSAI_SUFFIXES:
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises what its zip reader, its unpickler or the file itself calls for
            raise InputError(f"{path.name} can't be read as a checkpoint", hint=str(error).splitlines()[0]) from None
        state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
        return {k.removeprefix("module."): v for k, v in state.items() if isinstance(v, Tensor)}, None
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("netcodecs")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise InputError(f"{path.name} is no safetensors file", hint=str(error)) from None
    return tensors, None if text is None else json.loads(text)


def _from_compressai(path: Path, tensors: Mapping[str, Tensor]) -> Backbone:
    backbone = Backbone(FULL_WIDTHS, lambdas=LAMBDAS[-1:])
    shape = tensors["g_a.6.weight"].shape if "g_a.6.weight" in tensors else None
    if shape is None or tuple(shape[:2]) != (M, N):
        hint = f"weights of netcodecs.training.export, or CompressAI's mbt2018-mean with N = {N}, M = {M}"
        raise InputError(f"{path.name} holds neither netcodecs' weights nor a mbt2018-mean of that size", hint=hint)
    gains = {name: value for name, value in backbone.state_dict().items() if not name.startswith("model.")}
    _fill(path, backbone, gains | {f"model.{name}": tensor.float() for name, tensor in tensors.items()})
    return backbone.eval()


def _fill(path: Path, backbone: Backbone, tensors: Mapping[str, Tensor]) -> None:
    """Puts tensors into a network; tables that it makes itself may be missing, or be there."""
    own = backbone.state_dict()
    made = {name for name, value in own.items() if not value.numel() or name.endswith("scale_table")}
    given = {name: tensor for name, tensor in tensors.items() if name not in made}
    wrong = sorted(set(given) ^ (set(own) - made)) or sorted(n for n in given if given[n].shape != own[n].shape)
    if wrong:
        raise InputError(f"{path.name} does not hold this network's weights: {wrong[0]}", hint="export them anew")
    backbone.load_state_dict(own | given)

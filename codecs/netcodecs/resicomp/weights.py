"""ResiComp's weights on disk: safetensors, matrices as int8 with a scale a row, what they are of in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from netcodecs.progressive.backbone import Backbone, M
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.weights import load_backbone, restored, shrunk
from netcodecs.resicomp.transformer import DualTransformer, Size
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["Weights", "holds_resicomp", "load_weights", "of_transforms", "save_weights"]

_CODEC = "resicomp"
_SMALL = 4096  # as in the progressive family's files: what is smaller stays float32
_LEAST_SCALE = 1e-7
_NETWORK, _VALUES, _TRANSFORMS = "transformer/", "plc/", "transforms/"
_OF_TRANSFORMS = ("model.g_a.", "model.g_s.", "log_gain", "log_inverse_gain")


@dataclass(frozen=True)
class Weights:
    """All that was trained, in eval mode.

    backbone: g_a, g_s (mbt2018-mean's or ELIC's) and their gains; its hyperprior is not used. spread: usual size of
    each channel before its gain, float64 (M,). lambdas: the lowest and highest λ that the Transformer was trained for.
    values: a Transformer of its own for concealing losses (the paper's ablation "separate Transformers"); None: the
    one does both.
    """

    network: DualTransformer
    backbone: Backbone
    spread: NDArray[np.float64]
    lambdas: tuple[float, float]
    values: DualTransformer | None = None


def of_transforms(backbone: Backbone) -> dict[str, Tensor]:
    """What of a backbone ResiComp uses: g_a, g_s and the gains, by name."""
    return {name: tensor for name, tensor in backbone.state_dict().items() if name.startswith(_OF_TRANSFORMS)}


def save_weights(
    path: Path,
    network: DualTransformer,
    spread: Tensor,
    lambdas: tuple[float, float],
    transforms: Backbone | str = "mbt-mean",
    values: DualTransformer | None = None,
) -> None:
    """Writes a trained Transformer.

    transforms: a method whose weights ship, with which alone the file can then be used (their hash is written down);
    or a network whose g_a, g_s and gains go into the file. values: as of :class:`Weights`.
    """
    tensors = _shrunk_rows({_NETWORK + name: tensor for name, tensor in network.state_dict().items()})
    tensors["spread"] = spread.float().contiguous()
    facts: dict[str, Any] = {"codec": _CODEC, "size": asdict(network.size), "lambdas": lambdas}
    if values is not None:
        tensors |= _shrunk_rows({_VALUES + name: tensor for name, tensor in values.state_dict().items()})
        facts["plc"] = asdict(values.size)
    if isinstance(transforms, Backbone):
        tensors |= {_TRANSFORMS + name: tensor for name, tensor in shrunk(of_transforms(transforms)).items()}
        facts["transforms"] = {"kind": transforms.kind, "widths": transforms.widths, "lambdas": transforms.lambdas}
    else:
        facts["transforms"] = {"method": transforms, "sha256": _digest(load_backbone(shipped_weights(transforms)))}
    save_file(tensors, path, metadata={"netcodecs": json.dumps(facts)})


def load_weights(path: Path) -> Weights:
    """What :func:`save_weights` wrote.

    Raises InputError if the file is missing, can't be read or holds something else, or if the transforms that it
    names have changed since.
    """
    if not path.is_file():
        raise InputError(f"no weights at {path}", hint=f"{install_command('weights')}, or train them: docs/training.md")
    tensors, facts = _read(path)
    network = _transformer(path, facts["size"], _below(tensors, _NETWORK))
    values = _transformer(path, facts["plc"], _below(tensors, _VALUES)) if "plc" in facts else None
    backbone = _transforms(path, facts["transforms"], tensors)
    spread = tensors["spread"].double().numpy()
    return Weights(network, backbone, spread, (facts["lambdas"][0], facts["lambdas"][1]), values)


def holds_resicomp(path: Path) -> bool:
    """Whether a file is one of :func:`save_weights`; False if it can't be read."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("netcodecs", "{}"))
    except (SafetensorError, OSError):
        return False
    return bool(facts.get("codec") == _CODEC)


def _transformer(path: Path, size: Mapping[str, int], tensors: dict[str, Tensor]) -> DualTransformer:
    network = DualTransformer(M, Size(**size))
    _fill(path, network, tensors)
    return network.eval()


def _digest(backbone: Backbone) -> str:
    """SHA-256 of what ResiComp uses of a network: names, shapes and float32 values; not of its hyperprior."""
    made = hashlib.sha256()
    for name, tensor in sorted(of_transforms(backbone).items()):
        made.update(f"{name} {tuple(tensor.shape)}\n".encode())
        made.update((tensor.detach() + 0.0).cpu().numpy().astype("<f4").tobytes())  # -0 is 0
    return made.hexdigest()


def _shrunk_rows(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large matrices as int8, a scale for each row; the rest as float32."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() != 2 or tensor.numel() < _SMALL:
            stored[name] = tensor.float().contiguous()
            continue
        scale = (tensor.float().abs().amax(1, keepdim=True) / 127).clamp(min=_LEAST_SCALE).half()
        stored[name] = torch.round(tensor.float() / scale.float()).clamp(-127, 127).to(torch.int8).contiguous()
        stored[name + "/scale"] = scale
    return stored


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return restored({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("netcodecs", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise InputError(f"{path.name} is no safetensors file", hint=str(error)) from None
    if facts.get("codec") != _CODEC:
        raise InputError(f"{path.name} holds no weights of {_CODEC}", hint="export them: docs/training.md")
    return tensors, facts


def _transforms(path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Backbone:
    if "method" not in facts:
        kind = facts.get("kind", "mbt")  # files from before there was a choice don't say
        backbone = Backbone(tuple(facts["widths"]), lambdas=tuple(facts["lambdas"]), kind=kind)
        own = {n: t for n, t in backbone.state_dict().items() if not n.startswith(_OF_TRANSFORMS)}
        _fill(path, backbone, own | _below(tensors, _TRANSFORMS))
        return backbone.eval()
    named = shipped_weights(facts["method"])
    backbone = load_backbone(named)
    if _digest(backbone) != facts["sha256"]:
        hint = "the Transformer knows other latents: train and export it anew, with its transforms in its file"
        raise InputError(
            f"the transforms in {named.name} have changed since {path.name} was trained on them", hint=hint
        )
    return backbone


def _fill(path: Path, module: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    own = module.state_dict()
    wrong = sorted(set(own) ^ set(tensors)) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if wrong:
        raise InputError(f"{path.name} does not hold this network's weights: {wrong[0]}", hint="export them anew")
    module.load_state_dict(tensors)

"""ResiComp's weights on disk: transforms and Transformer in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.sizes import Size
from netcodecs.transforms.gained import GainedTransforms, TransformKind
from netcodecs.weight_files import fill, in_float16, read_weights, restored, shrunk, tensors_below, write_weights
from netsim.errors import InputError

__all__ = ["holds_resicomp", "load_transforms", "load_weights", "save_weights"]

_CODEC = "resicomp"
_TRANSFORMS, _CONTEXT = "transforms.", "context."
_LARGEST_CONTEXT = 64  # no more fit into the coder's sums
_LARGEST = torch.finfo(torch.float32).max


def save_weights(
    path: Path, model: ResiCompModel, *, exactly: bool = False, facts: Mapping[str, Any] | None = None
) -> None:
    """Writes a trained model.

    Args:
        path: Of the file.
        model: All of it goes into the file; its sizes are among the file's facts.
        exactly: Store everything as float16, for training to go on.
        facts: More of them.
    """
    kind = model.transforms.kind
    own = {
        "codec": _CODEC,
        "kind": kind.kind,
        "widths": kind.widths,
        "lambdas": model.transforms.lambdas,
        "size": asdict(model.transformer.size),
        "separate": model.second is not None,
    }
    write_weights(
        path, shrunk(model.state_dict(), in_int8=in_float16 if exactly else _tolerates_int8), dict(facts or {}) | own
    )


def _tolerates_int8(name: str) -> bool:
    """The Transformer's matrices, and of the transforms the layers inside residual blocks.

    The transforms' other layers pass large values of few channels on: in int8 they cost .2 dB.
    """
    return not name.startswith(_TRANSFORMS) or ".expand." in name or ".project." in name


def load_weights(path: Path) -> ResiCompModel:
    """The model, in eval mode, that :func:`save_weights` wrote.

    Raises:
        InputError: If the file is missing, can't be read or holds something else.
    """
    tensors, facts = read_weights(path)
    if facts.get("codec") != _CODEC:
        raise InputError(f"{path.name} holds no weights of {_CODEC}", hint="export them: docs/how-to/training.md")
    kind, lambdas = _kind(facts), tuple(facts["lambdas"])
    model = ResiCompModel(kind, Size(**facts["size"]), lambdas, separate=facts["separate"])
    given, context = restored(tensors), model.context
    unfitted = {f"{_CONTEXT}{name}": weights for name, weights in context.state_dict().items()}
    fill(model, unfitted | given, path)  # older files have none
    for name, weights in model.state_dict().items():
        largest = _LARGEST_CONTEXT if name.startswith(_CONTEXT) else _LARGEST
        if not bool((weights.abs() <= largest).all()):
            raise InputError(f"{path.name}: {name} is not finite or too large", hint="export them anew")
    return model.eval()


def holds_resicomp(path: Path) -> bool:
    """Whether a file is one of :func:`save_weights`.

    Raises:
        InputError: If the file is missing or no safetensors file.
    """
    return bool(read_weights(path)[1].get("codec") == _CODEC)


def load_transforms(path: Path) -> GainedTransforms:
    """g_a, g_s and gains, in eval mode, of a weights file of ResiComp or of the baseline.

    Raises:
        InputError: If the file is missing, can't be read or has no such transforms.
    """
    tensors, facts = read_weights(path)
    if facts.get("codec") == _CODEC:
        tensors = tensors_below(_TRANSFORMS, tensors)
    if "kind" not in facts:
        raise InputError(f"{path.name} holds no transforms with gains", hint="name weights of mbt-mean or resicomp")
    if others := sorted({n.split(".")[0] for n in tensors} & {"aggregation"}):
        raise InputError(f"{path.name} holds {others[0]} between its transforms", hint="name weights of mbt-mean")
    transforms = GainedTransforms(_kind(facts), tuple(facts["lambdas"]))
    own = transforms.state_dict()
    fill(transforms, {name: tensor for name, tensor in restored(tensors).items() if name in own}, path)
    return transforms.eval()


def _kind(facts: Mapping[str, Any]) -> TransformKind:
    return TransformKind(facts["kind"], tuple(facts["widths"]))

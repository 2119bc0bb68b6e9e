"""CompressAI's models from the user's checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netcodecs.common.checkpoint_files import read_checkpoint
from netcodecs.compressai_import import compressai
from netsim.errors import InputError

__all__ = ["load_model"]

_ELIC_GROUP = re.compile(r"latent_codec\.y\.latent_codec\.y(\d+)\.context_prediction\.weight")


def load_model(architecture: str, path: Path) -> nn.Module:
    """A CompressAI model with a checkpoint's weights, in eval mode.

    Args:
        architecture: CompressAI's name: ``bmshj2018-factorized``, ``bmshj2018-hyperprior``, ``mbt2018-mean``,
            ``mbt2018``, ``cheng2020-anchor``, ``cheng2020-attn`` or ``elic2022`` (its ``elic2022-official`` and
            ``elic2022-chandelier``).
        path: See ``read_checkpoint``. Widths are read from the tensors' shapes.

    Raises:
        InputError: The file is missing, can't be read, holds another model, or weights that are not finite.
    """
    from compressai.zoo.pretrained import load_pretrained

    tensors = load_pretrained(read_checkpoint(path))
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"{path.name}: `{name}` is not finite", hint="the training diverged: use another checkpoint"
            )
    reasons = []
    for make in _MAKERS[architecture]:
        try:
            model = make(dict(tensors))
            model.load_state_dict(dict(tensors))
        except (KeyError, RuntimeError, ValueError, IndexError, AssertionError) as error:
            reasons.append(_reason(error))
        else:
            return model.eval()
    raise InputError(f"{path.name} holds no {architecture} of CompressAI", hint=reasons[0])


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no tensor {error}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else (lines or [type(error).__name__])[0]


def _google(kind: Any) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    def make(tensors: Mapping[str, Tensor]) -> nn.Module:
        model: nn.Module = kind(tensors["g_a.0.weight"].size(0), tensors["g_a.6.weight"].size(0))
        return model

    return make


def _cheng(kind: Any) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    def make(tensors: Mapping[str, Tensor]) -> nn.Module:
        model: nn.Module = kind(tensors["g_a.0.conv1.weight"].size(0))
        return model

    return make


def _elic(kind: Any) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    def make(tensors: Mapping[str, Tensor]) -> nn.Module:
        found = {int(match[1]): t.size(1) for n, t in tensors.items() if (match := _ELIC_GROUP.fullmatch(n))}
        groups = [found[number] for number in range(len(found))]
        model: nn.Module = kind(N=tensors["g_a.0.weight"].size(0), M=sum(groups), groups=groups)
        return model

    return make


_models = compressai.models
_MAKERS: Mapping[str, tuple[Callable[[Mapping[str, Tensor]], nn.Module], ...]] = {
    "bmshj2018-factorized": (_google(_models.FactorizedPrior),),
    "bmshj2018-hyperprior": (_google(_models.ScaleHyperprior),),
    "mbt2018-mean": (_google(_models.MeanScaleHyperprior),),
    "mbt2018": (_google(_models.JointAutoregressiveHierarchicalPriors),),
    "cheng2020-anchor": (_cheng(_models.Cheng2020Anchor),),
    "cheng2020-attn": (_cheng(_models.Cheng2020Attention),),
    "elic2022": (_elic(_models.Elic2022Official), _elic(_models.Elic2022Chandelier)),
}

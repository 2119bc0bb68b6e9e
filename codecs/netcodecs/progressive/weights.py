"""Weights of the channel-progressive family on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from netcodecs.common.checkpoint_files import TORCH_SUFFIXES, read_checkpoint
from netcodecs.progressive.backbone import MBT_WIDTHS, Backbone, M, N, TransformKind
from netcodecs.progressive.methods import Method, method_named, shipped_weights
from netcodecs.weight_files import digest, fill, in_float16, read_weights, restored, shrunk, write_weights
from netsim.errors import InputError

__all__ = ["dependents_kept", "load_backbone", "load_weights", "save_weights"]

_IN_INT8 = (".expand.", ".project.", ".analysis.inputs.", ".down_", ".up_", ".context.earlier")
_WIDTHS: Mapping[str, int] = {"residual": 4, "mbt": 3, "elic": 3}  # how many there are
_LARGEST_CONTEXT, _MOST_COUNT = 1 << 10, 1 << 40  # of weights of contexts, and of a symbol
_COMPRESSAI_LAMBDA = 0.0067  # of a checkpoint for one rate: any will do, its gains are one


def save_weights(
    path: Path,
    backbone: Backbone,
    method: str,
    *,
    base: Path | None = None,
    exactly: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Writes a trained network.

    Args:
        path: Of the file.
        backbone: The network.
        method: Its name, among the file's facts beside transforms and λ.
        base: Weights in the same folder from which the network was trained. The file then holds differences from them,
            most of which are small enough for int8, and their hash.
        exactly: Store everything as float16, for training to go on.
        facts: More of them.
    """
    kind, tensors = backbone.kind, dict(backbone.state_dict())
    own: dict[str, Any] = {
        "method": method,
        "kind": kind.kind,
        "widths": kind.widths,
        "lambdas": backbone.lambdas,
    }
    in_int8: Callable[[str], bool] = _tolerates_int8 if kind.kind == "residual" else in_float16
    if exactly:
        in_int8 = in_float16
    elif base is not None:
        known = _own_tensors(base)[0]
        shared = {n for n, t in tensors.items() if n in known and known[n].shape == t.shape and t.is_floating_point()}
        tensors |= {name: tensors[name].float() - known[name] for name in shared}
        own["base"] = {"file": base.name, "sha256": digest({name: known[name] for name in shared})}
        strided = {name for name in shared if tensors[name].shape[2:] == (4, 4)}  # differences tolerate it
        in_int8 = ({name for name in shared if _tolerates_int8(name)} | strided).__contains__
    write_weights(path, shrunk(tensors, in_int8=in_int8), dict(facts or {}) | own)


def _tolerates_int8(name: str) -> bool:
    """Layers inside residual blocks and between the hyperprior's strides: in int8 they cost nothing.

    In the others, which pass large values of few channels on, int8 costs .2 dB and 1 % of the rate.
    """
    return not name.startswith("aggregation.") and any(part in name for part in _IN_INT8)


def _own_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a file that :func:`save_weights` wrote, its base added, and its facts."""
    stored, facts = read_weights(path)
    if "method" in facts:
        _described(facts, path)  # weights of the former network can't be restored
    try:
        tensors = restored(stored)
    except InputError as error:
        raise error.at(path.name) from None
    if "base" in facts:
        if not (isinstance(facts["base"], dict) and {"file", "sha256"} <= set(facts["base"])):
            raise InputError(f"{path.name} has the base {facts['base']}", hint="a file and its hash; export it anew")
        base = path.with_name(Path(str(facts["base"]["file"])).name)
        if base == path:
            raise InputError(f"{path.name} is its own base", hint="export it anew")
        if "base" in read_weights(base)[1]:
            raise InputError(f"{path.name} has the base {base.name}, which has one itself", hint="export it anew")
        known = _own_tensors(base)[0]
        shared = [n for n, t in tensors.items() if n in known and known[n].shape == t.shape and t.is_floating_point()]
        if digest({name: known[name] for name in shared}) != facts["base"]["sha256"]:
            hint = "export it anew, or bring back the file that it was exported with"
            raise InputError(f"{path.name} holds differences from another {base.name} than the one here", hint=hint)
        tensors |= {name: tensors[name] + known[name] for name in shared}
    return tensors, facts


@contextmanager
def dependents_kept(base: Path) -> Iterator[None]:
    """While the weights at ``base`` are replaced: files beside it that hold differences from them are written anew.

    Those whose differences are from tensors that did not change stay as they are: rounded anew, their streams could
    differ.

    Args:
        base: A file that may not exist yet.
    """
    kept = []
    for path in sorted(base.parent.glob("*.safetensors")) if base.is_file() else []:
        facts = read_weights(path)[1]
        if facts.get("base", {}).get("file") == base.name:
            kept.append((path, load_weights(path)[0], facts))
    yield
    for path, network, facts in kept:
        try:
            load_weights(path)
        except InputError:  # holds differences from another base
            save_weights(path, network, facts["method"], base=base, facts=facts)


def load_backbone(path: Path | None = None) -> Backbone:
    """The network in a weights file, in eval mode; the baseline that ships if None. See :func:`load_weights`."""
    return load_weights(shipped_weights("mbt-mean") if path is None else path)[0]


def load_weights(path: Path) -> tuple[Backbone, Method]:
    """Network, in eval mode, and method of a weights file.

    Args:
        path: A file of :func:`save_weights`, or CompressAI's checkpoint of mbt2018-mean (N = 128, M = 192: its
            qualities 1 to 4), as ``.pth``/``.tar`` or safetensors: taken as it is, for its one rate. A ``.pth`` is
            read by torch's restricted loader, which makes tensors and containers and runs nothing.

    Raises:
        InputError: If the file is missing, can't be read or holds other tensors.
    """
    if path.suffix in TORCH_SUFFIXES:
        return _from_compressai(path, read_checkpoint(path)), method_named("mbt-mean")
    tensors, facts = _own_tensors(path)
    if not facts:
        return _from_compressai(path, tensors), method_named("mbt-mean")
    if "method" not in facts:
        raise InputError(f"{path.name} holds no weights of this family", hint="see its model card")
    method = method_named(facts["method"])
    kind, lambdas = _described(facts, path)
    backbone = Backbone(kind, scr=method.scr, mca=method.mca, lambdas=lambdas)
    fitted = {name for name, _ in backbone.named_buffers()}  # a file may be without
    fill(backbone, {name: tensor for name, tensor in backbone.state_dict().items() if name in fitted} | tensors, path)
    _refuse_unreal(backbone, path)
    return backbone.eval(), method


def _refuse_unreal(backbone: Backbone, path: Path) -> None:
    """Raises InputError if entropy coding can't have been fitted so: fixed point has no such numbers."""
    for name, fitted in backbone.named_buffers():
        least, most = (0, _MOST_COUNT) if name == "symbol_counts" else (-_LARGEST_CONTEXT, _LARGEST_CONTEXT)
        if ("context." in name or name == "symbol_counts") and not bool(((least <= fitted) & (fitted <= most)).all()):
            hint = f"all are within {least} and {most}; export the weights anew"
            raise InputError(f"{path.name} holds numbers in {name} that can't be", hint=hint)


def _described(facts: Mapping[str, Any], path: Path) -> tuple[TransformKind, tuple[float, ...]]:
    """Transforms and λ of a file's facts."""
    if "kind" not in facts:
        raise InputError(f"{path.name} is of an earlier version of the network", hint="train and export it anew")
    kind, widths, lambdas = (facts.get(name) for name in ("kind", "widths", "lambdas"))
    if (
        kind not in ("residual", "mbt", "elic")
        or not (
            isinstance(widths, list) and len(widths) == _WIDTHS[kind] and all(type(w) is int and w > 0 for w in widths)
        )
        or not (isinstance(lambdas, list) and lambdas and all(type(lam) is float and lam > 0 for lam in lambdas))
        or lambdas != sorted(set(lambdas))
    ):
        described = f"kind {kind}, widths {widths}, lambdas {lambdas}"
        raise InputError(f"{path.name} describes a network that can't be: {described}", hint="export the weights anew")
    return TransformKind(kind, tuple(widths)), tuple(lambdas)


def _from_compressai(path: Path, tensors: Mapping[str, Tensor]) -> Backbone:
    backbone = Backbone(TransformKind("mbt", MBT_WIDTHS), lambdas=(_COMPRESSAI_LAMBDA,))
    shape = tensors["g_a.6.weight"].shape if "g_a.6.weight" in tensors else None
    if shape is None or tuple(shape[:2]) != (M, N):
        hint = f"weights of netcodecs.training, or CompressAI's mbt2018-mean with N = {N}, M = {M}"
        raise InputError(f"{path.name} holds neither netcodecs' weights nor a mbt2018-mean of that size", hint=hint)
    renamed = {(n if n.startswith(("g_a.", "g_s.")) else f"hyper.{n}"): t.float() for n, t in tensors.items()}
    gains = {n: value for n, value in backbone.state_dict().items() if "." not in n or n.startswith("context.")}
    fill(backbone, gains | renamed, path)
    return backbone.eval()

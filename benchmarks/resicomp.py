"""ResiComp against CompressAI's compress, a further mask against two forward passes, all masks against one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import data

from benchmarks.learned import QUALITY
from benchmarks.result import Result, rivals_s
from netsim.codec import OperatingPoint, create_codec

__all__ = ["resicomp"]

ROUNDS = 3
FURTHER = 16


def resicomp() -> list[Result]:
    """One photograph of 576 × 384 at quality 2, one thread."""
    import torch
    from netcodecs.threads import one_thread

    image = np.ascontiguousarray(data.coffee()[:384, :576])
    with one_thread(), torch.no_grad():
        return [_encode(image), _further_mask(image), _all_masks(image)]


def _encode(image: NDArray[np.uint8]) -> Result:
    """No target: a Transformer pass for each slice has no counterpart in CompressAI's model."""
    import torch
    from netcodecs.compressai_import import compressai

    plain = compressai.models.MeanScaleHyperprior(128, 192).eval()
    plain.update()
    exact = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    codec, point = create_codec("resicomp", {"mode": "LC"}), OperatingPoint("quality", QUALITY)
    ours, theirs = rivals_s(lambda: codec.encode(image, point), lambda: plain.compress(exact), ROUNDS)
    return Result("resicomp LC, encode, against CompressAI", ours, theirs, theirs / ours, 0.0, "s")


def _masks(slices: int, count: int) -> NDArray[np.bool_]:
    """Different masks, protected head first, first and last slice received."""
    drawn = np.random.default_rng(0).permutation(2 ** (slices - 2))[:count]
    middle = (drawn[:, None] >> np.arange(slices - 2)) & 1 == 1
    ends = np.ones((count, 1), bool)
    return np.concatenate([ends, ends, middle, ends], axis=1)


def _further_mask(image: NDArray[np.uint8]) -> Result:
    """What a mask costs once a stream's symbols are known, against the concealment's and g_s's bare forward passes."""
    import torch
    from netcodecs.common.shipped import shipped_weights
    from netcodecs.resicomp.codec import ResiComp
    from netcodecs.resicomp.weights import load_weights

    codec = create_codec("resicomp", {"mode": "ISC"})
    assert isinstance(codec, ResiComp)
    stream = codec.encode(image, OperatingPoint("quality", QUALITY))
    masks = _masks(len(stream) - 1, FURTHER)
    codec.decode(stream, np.ones((1, len(stream)), bool))
    model = load_weights(shipped_weights("resicomp"))
    window = model.transformer.size.window
    rows, columns = (-(-side // 16 // window) * window for side in image.shape[:2])
    g_s = model.transforms.g_s.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tokens, known = torch.randn(1, rows, columns, len(model.spread)), torch.rand(1, rows, columns) > 0.5

    def forward() -> None:
        for _ in range(FURTHER):
            filled = model.concealer.concealed(model.concealer.given(tokens, torch.zeros(1)), known)
            g_s(filled[:, : image.shape[0] // 16, : image.shape[1] // 16].permute(0, 3, 1, 2))

    ours, theirs = (seconds / FURTHER for seconds in rivals_s(lambda: codec.decode(stream, masks), forward, ROUNDS))
    name = "resicomp, a further mask, against one PLC and one g_s forward pass"
    return Result(name, 1e3 * ours, 1e3 * theirs, theirs / ours, 1 / 1.2, "ms")


def _all_masks(image: NDArray[np.uint8]) -> Result:
    """Every usable mask of MDC-2 in one call, against a decoder for each."""
    settings = {"mode": "MDC-2"}
    stream = create_codec("resicomp", settings).encode(image, OperatingPoint("quality", QUALITY))
    chains = np.tril(np.ones((6, 5), bool), -1)  # none, the first, the first two … of a chain of five
    first, second = (part.reshape(-1, 5) for part in np.broadcast_arrays(chains[:, None], chains[None]))
    masks = np.zeros((36, len(stream)), bool)
    masks[:, 1::2], masks[:, 2::2] = first, second
    masks = masks[masks.any(axis=1)] | stream.protected

    def singly() -> None:
        for mask in masks:
            create_codec("resicomp", settings).decode(stream, mask[None])

    ours, theirs = rivals_s(lambda: create_codec("resicomp", settings).decode(stream, masks), singly, 1)
    name = f"resicomp MDC-2, all {len(masks)} masks that give an image in a call, against single decodes"
    return Result(name, len(masks) / ours, len(masks) / theirs, theirs / ours, 5.0, "images/s")

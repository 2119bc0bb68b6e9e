"""The channel-progressive codecs against CompressAI's own compress and decompress, and many masks against one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import data

from benchmarks.result import Result, rivals_s
from netsim.codec import OperatingPoint, create_codec

__all__ = ["QUALITY", "learned_codecs"]

QUALITY, MASKS, LOSS_RATE = 2.0, 64, 0.2
ROUNDS = 5


def learned_codecs() -> list[Result]:
    """One photograph of 576 × 384 at quality 2, one thread; the reference is the same trained backbone's."""
    import torch
    from netcodecs.threads import one_thread

    picture = np.ascontiguousarray(data.coffee()[:384, :576])
    with one_thread(), torch.no_grad():
        results = [line for name in ("mbt-mean", "scr-mca-ge") for line in _against_compressai(name, picture)]
        return [*results, _masks(picture)]


def _against_compressai(name: str, picture: NDArray[np.uint8]) -> list[Result]:
    import torch
    from netcodecs.progressive.methods import shipped_weights
    from netcodecs.progressive.transforms import quality_lambda
    from netcodecs.progressive.weights import load_weights

    plain = load_weights(shipped_weights("mbt-mean"))[0].at(quality_lambda(QUALITY))
    exact = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    theirs = plain.compress(exact)
    codec, point = create_codec(name, {}), OperatingPoint("quality", QUALITY)
    stream = codec.encode(picture, point)
    everything = np.ones((1, len(stream)), bool)
    encode = rivals_s(lambda: codec.encode(picture, point), lambda: plain.compress(exact), ROUNDS)
    decode = rivals_s(
        lambda: codec.decode(stream, everything), lambda: plain.decompress(theirs["strings"], theirs["shape"]), ROUNDS
    )
    return [
        _cost(f"{name}, encode, against CompressAI", *encode),
        _cost(f"{name}, decode, against CompressAI", *decode),
    ]


def _cost(name: str, ours_s: float, reference_s: float) -> Result:
    """At most 1.3 times the reference's time: the ratio must reach 1 / 1.3."""
    return Result(name, 1e3 * ours_s, 1e3 * reference_s, reference_s / ours_s, 1 / 1.3, "ms")


def _masks(picture: NDArray[np.uint8]) -> Result:
    """All masks in one call, entropy decoding once, against a call for each."""
    codec = create_codec("scr-mca-ge", {})
    stream = codec.encode(picture, OperatingPoint("quality", QUALITY))
    masks = np.random.default_rng(0).random((MASKS, len(stream))) >= LOSS_RATE
    masks |= stream.protected
    together, singly = rivals_s(
        lambda: codec.decode(stream, masks), lambda: [codec.decode(stream, mask[None]) for mask in masks], 1
    )
    name = f"scr-mca-ge, {MASKS} masks of one picture in a call, against single decodes"
    return Result(name, MASKS / together, MASKS / singly, singly / together, 2.0, "pictures/s")

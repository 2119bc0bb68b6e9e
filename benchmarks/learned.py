"""The channel-progressive baseline against CompressAI's mbt2018-mean, and many masks against one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import data

from benchmarks.result import Result, rivals_s
from netsim.codec import OperatingPoint, create_codec

__all__ = ["QUALITY", "learned_codecs"]

QUALITY, MASKS, LOSS_RATE = 2.0, 64, 0.2
ROUNDS = 5
_SPREAD = 60.0  # of the reference's latent: it then codes about as many symbols that are not zero as trained weights do


def learned_codecs() -> list[Result]:
    """One photograph of 576 × 384 at quality 2, one thread."""
    import torch
    from netcodecs.threads import one_thread

    image = np.ascontiguousarray(data.coffee()[:384, :576])
    with one_thread(), torch.no_grad():
        return [*_against_compressai(image), _masks(image)]


def _against_compressai(image: NDArray[np.uint8]) -> list[Result]:
    """``mbt-mean``, all of its packets, against compress and decompress of mbt2018-mean (128, 192), random weights."""
    import torch
    from netcodecs.compressai_import import compressai

    torch.manual_seed(0)
    reference = compressai.models.MeanScaleHyperprior(128, 192).eval()
    reference.g_a[-1].weight.mul_(_SPREAD)
    reference.update()
    exact = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    theirs = reference.compress(exact)
    codec, point = create_codec("mbt-mean", {}), OperatingPoint("quality", QUALITY)
    stream = codec.encode(image, point)
    everything = np.ones((1, len(stream)), bool)
    encode = rivals_s(lambda: codec.encode(image, point), lambda: reference.compress(exact), ROUNDS)
    decode = rivals_s(
        lambda: codec.decode(stream, everything),
        lambda: reference.decompress(theirs["strings"], theirs["shape"]),
        ROUNDS,
    )
    return [
        _cost("mbt-mean, encode, against CompressAI's mbt2018-mean", *encode),
        _cost("mbt-mean, decode, against CompressAI's mbt2018-mean", *decode),
    ]


def _cost(name: str, ours_s: float, reference_s: float) -> Result:
    """At most 1.3 times the reference's time: the ratio must reach 1 / 1.3."""
    return Result(name, 1e3 * ours_s, 1e3 * reference_s, reference_s / ours_s, 1 / 1.3, "ms")


def _masks(image: NDArray[np.uint8]) -> Result:
    """All masks in one call, entropy decoding once, against a call for each."""
    codec = create_codec("mbt-mean", {})
    stream = codec.encode(image, OperatingPoint("quality", QUALITY))
    masks = np.random.default_rng(0).random((MASKS, len(stream))) >= LOSS_RATE
    masks |= stream.protected
    together, singly = rivals_s(
        lambda: codec.decode(stream, masks), lambda: [codec.decode(stream, mask[None]) for mask in masks], 1
    )
    name = f"mbt-mean, {MASKS} masks of one image in a call, against single decodes"
    return Result(name, MASKS / together, MASKS / singly, singly / together, 2.0, "images/s")

"""Payloads of ``resicomp``, with checksums as they are and made good.

Most cases have a tiny Transformer, whose packets have the same form and whose decoding takes less time.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from netcodecs.common.shipped import shipped_weights
from netcodecs.resicomp.weights import load_transforms, save_weights

from netsim.codec import Codec, OperatingPoint, Stream, create_codec
from tests.codecs.resicomp.conftest import tiny_model
from tests.fuzz.kinds._payloads import attempt_stream, coded_photos
from tests.fuzz.kinds.progressive import _sealed

WORDS = [b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\x83\xff\x7f", b"\0\0\0\0", b"\xff" * 8, b"\xa0\0", b"\x0b"]
SETTINGS = [
    {"mode": "MDC-2", "slices": 4},
    {"mode": "ISC", "slices": 3, "conceal": "mean"},
    {"mode": "000/100/110", "conceal": "zero"},
]
_TINY = 0.9  # share of such cases


def attempt(rng: Random, folder: Path) -> object:
    """One damaged stream."""
    codec, streams = rng.choice(_coded(tiny=rng.random() < _TINY))
    return attempt_stream(rng, codec, streams, WORDS, _sealed)


def prepare() -> None:
    """Makes the streams."""
    _coded(tiny=False), _coded(tiny=True)


@cache
def _coded(*, tiny: bool) -> list[tuple[Codec, list[Stream]]]:
    weights = {"weights": str(_tiny_weights())} if tiny else {}
    codecs = [create_codec("resicomp", settings | weights) for settings in SETTINGS]
    return coded_photos(codecs, OperatingPoint("quality", 1.0))


@cache
def _tiny_weights() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="netsim-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "tiny.safetensors"
    save_weights(path, tiny_model(load_transforms(shipped_weights("mbt-mean"))))
    return path

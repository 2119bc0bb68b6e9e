"""A codec whose decoder is a native library with faults: what the first byte of a payload says happens there."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from netsim.codec import Codec, OperatingPoint, Packet, Stream
from netsim.errors import InputError
from netsim.isolation import run_isolated

__all__ = ["FaultyCodec", "decoded", "decoded_file"]

TIMEOUT_S, MEMORY_BYTES = 1.0, 256 << 20


def decoded(payload: bytes) -> np.ndarray:
    """uint8 [4, 4, 3] of the second byte, or a fault."""
    way = payload[:1]
    if way == b"s":
        ctypes.string_at(0)
    elif way == b"l":
        time.sleep(1000)
    elif way == b"m":
        return np.ones(55 << 27)  # 55 GiB
    elif way == b"a":
        ctypes.CDLL(None).abort()
    elif way == b"r":
        raise InputError("refused", where="a place", hint="a hint", key=("rows", 1))
    elif way == b"b":
        raise ZeroDivisionError("a bug")
    return np.full((4, 4, 3), payload[1], np.uint8)


def decoded_file(path: Path) -> np.ndarray:
    """``decoded`` of a file's bytes."""
    return decoded(path.read_bytes())


class FaultyCodec(Codec):
    """Decodes by ``decoded`` in the child process. quality: the fault, as the number of its letter."""

    name = "faulty"
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": int}

    def encode(
        self, image: np.ndarray, operating_point: OperatingPoint, packet_limit_bytes: int | None = None
    ) -> Stream:
        return Stream((Packet(bytes([int(operating_point.value), 7])),), image.shape[:2], operating_point)

    def usable(self, stream: Stream, received: np.ndarray) -> np.ndarray:
        return received.copy()

    def decode(self, stream: Stream, masks: np.ndarray) -> np.ndarray:
        limits = {"timeout_s": TIMEOUT_S, "memory_bytes": MEMORY_BYTES}
        image = run_isolated(decoded, stream.packets[0].payload, what=self.name, **limits)
        return np.repeat(image[np.newaxis], len(masks), axis=0)

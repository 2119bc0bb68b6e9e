"""Encodes in a new process, which remembers nothing and has another hash seed."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from netsim.codec import OperatingPoint, Stream
from netsim.conformance.case import Broken, Case

__all__ = ["digest", "encode_as_told", "packets_elsewhere"]


def digest(stream: Stream) -> str:
    """Hash of a stream's packets.

    Args:
        stream: The stream.

    Returns:
        Hexadecimal.
    """
    parts = [hashlib.sha256(packet.payload).hexdigest() + str(packet.protected) for packet in stream.packets]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def packets_elsewhere(case: Case) -> str:
    """Digest of the packets that a new process makes.

    Args:
        case: Codec, image and operating point.

    Returns:
        As ``digest``.

    Raises:
        Broken: Encoding fails there.
    """
    kind = type(case.codec)
    order = {
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "settings": case.codec.settings.model_dump(mode="json", exclude_unset=True),
        "point": [case.point.key, case.point.value],
        "shape": case.image.shape,
    }
    done = subprocess.run(
        [sys.executable, "-m", "netsim.conformance"],
        input=json.dumps(order).encode() + b"\n" + case.image.tobytes(),
        capture_output=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Broken(f"{case}: encoding in a new process fails: {' '.join(last)}")
    return done.stdout.decode().strip()


def encode_as_told() -> None:
    """The new process's part: reads an order and an image, prints the packets' digest."""
    order = json.loads(sys.stdin.buffer.readline())
    kind: Any = importlib.import_module(order["module"])
    for part in order["kind"].split("."):
        kind = getattr(kind, part)
    image = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(order["shape"])
    print(digest(kind(kind.Settings(**order["settings"])).encode(image, OperatingPoint(*order["point"]))))

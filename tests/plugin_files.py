"""Plug-ins written to a folder while a test runs, as a user's own distribution would install them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from netsim import registry
from netsim.decoding import streams
from netsim.runs import tasks

__all__ = ["GREY_CODEC", "install"]

GREY_CODEC = """\
import numpy as np

from netsim.codec import Codec, CodecSettings, Packet, Stream


class Settings(CodecSettings):
    weights: str | None = None


class Grey(Codec):
    name = "grey"
    Settings = Settings
    operating_point_keys = {"bits": int}

    def encode(self, image, operating_point, packet_limit_bytes=None):
        head = Packet(np.array(image.shape[:2], ">u2").tobytes(), protected=True)
        return Stream((head, *(Packet(row.tobytes()) for row in image)), image.shape[:2], operating_point)

    def usable(self, stream, received):
        return received & received[..., :1]

    def decode(self, stream, masks):
        height, width = np.frombuffer(stream.packets[0].payload, ">u2")
        images = np.full((len(masks), height, width, 3), LEVEL, np.uint8)
        for image, mask in zip(images, masks):
            for row, packet, arrived in zip(image, stream.packets[1:], mask[1:]):
                if arrived:
                    row[:] = np.frombuffer(packet.payload, np.uint8).reshape(width, 3)
        return images
"""
"""A codec that puts the level LEVEL in place of a lost row."""


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], points: Mapping[str, Mapping[str, str]]
) -> None:
    """Write modules and entry points to ``folder`` and forget what was imported: as a new process would see them.

    Args:
        folder: Where they go; it is put on ``sys.path``.
        monkeypatch: Takes it off again.
        files: Sources by name below ``folder``.
        points: Entry points by group: name to ``module:object``.
    """
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for cached in path.parent.glob(f"__pycache__/{path.stem}.*"):
            cached.unlink()  # Python itself takes an old one if size and second of change are equal
    about = folder / "own_plugins-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugins\nVersion: 1.0\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in names.items())])
        for group, names in points.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups) + "\n")
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(folder)
    tops = {Path(name).parts[0].removesuffix(".py") for name in files}
    for module in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[module]
    importlib.invalidate_caches()
    registry._group.cache_clear()
    streams._codec.cache_clear()
    tasks._checked.clear()

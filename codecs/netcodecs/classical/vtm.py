"""VVC by the user's VTM programs, 4:4:4, 10 bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.ffmpeg import hash_of_planes, planes_from_rgb
from netcodecs.classical.picture_hash import PlaneHashes
from netcodecs.classical.programs import run_program, written_bytes
from netsim.errors import InputError

__all__ = ["vtm_config", "vtm_decode", "vtm_encode"]

Image = NDArray[np.uint8]

_TIMEOUT_S = 3600
_CONFIG = "encoder_intra_vtm.cfg"


def vtm_config(encoder: str, named: str | None) -> str:
    """Path of VTM's intra configuration.

    Args:
        encoder: Path of EncoderApp.
        named: What the user named; None: ``encoder_intra_vtm.cfg`` beside the encoder or in ``../cfg``.

    Raises:
        InputError: There is none; ``key`` is ``config``.
    """
    folder = Path(encoder).parent
    places = [Path(named).expanduser()] if named else [folder / _CONFIG, folder.parent / "cfg" / _CONFIG]
    for place in places:
        if place.is_file():
            return str(place)
    looked = ", ".join(map(str, places))
    hint = f"`config` is the path of VTM's {_CONFIG}"
    raise InputError(f"codec vvc: no VTM configuration (looked at {looked})", hint=hint, key=("config",))


def vtm_encode(encoder: str, config: str, image: Image, qp: int) -> tuple[bytes, str, PlaneHashes | None]:
    """Codes an image with VTM.

    Args:
        encoder: Path of EncoderApp.
        config: Path of its configuration.
        image: uint8 [H, W, 3], sides that VTM takes.
        qp: Quantiser parameter, 0…63.

    Returns:
        The bitstream, the command without paths, and the hashes of the encoder's reconstruction if it wrote one.

    Raises:
        InputError: The program fails or writes nothing.
    """
    height, width = image.shape[:2]
    size = ["-wdt", str(width), "-hgt", str(height), "-f", "1", "-fr", "1", "-q", str(qp)]
    depth = ["--InputChromaFormat=444", "--InputBitDepth=10", "--InternalBitDepth=10", "--OutputBitDepth=10"]
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        planes, bitstream = Path(scratch, "in.yuv"), Path(scratch, "out.vvc")
        planes.write_bytes(planes_from_rgb(image))
        decoded = Path(scratch, "out.yuv")
        files = ["-c", config, "-i", str(planes), "-b", str(bitstream), "-o", str(decoded)]
        run_program([encoder, *files, *size, *depth], timeout_s=_TIMEOUT_S)
        data = written_bytes(bitstream, encoder)
        reconstruction = hash_of_planes(decoded.read_bytes(), width, height) if decoded.is_file() else None
    names = ["-c", Path(config).name, "-i", "in.yuv", "-b", "out.vvc", "-o", "out.yuv"]
    return data, " ".join([Path(encoder).name, *names, *size, *depth]), reconstruction


def vtm_decode(decoder: str, bitstream: bytes) -> bytes:
    """The raw planes of a bitstream.

    Args:
        decoder: Path of DecoderApp.
        bitstream: Of one image.

    Raises:
        InputError: The program fails or writes nothing.
    """
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        coded, planes = Path(scratch, "in.vvc"), Path(scratch, "out.yuv")
        coded.write_bytes(bitstream)
        run_program([decoder, "-b", str(coded), "-o", str(planes), "-d", "10"], timeout_s=_TIMEOUT_S)
        return written_bytes(planes, decoder)

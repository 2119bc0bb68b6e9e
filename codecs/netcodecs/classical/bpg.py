"""BPG by the user's bpgenc and bpgdec."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from netcodecs.classical.programs import run_program, written_bytes
from netcodecs.classical.still_files import decode_still
from netcodecs.common.bitstream import EncodedBitstream

__all__ = ["bpg_decode", "bpg_encode"]

Image = NDArray[np.uint8]


def bpg_encode(encoder: str, image: Image, qp: int) -> EncodedBitstream:
    """A BPG file, 4:4:4, 8 bit, x265.

    Args:
        encoder: Path of bpgenc.
        image: uint8 [H, W, 3].
        qp: Quantiser parameter, 0…51.

    Raises:
        InputError: The program fails or writes nothing.
    """
    options = ["-q", str(qp), "-f", "444", "-c", "ycbcr", "-b", "8", "-e", "x265"]
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        source, coded = Path(scratch, "in.png"), Path(scratch, "out.bpg")
        PillowImage.fromarray(image).save(source)
        run_program([encoder, *options, "-o", str(coded), str(source)])
        data = written_bytes(coded, encoder)
    return EncodedBitstream(data, " ".join([Path(encoder).name, *options, "-o", "out.bpg", "in.png"]))


def bpg_decode(decoder: str, data: bytes) -> Image:
    """The image of a BPG file, uint8 [H, W, 3].

    Args:
        decoder: Path of bpgdec.
        data: The file.

    Raises:
        InputError: The program fails, writes nothing, or the file is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        coded, shown = Path(scratch, "in.bpg"), Path(scratch, "out.png")
        coded.write_bytes(data)
        run_program([decoder, "-o", str(shown), str(coded)])
        return decode_still(written_bytes(shown, decoder), "PNG", Path(decoder).name)

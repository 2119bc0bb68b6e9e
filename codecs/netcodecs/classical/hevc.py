"""HEVC intra 4:4:4, BPG's stand-in (libx265); BPG itself where the user names bpgenc and bpgdec."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from netcodecs.classical.ffmpeg import (
    decode_picture,
    decode_planes,
    encode_picture,
    ffmpeg_identity,
    hash_of_planes,
    rgb_from_planes,
)
from netcodecs.classical.picture_hash import checked_against, split_picture_hash
from netcodecs.classical.programs import find_program, identity, run_program
from netcodecs.classical.still_files import decode_still
from netcodecs.common.bitstream import (
    BitstreamCodec,
    BitstreamSettings,
    EncodedBitstream,
    Scale,
    checked_twice,
    crop,
    framed,
    pad,
    unframed,
)
from netsim.errors import InputError

__all__ = ["Hevc", "HevcSettings"]

Image = NDArray[np.uint8]

CODED = 8  # HEVC's smallest coding block
LEAST = 32  # libx265 refuses smaller pictures


class HevcSettings(BitstreamSettings):
    """preset: libx265's. encoder, decoder: bpgenc and bpgdec, both or neither."""

    preset: Literal["fast", "medium", "slow", "slower", "veryslow", "placebo"] = "veryslow"
    encoder: str | None = None
    decoder: str | None = None


class Hevc(BitstreamCodec):
    """HEVC intra: one bitstream, all packets needed."""

    name = "hevc"
    summary = "HEVC intra 4:4:4 (libx265 in place of BPG, or bpgenc when named): one bitstream, all packets needed"
    Settings = HevcSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"qp": int, "bpp": float}
    scale = Scale("qp", 0, 51, guess=36, per_octave=-5)
    settings: HevcSettings

    def __init__(self, settings: HevcSettings | None = None) -> None:
        super().__init__(settings)
        self.settings = settings if settings is not None else HevcSettings()
        encoder, decoder = self.settings.encoder, self.settings.decoder
        if (encoder is None) != (decoder is None):
            missing = "decoder" if encoder else "encoder"
            hint = "a BPG file needs both: name bpgenc and bpgdec, or neither for libx265"
            raise InputError(f"codec hevc: no `{missing}`", hint=hint, key=(missing,))
        self._encoder = find_program(encoder, self.name, "encoder") if encoder else None
        self._decoder = find_program(decoder, self.name, "decoder") if decoder else None

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        if self._encoder and self._decoder:
            return {"format": 2, "encoder": identity(self._encoder), "decoder": identity(self._decoder)}
        return {"format": 2, "ffmpeg": ffmpeg_identity()}

    def made_by(self) -> Mapping[str, Any]:
        """Encoder's name, version and hash; chroma format."""
        if self._encoder:
            return {"tool": "BPG", **identity(self._encoder), "colour": "4:4:4 8 bit BT.601"}
        return {"tool": "libx265", **ffmpeg_identity(), "colour": "4:4:4 10 bit BT.709"}

    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """See ``BitstreamCodec.compress``."""
        if self._encoder:
            return _bpg_encode(self._encoder, image, setting)
        # without ipratio=1 QP 37 acts as 34; psy-* trade 1.2 dB for looks; info=0 leaves out 2 kB of encoder settings
        parameters = f"qp={setting}:keyint=1:ipratio=1:psy-rd=0:psy-rdoq=0:info=0:log-level=error:hash=1"
        encoder = ["-c:v", "libx265", "-preset", self.settings.preset, "-x265-params", parameters]
        hashed, command = encode_picture(pad(image, CODED, LEAST), "yuv444p10le", encoder, "hevc")
        data, reconstruction = split_picture_hash(hashed, "hevc")
        return EncodedBitstream(framed(data, image), command, reconstruction)

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``."""
        if self._decoder:
            return _bpg_decode(self._decoder, data)
        bitstream, width, height = unframed(data)
        return crop(decode_picture(bitstream, "hevc", _padded(width), _padded(height)), width, height)

    def decompress_checked(self, coded: EncodedBitstream) -> Image:
        """See ``BitstreamCodec.decompress_checked``."""
        if self._decoder or coded.reconstruction is None:
            return checked_twice(lambda: self.decompress(coded.data), Path(self._decoder or "ffmpeg").name)
        bitstream, width, height = unframed(coded.data)
        planes, columns, rows = decode_planes(bitstream, "hevc", "yuv444p10le"), _padded(width), _padded(height)
        checked_against(coded.reconstruction, hash_of_planes(planes, columns, rows), "ffmpeg's HEVC decoder")
        return crop(rgb_from_planes(planes, columns, rows), width, height)


def _padded(side: int) -> int:
    return max(LEAST, -(-side // CODED) * CODED)


def _bpg_encode(encoder: str, image: Image, qp: int) -> EncodedBitstream:
    options = ["-q", str(qp), "-f", "444", "-c", "ycbcr", "-b", "8", "-e", "x265"]
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        source, coded = Path(scratch, "in.png"), Path(scratch, "out.bpg")
        PillowImage.fromarray(image).save(source)
        run_program([encoder, *options, "-o", str(coded), str(source)])
        if not coded.is_file():
            raise InputError(f"{Path(encoder).name} ended without an error but wrote no file")
        data = coded.read_bytes()
    return EncodedBitstream(data, " ".join([Path(encoder).name, *options, "-o", "out.bpg", "in.png"]))


def _bpg_decode(decoder: str, data: bytes) -> Image:
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        coded, picture = Path(scratch, "in.bpg"), Path(scratch, "out.png")
        coded.write_bytes(data)
        run_program([decoder, "-o", str(picture), str(coded)])
        if not picture.is_file():
            raise InputError(f"damaged payload: {Path(decoder).name} wrote no picture")
        return decode_still(picture.read_bytes(), "PNG", Path(decoder).name)

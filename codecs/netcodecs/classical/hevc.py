"""HEVC intra 4:4:4, BPG's stand-in (libx265); BPG itself where the user names bpgenc and bpgdec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.bpg import bpg_decode, bpg_encode
from netcodecs.classical.ffmpeg import encode_image, ffmpeg_identity
from netcodecs.classical.padded import PaddedCodec
from netcodecs.classical.picture_hash import split_picture_hash
from netcodecs.classical.programs import find_program, identity
from netcodecs.common.bitstream import BitstreamSettings, EncodedBitstream, Scale, framed
from netsim.errors import InputError

__all__ = ["Hevc", "HevcSettings"]

Image = NDArray[np.uint8]


class HevcSettings(BitstreamSettings):
    """Settings of HEVC.

    Attributes:
        packets: Near-equal packets that the bitstream is cut into; more where a packet limit asks for it.
        preset: Of libx265.
        encoder: bpgenc, in place of libx265; with ``decoder``.
        decoder: bpgdec; with ``encoder``.
    """

    preset: Literal["fast", "medium", "slow", "slower", "veryslow", "placebo"] = "veryslow"
    encoder: str | None = None
    decoder: str | None = None


class Hevc(PaddedCodec):
    """HEVC intra: one bitstream, all packets needed."""

    name = "hevc"
    standard = "hevc"
    least_side = 32  # libx265 refuses smaller images
    pixel_format = "yuv444p10le"
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
            return bpg_encode(self._encoder, image, setting)
        # without ipratio=1 QP 37 acts as 34; psy-* trade 1.2 dB for looks; info=0 leaves out 2 kB of encoder settings
        parameters = f"qp={setting}:keyint=1:ipratio=1:psy-rd=0:psy-rdoq=0:info=0:log-level=error:hash=1"
        encoder = ["-c:v", "libx265", "-preset", self.settings.preset, "-x265-params", parameters]
        hashed, command = encode_image(self.padded(image), self.pixel_format, encoder, "hevc")
        data, reconstruction = split_picture_hash(hashed, "hevc")
        return EncodedBitstream(framed(data, image), command, reconstruction)

    @property
    def decoder_name(self) -> str:
        """See ``PaddedCodec.decoder_name``."""
        return Path(self._decoder).name if self._decoder else super().decoder_name

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``; a BPG file holds its own size."""
        return bpg_decode(self._decoder, data) if self._decoder else super().decompress(data)

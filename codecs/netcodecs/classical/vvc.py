"""VVC: libvvenc 4:2:0 by default, VTM 4:4:4 where the user names its programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.ffmpeg import encode_image, ffmpeg_identity, rgb_from_planes
from netcodecs.classical.padded import PaddedCodec
from netcodecs.classical.picture_hash import split_picture_hash
from netcodecs.classical.programs import find_program, identity, sha256_short
from netcodecs.classical.vtm import vtm_config, vtm_decode, vtm_encode
from netcodecs.common.bitstream import BitstreamSettings, EncodedBitstream, Scale, framed
from netcodecs.common.rate import nearest_setting
from netsim.errors import InputError

__all__ = ["Vvc", "VvcSettings"]

Image = NDArray[np.uint8]

LEAST_VTM = 16
LEAST_LIBVVENC = 64  # ffmpeg's libvvenc holds one byte a pixel, which headers alone may fill in smaller images
QUICK_EXCESS = 1.05  # bytes of preset "faster" against "medium" at one QP: 1.044 to 1.049 for QP 26 to 37


class VvcSettings(BitstreamSettings):
    """Settings of VVC.

    Attributes:
        packets: Near-equal packets that the bitstream is cut into; more where a packet limit asks for it.
        preset: Of libvvenc.
        encoder: VTM's EncoderApp, in place of libvvenc.
        decoder: VTM's DecoderApp, in place of ffmpeg's decoder.
        config: VTM's intra configuration; by default ``encoder_intra_vtm.cfg`` beside the encoder or in ``../cfg``.
    """

    preset: Literal["faster", "fast", "medium", "slow", "slower"] = "medium"
    encoder: str | None = None
    decoder: str | None = None
    config: str | None = None


class Vvc(PaddedCodec):
    """VVC intra: one bitstream, all packets needed."""

    name = "vvc"
    standard = "vvc"
    summary = "VVC intra (libvvenc 4:2:0, or VTM 4:4:4 when named): one bitstream, all packets needed"
    Settings = VvcSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"qp": int, "bpp": float}
    scale = Scale("qp", 0, 63, guess=36, per_octave=-5)
    settings: VvcSettings

    def __init__(self, settings: VvcSettings | None = None) -> None:
        super().__init__(settings)
        self.settings = settings if settings is not None else VvcSettings()
        self._encoder = self._named("encoder")
        self._decoder = self._named("decoder")
        self._config = vtm_config(self._encoder, self.settings.config) if self._encoder else None

    def _named(self, setting: str) -> str | None:
        name = getattr(self.settings, setting)
        return find_program(name, self.name, setting) if name else None

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        tools = {"encoder": self._encoder, "decoder": self._decoder}
        marks: dict[str, Any] = {k: identity(path) if path else ffmpeg_identity() for k, path in tools.items()}
        return {"format": 2, **marks, "config": sha256_short(self._config) if self._config else None}

    def made_by(self) -> Mapping[str, Any]:
        """Encoder's name, version and hash; chroma format."""
        if self._encoder:
            return {"tool": "VTM", **identity(self._encoder), "colour": "4:4:4 10 bit BT.709, the papers' anchor"}
        colour = "4:2:0 10 bit BT.709: costs .7-.9 dB of RGB PSNR against the papers' 4:4:4 anchor"
        return {"tool": "libvvenc", **ffmpeg_identity(), "colour": colour}

    def guess(self, image: Image, target_bpp: float) -> int:
        """QP that meets the rate under the fastest preset, at a tenth of ``medium``'s time; right in most cases."""
        if self._encoder or self.settings.preset in ("faster", "fast"):
            return self.scale.guess
        quick = Vvc(VvcSettings(preset="faster", packets=1))
        scale = self.scale
        try:
            return nearest_setting(
                lambda qp: quick.bpp(image, qp),
                QUICK_EXCESS * target_bpp,
                scale.low,
                scale.high,
                scale.guess,
                scale.per_octave,
            )
        except InputError:
            return scale.high

    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """See ``BitstreamCodec.compress``."""
        padded = self.padded(image)
        if self._encoder:
            data, command, reconstruction = vtm_encode(self._encoder, self._config or "", padded, setting)
        else:
            preset = ["-c:v", "libvvenc", "-preset", self.settings.preset]
            # without IntraQPOffset=0 a still is coded at QP - 3
            parameters = "IntraQPOffset=0:SEIDecodedPictureHash=1"
            rate = ["-qp", str(setting), "-qpa", "0", "-vvenc-params", parameters]
            try:
                hashed, command = encode_image(padded, "yuv420p10le", [*preset, *rate], "vvc")
            except InputError as error:
                message = f"vvc: libvvenc can't code {image.shape[1]}x{image.shape[0]} pixels at qp {setting}"
                hint = f"ffmpeg gives it room for one byte a pixel: a higher qp needs less\n{error.hint}"
                raise InputError(message, hint=hint) from None
            data, reconstruction = split_picture_hash(hashed, "vvc")
        return EncodedBitstream(framed(data, image), command, reconstruction)

    @property
    def least_side(self) -> int:
        """See ``PaddedCodec.least_side``."""
        return LEAST_VTM if self._encoder else LEAST_LIBVVENC

    @property
    def pixel_format(self) -> str:
        """See ``PaddedCodec.pixel_format``."""
        return "yuv444p10le" if self._encoder else "yuv420p10le"

    @property
    def decoder_name(self) -> str:
        """See ``PaddedCodec.decoder_name``."""
        return Path(self._decoder).name if self._decoder else super().decoder_name

    def planes_of(self, bitstream: bytes) -> bytes:
        """See ``PaddedCodec.planes_of``."""
        return vtm_decode(self._decoder, bitstream) if self._decoder else super().planes_of(bitstream)

    def image_of(self, bitstream: bytes, width: int, height: int) -> Image:
        """See ``PaddedCodec.image_of``."""
        if self._decoder:
            return rgb_from_planes(vtm_decode(self._decoder, bitstream), width, height)
        return super().image_of(bitstream, width, height)

"""VVC: libvvenc 4:2:0 by default, VTM 4:4:4 where the user names its programs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.ffmpeg import (
    decode_picture,
    decode_planes,
    encode_picture,
    ffmpeg_identity,
    hash_of_planes,
    planes_from_rgb,
    rgb_from_planes,
)
from netcodecs.classical.picture_hash import PlaneHashes, checked_against, split_picture_hash
from netcodecs.classical.programs import find_program, identity, run_program, sha256_short
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
from netcodecs.common.rate import nearest_setting
from netsim.errors import InputError

__all__ = ["Vvc", "VvcSettings"]

Image = NDArray[np.uint8]

CODED = 8  # pictures are padded to multiples of the smallest coding block, so that no encoder pads by itself
LEAST_VTM = 16
LEAST_LIBVVENC = 64  # ffmpeg's libvvenc holds one byte a pixel, which headers alone may fill in smaller pictures
QUICK_EXCESS = 1.05  # bytes of preset "faster" against "medium" at one QP: 1.044 to 1.049 for QP 26 to 37
VTM_TIMEOUT_S = 3600
VTM_CONFIG = "encoder_intra_vtm.cfg"


class VvcSettings(BitstreamSettings):
    """preset: libvvenc's. encoder, decoder: VTM's EncoderApp and DecoderApp, in place of ffmpeg's libvvenc and decoder.

    config: VTM's intra configuration; by default ``encoder_intra_vtm.cfg`` beside the encoder or in ``../cfg``.
    """

    preset: Literal["faster", "fast", "medium", "slow", "slower"] = "medium"
    encoder: str | None = None
    decoder: str | None = None
    config: str | None = None


class Vvc(BitstreamCodec):
    """VVC intra: one bitstream, all packets needed."""

    name = "vvc"
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
        self._config = _vtm_config(self._encoder, self.settings.config) if self._encoder else None

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
        rate = lambda qp: 8 * len(quick.coded(image, qp).data) / (image.shape[0] * image.shape[1])  # noqa: E731
        try:
            quick_bpp = QUICK_EXCESS * target_bpp
            return nearest_setting(rate, quick_bpp, scale.low, scale.high, scale.guess, scale.per_octave)
        except InputError:
            return scale.high

    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """See ``BitstreamCodec.compress``."""
        picture = pad(image, CODED, self._least)
        if self._encoder:
            data, command, reconstruction = _vtm_encode(self._encoder, self._config or "", picture, setting)
        else:
            preset = ["-c:v", "libvvenc", "-preset", self.settings.preset]
            # without IntraQPOffset=0 a still is coded at QP - 3
            parameters = "IntraQPOffset=0:SEIDecodedPictureHash=1"
            rate = ["-qp", str(setting), "-qpa", "0", "-vvenc-params", parameters]
            try:
                hashed, command = encode_picture(picture, "yuv420p10le", [*preset, *rate], "vvc")
            except InputError as error:
                message = f"vvc: libvvenc can't code {image.shape[1]}x{image.shape[0]} pixels at qp {setting}"
                hint = f"ffmpeg gives it room for one byte a pixel: a higher qp needs less\n{error.hint}"
                raise InputError(message, hint=hint) from None
            data, reconstruction = split_picture_hash(hashed, "vvc")
        return EncodedBitstream(framed(data, image), command, reconstruction)

    @property
    def _least(self) -> int:
        """Least side of a coded picture."""
        return LEAST_VTM if self._encoder else LEAST_LIBVVENC

    def _padded(self, side: int) -> int:
        return max(self._least, -(-side // CODED) * CODED)

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``."""
        bitstream, width, height = unframed(data)
        columns, rows = self._padded(width), self._padded(height)
        if self._decoder:
            picture = rgb_from_planes(_vtm_decode(self._decoder, bitstream), columns, rows)
        else:
            picture = decode_picture(bitstream, "vvc", columns, rows)
        return crop(picture, width, height)

    def decompress_checked(self, coded: EncodedBitstream) -> Image:
        """See ``BitstreamCodec.decompress_checked``."""
        decoder = Path(self._decoder).name if self._decoder else "ffmpeg's VVC decoder"
        if coded.reconstruction is None:
            return checked_twice(lambda: self.decompress(coded.data), decoder)
        bitstream, width, height = unframed(coded.data)
        columns, rows = self._padded(width), self._padded(height)
        if self._decoder:
            planes = _vtm_decode(self._decoder, bitstream)
        else:
            planes = decode_planes(bitstream, "vvc", "yuv444p10le" if self._encoder else "yuv420p10le")
        checked_against(coded.reconstruction, hash_of_planes(planes, columns, rows), decoder)
        return crop(rgb_from_planes(planes, columns, rows), width, height)


def _vtm_config(encoder: str, named: str | None) -> str:
    folder = Path(encoder).parent
    places = [Path(named).expanduser()] if named else [folder / VTM_CONFIG, folder.parent / "cfg" / VTM_CONFIG]
    for place in places:
        if place.is_file():
            return str(place)
    looked = ", ".join(map(str, places))
    hint = f"`config` is the path of VTM's {VTM_CONFIG}"
    raise InputError(f"codec vvc: no VTM configuration (looked at {looked})", hint=hint, key=("config",))


def _vtm_encode(encoder: str, config: str, image: Image, qp: int) -> tuple[bytes, str, PlaneHashes | None]:
    """Bitstream, command and, where the encoder wrote it, its reconstruction."""
    height, width = image.shape[:2]
    size = ["-wdt", str(width), "-hgt", str(height), "-f", "1", "-fr", "1", "-q", str(qp)]
    depth = ["--InputChromaFormat=444", "--InputBitDepth=10", "--InternalBitDepth=10", "--OutputBitDepth=10"]
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        planes, bitstream = Path(scratch, "in.yuv"), Path(scratch, "out.vvc")
        planes.write_bytes(planes_from_rgb(image))
        decoded = Path(scratch, "out.yuv")
        files = ["-c", config, "-i", str(planes), "-b", str(bitstream), "-o", str(decoded)]
        run_program([encoder, *files, *size, *depth], timeout_s=VTM_TIMEOUT_S)
        data = _made(bitstream, encoder)
        reconstruction = hash_of_planes(decoded.read_bytes(), width, height) if decoded.is_file() else None
    names = ["-c", Path(config).name, "-i", "in.yuv", "-b", "out.vvc", "-o", "out.yuv"]
    return data, " ".join([Path(encoder).name, *names, *size, *depth]), reconstruction


def _vtm_decode(decoder: str, bitstream: bytes) -> bytes:
    """The planes that VTM's decoder writes."""
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        coded, planes = Path(scratch, "in.vvc"), Path(scratch, "out.yuv")
        coded.write_bytes(bitstream)
        run_program([decoder, "-b", str(coded), "-o", str(planes), "-d", "10"], timeout_s=VTM_TIMEOUT_S)
        return _made(planes, decoder)


def _made(path: Path, program: str) -> bytes:
    if not path.is_file():
        raise InputError(f"{Path(program).name} ended without an error but wrote no {path.name}")
    return path.read_bytes()

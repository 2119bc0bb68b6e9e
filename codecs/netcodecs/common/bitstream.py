"""One bitstream cut into near-equal packets, all needed: what every codec without layers does."""

from __future__ import annotations

import hashlib
import struct
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netcodecs.common.rate import nearest_setting
from netsim.codec import MAX_PIXELS, Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.errors import InputError

__all__ = [
    "BitstreamCodec",
    "BitstreamSettings",
    "EncodedBitstream",
    "Scale",
    "checked_twice",
    "crop",
    "cut",
    "framed",
    "image_sha256",
    "pad",
    "unframed",
]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

DECODED = "decoded_sha256"  # key of a stream's notes
REMEMBERED = 512  # bitstreams kept in the process, some kilobytes each


class BitstreamSettings(CodecSettings):
    """Settings of every codec of one bitstream.

    Attributes:
        packets: Near-equal packets that the bitstream is cut into; more where a packet limit asks for it.
    """

    packets: int = Field(default=10, ge=1, le=100_000)


@dataclass(frozen=True)
class Scale:
    """An encoder's integer setting.

    Attributes:
        key: Name of the operating point.
        low: Least value.
        high: Greatest value.
        guess: Where a search for a rate begins.
        per_octave: Steps that double the rate.
    """

    key: str
    low: int
    high: int
    guess: int
    per_octave: float


@dataclass(frozen=True)
class EncodedBitstream:
    """A bitstream.

    Attributes:
        data: All bytes, to be cut into packets.
        command: What made it, without paths.
        reconstruction: Hashes of the planes that the encoder reconstructed; None if it gives none.
    """

    data: bytes
    command: str
    reconstruction: tuple[str, ...] | None = None


@dataclass
class _Remembered:
    """A bitstream, and the digest of its image once its decoder was checked."""

    coded: EncodedBitstream
    decoded_sha256: str | None = None


_memory: OrderedDict[tuple[Any, ...], _Remembered] = OrderedDict()


def cut(data: bytes, packets: int) -> list[bytes]:
    """Near-equal parts of a bitstream.

    Args:
        data: The bitstream.
        packets: Number of parts.

    >>> cut(b"abcdefg", 3)
    [b'ab', b'cd', b'efg']
    """
    bounds = [len(data) * i // packets for i in range(packets + 1)]
    return [data[bounds[i] : bounds[i + 1]] for i in range(packets)]


def framed(bitstream: bytes, image: Image) -> bytes:
    """The bitstream behind the image's width and height (2 bytes each), so that a padded image can be cropped.

    Raises:
        InputError: A side is longer than 65535 pixels.
    """
    height, width = image.shape[:2]
    if max(height, width) > 0xFFFF:
        raise InputError(f"an image of {width}x{height} pixels is too large", hint="at most 65535 in each direction")
    return struct.pack(">HH", width, height) + bitstream


def unframed(data: bytes) -> tuple[bytes, int, int]:
    """Bitstream, width and height of what :func:`framed` made.

    Raises:
        InputError: There is no frame, or it holds no size of an image.
    """
    if len(data) < 4:
        raise InputError(f"damaged payload: {len(data)} bytes")
    width, height = struct.unpack_from(">HH", data)
    if not 0 < width * height <= MAX_PIXELS:
        hint = f"an image has 1 to {MAX_PIXELS:,} pixels"
        raise InputError(f"damaged payload: it claims {width}x{height} pixels", hint=hint)
    return data[4:], width, height


def pad(image: Image, multiple: int, least: int) -> Image:
    """The image with its last row and column repeated.

    Args:
        image: uint8 [H, W, 3].
        multiple: Both sides become multiples of it.
        least: Both sides are at least as long.
    """
    rows, columns = (max(least, -(-n // multiple) * multiple) - n for n in image.shape[:2])
    return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else image


def image_sha256(image: Image) -> str:
    """SHA-256 of an image's shape and samples."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def crop(image: Image, width: int, height: int) -> Image:
    """The upper left part of that size."""
    return image[:height, :width]


def checked_twice(decode: Callable[[], Image], decoder: str) -> Image:
    """The image that two decodings agree on. Raises InputError if they don't."""
    first, second = decode(), decode()
    if not np.array_equal(first, second):
        raise InputError(f"{decoder} decodes one bitstream to two images", hint="use another version of it")
    return first


class BitstreamCodec(Codec):
    """Base of the codecs whose bitstream is of use only as a whole."""

    all_needed = True

    Settings = BitstreamSettings
    scale: ClassVar[Scale]
    settings: BitstreamSettings
    _checks = True

    def for_timing(self) -> Codec:
        """See ``Codec.for_timing``: bitstreams are forgotten, and an encoding is not decoded to check the decoder."""
        _memory.clear()
        other = type(self)(self.settings)
        other._checks = False
        return other

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "scale" in cls.__dict__:
            cls.point_limits = {cls.scale.key: (cls.scale.low, cls.scale.high)}

    @abstractmethod
    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """Bitstream of one image at one integer setting; the same bytes each time."""

    @abstractmethod
    def decompress(self, data: bytes) -> Image:
        """The image of a whole bitstream. Raises InputError if it is damaged."""

    def decompress_checked(self, coded: EncodedBitstream) -> Image | None:
        """The image of a fresh bitstream, its decoder checked; None where a library of this process decodes.

        Raises:
            InputError: The decoder is wrong, or gives another image each time.
        """
        return None

    def made_by(self) -> Mapping[str, Any]:
        """Which program makes the bytes, and its colour path."""
        return {}

    def guess(self, image: Image, target_bpp: float) -> int:
        """Where the search for a rate begins."""
        return self.scale.guess

    def coded(self, image: Image, setting: int) -> EncodedBitstream:
        """The bitstream at one setting, made once per process."""
        return self._remembered(image, setting).coded

    def _remembered(self, image: Image, setting: int) -> _Remembered:
        # packets only cut the bitstream, so they are not part of the key
        made = self.settings.model_dump_json(exclude={"packets"})
        key = (type(self).__qualname__, made, repr(self.fingerprint), setting, image_sha256(image))
        if key not in _memory:
            _memory[key] = _Remembered(self.compress(image, setting))
            if len(_memory) > REMEMBERED:
                _memory.popitem(last=False)
        return _memory[key]

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating point: the encoder's own setting, or ``bpp``: the setting nearest in rate."""
        setting = self.setting(image, operating_point)
        remembered = self._remembered(image, setting)
        coded = remembered.coded
        if self._checks and remembered.decoded_sha256 is None:
            decoded = self.decompress_checked(coded)
            remembered.decoded_sha256 = None if decoded is None else image_sha256(decoded)
        payloads = cut(coded.data, self._packet_count(len(coded.data), packet_limit_bytes))
        made_by = {**self.made_by(), "command": coded.command, self.setting_key: setting}
        if remembered.decoded_sha256 is not None:
            made_by[DECODED] = remembered.decoded_sha256
        return Stream(tuple(map(Packet, payloads)), (image.shape[0], image.shape[1]), operating_point, made_by)

    @property
    def setting_key(self) -> str:
        """What the encoder's integer setting is called."""
        return self.scale.key

    def setting(self, image: Image, operating_point: OperatingPoint) -> int:
        """The encoder's integer setting for an operating point: the setting itself, or the one nearest in ``bpp``."""
        if operating_point.key != "bpp":
            return self._own_setting(operating_point)
        return nearest_setting(
            lambda setting: self.bpp(image, setting),
            operating_point.value,
            self.scale.low,
            self.scale.high,
            self.guess(image, operating_point.value),
            self.scale.per_octave,
        )

    def bpp(self, image: Image, setting: int) -> float:
        """Bits per pixel of an image at one setting."""
        return 8 * len(self.coded(image, setting).data) / (image.shape[0] * image.shape[1])

    def _own_setting(self, point: OperatingPoint) -> int:
        low, high = self.scale.low, self.scale.high
        if point.key != self.scale.key:
            raise InputError(
                f"{self.name} has no operating point `{point.key}`", hint=f"give `{self.scale.key}` or `bpp`"
            )
        if not (low <= point.value <= high and point.value == int(point.value)):
            raise InputError(f"{self.name}: {point}", hint=f"`{point.key}` is a whole number from {low} to {high}")
        return int(point.value)

    def _packet_count(self, total_bytes: int, limit: int | None) -> int:
        packets = self.settings.packets
        if limit is None:
            return packets
        return max(packets, -(-total_bytes // limit))

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """All packets if all arrived, else none."""
        return np.broadcast_to(received.all(axis=-1, keepdims=True), received.shape).copy()

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``: one decoding, however many masks. Raises InputError for a damaged payload.

        Where the stream's notes have the digest of the image that was checked, the image must be that one.
        """
        if not masks.all():
            raise ValueError(f"{self.name} needs every packet")
        data = b"".join(packet.payload for packet in stream.packets)
        image, checked = self.decompress(data), stream.made_by.get(DECODED)
        if checked is not None and image_sha256(image) != checked:
            message = f"{self.name}: the decoded image is not the one that was checked when the stream was made"
            raise InputError(message, hint="a payload is damaged, or the decoder does not give one image every time")
        return np.repeat(image[np.newaxis], len(masks), axis=0)

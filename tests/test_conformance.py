"""Each broken codec fails exactly the check that it breaks; a sound one passes all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from netsim.codec import BoolArray, Codec, Image, OperatingPoint, Packet, Stream
from netsim.conformance import CHECKS, check_codec
from netsim.errors import InputError

STRIPES = 6


class Stripes(Codec):
    """A sound codec: rows of the image, four bits a sample, in packets; packet 0 holds the size and a grey."""

    name = "stripes"
    operating_point_keys: ClassVar[Mapping[str, type]] = {"bits": int}

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        height, width = image.shape[:2]
        count = STRIPES
        if packet_limit_bytes is not None:
            if packet_limit_bytes < max(5, 3 * width):
                raise InputError(f"limit {packet_limit_bytes}")
            while -(-height // count) * 3 * width > packet_limit_bytes:
                count += 1
        step = -(-height // count)
        head = np.array([height, width], ">u2").tobytes() + bytes([int(image.mean())])
        rows = [(image[i * step : (i + 1) * step] >> 4 << 4).tobytes() for i in range(count)]
        packets = (Packet(head, protected=True), *map(Packet, rows))
        return Stream(packets, (height, width), operating_point)

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        return received & received[..., :1]

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        return np.stack([self.image(stream, mask) for mask in masks])

    def image(self, stream: Stream, mask: BoolArray) -> Image:
        head = stream.packets[0].payload
        if len(head) != 5:
            raise InputError("damaged payload")
        height, width = (int(n) for n in np.frombuffer(head[:4], ">u2"))
        if not 0 < height * width < 1 << 20:
            raise InputError("damaged payload")
        image = np.full((height, width, 3), head[4], np.uint8)
        step = -(-height // (len(stream) - 1))
        for i, arrived in enumerate(mask[1:]):
            if arrived:
                place = image[i * step : (i + 1) * step]
                place[:] = self.stripe(stream.packets[1 + i].payload, place.shape)
        return image

    def stripe(self, payload: bytes, shape: tuple[int, ...]) -> Image:
        if len(payload) != np.prod(shape):
            raise InputError("damaged payload")
        return np.frombuffer(payload, np.uint8).reshape(shape)


class Grey(Stripes):
    """Shows nothing of what arrived."""

    def stripe(self, payload: bytes, shape: tuple[int, ...]) -> Image:
        super().stripe(payload, shape)
        return np.zeros(shape, np.uint8)


class Unsteady(Stripes):
    """Other bytes at each encoding."""

    counter = itertools.count()

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        stream = super().encode(image, operating_point, packet_limit_bytes)
        first = stream.packets[0]
        grey = bytes([next(self.counter) % 251])
        return replace(stream, packets=(replace(first, payload=first.payload[:4] + grey), *stream.packets[1:]))


class Remembering(Stripes):
    """Hides its unsteadiness behind a memory that instances share: only a new process shows it."""

    memory: ClassVar[dict[tuple[object, ...], Stream]] = {}

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        key = (image.tobytes(), str(operating_point), packet_limit_bytes)
        if key not in self.memory:
            stream = super().encode(image, operating_point, packet_limit_bytes)
            first = stream.packets[0]
            grey = bytes([time.time_ns() // 1000 % 251])
            packets = (replace(first, payload=first.payload[:4] + grey), *stream.packets[1:])
            self.memory[key] = replace(stream, packets=packets)
        return self.memory[key]


class Peeking(Stripes):
    """Fills what was lost from the lost payload."""

    def image(self, stream: Stream, mask: BoolArray) -> Image:
        image = super().image(stream, mask)
        for packet, arrived in zip(stream.packets, mask, strict=True):
            if not arrived and packet.payload:
                image[0, 0] = packet.payload[0]
        return image


class Inventing(Stripes):
    """Says that packet 3 is of use, received or not; it never is."""

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        usable = super().usable(stream, received)
        usable[..., 3] = True
        return usable

    def image(self, stream: Stream, mask: BoolArray) -> Image:
        return super().image(stream, mask & (np.arange(len(mask)) != 3))


class OnlyAlone(Stripes):
    """Packet 2 is of no use once packet 5 is there."""

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        usable = super().usable(stream, received)
        usable[..., 2] &= ~received[..., 5] | received.all(axis=-1)
        return usable

    def image(self, stream: Stream, mask: BoolArray) -> Image:
        return super().image(stream, self.usable(stream, mask))


class Careless(Stripes):
    """Calls packet 4 unusable without packet 1, and uses it all the same."""

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        usable = super().usable(stream, received)
        usable[..., 4] &= received[..., 1]
        return usable


class Limitless(Stripes):
    """Ignores the packet limit."""

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        return super().encode(image, operating_point)


class BatchDependent(Stripes):
    """Adds the place in the batch to the image."""

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        images = super().decode(stream, masks)
        images += (np.arange(len(masks)) % 16).astype(np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
        return images


class Flickering(Stripes):
    """Other pixels at each decoding, by less than what tells a batch of one from a batch of many."""

    counter = itertools.count()

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        images = super().decode(stream, masks)
        images[:, 0, 0, 0] = 120 + next(self.counter) % 3
        return images


class Smuggling(Stripes):
    """Sends the image's size beside the packets."""

    def image(self, stream: Stream, mask: BoolArray) -> Image:
        image = super().image(stream, mask)
        return image if stream.shape == image.shape[:2] else np.invert(image)


class EvenOnly(Stripes):
    """Loses the last row and column of odd images."""

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        height, width = (n // 2 * 2 for n in image.shape[:2])
        return super().encode(np.ascontiguousarray(image[:height, :width]), operating_point, packet_limit_bytes)


class Fragile(Stripes):
    """Raises whatever comes up on a damaged payload."""

    def stripe(self, payload: bytes, shape: tuple[int, ...]) -> Image:
        return np.frombuffer(payload, np.uint8).reshape(shape)


@pytest.fixture(scope="module")
def images() -> list[Image]:
    ramp = np.add.outer(np.arange(24), 4 * np.arange(32))[..., np.newaxis] + np.array([0, 40, 80])
    return [ramp.astype(np.uint8)]


POINTS = [OperatingPoint("bits", 4)]


def failed(codec: Codec, images: list[Image]) -> list[str]:
    return [result.name for result in check_codec(codec, images, POINTS) if not result.passed]


def test_a_sound_codec_passes_every_check(images: list[Image]) -> None:
    results = check_codec(Stripes(), images, POINTS)
    assert [r.name for r in results] == list(CHECKS)
    assert [r for r in results if not r.passed] == []
    assert "new process" in next(r.detail for r in results if r.name == "encoding repeats")


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Grey, "round trip"),
        (Unsteady, "encoding repeats"),
        (Remembering, "encoding repeats"),
        (Peeking, "lost payloads unread"),
        (Inventing, "usable is a subset"),
        (OnlyAlone, "usable is monotone"),
        (Careless, "usable decides the image"),
        (Limitless, "packet limit"),
        (BatchDependent, "batch of one"),
        (Smuggling, "bytes counted"),
        (EvenOnly, "odd size"),
        (Fragile, "damaged payload"),
    ],
)
def test_a_broken_codec_fails_its_check_and_no_other(kind: type[Codec], check: str, images: list[Image]) -> None:
    assert failed(kind(), images) == [check]


def test_other_pixels_at_each_decoding_are_found(images: list[Image]) -> None:
    assert "decoding repeats" in failed(Flickering(), images)


def test_a_failure_says_where(images: list[Image]) -> None:
    result = next(r for r in check_codec(Limitless(), images, POINTS) if not r.passed)
    assert "32x24 at bits=4: a packet of 384 bytes under a limit of 288" in result.detail


def test_an_exception_is_a_failure_not_a_crash(images: list[Image]) -> None:
    class Raising(Stripes):
        def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
            raise KeyError("boom")

    line = Raising.usable.__code__.co_firstlineno + 1
    results = {r.name: r for r in check_codec(Raising(), images, POINTS)}
    assert not results["usable is a subset"].passed
    assert f"KeyError: 'boom' (test_conformance.py:{line})" in results["usable is a subset"].detail
    assert results["packet limit"].passed


def test_damage_can_be_left_out(images: list[Image]) -> None:
    assert "damaged payload" not in [r.name for r in check_codec(Fragile(), images, POINTS, damage=False)]


def test_a_codec_without_bpp_needs_an_operating_point(images: list[Image]) -> None:
    with pytest.raises(InputError, match="stripes has no operating point `bpp`"):
        check_codec(Stripes(), images)


def test_many_packets_are_sampled_not_enumerated() -> None:
    class Rows(Stripes):
        def encode(
            self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None
        ) -> Stream:
            return super().encode(image, operating_point, min(3 * image.shape[1], packet_limit_bytes or 1 << 20))

    image = np.repeat(np.arange(0, 240, 10, dtype=np.uint8), 3 * 8).reshape(24, 8, 3)
    results = {r.name: r for r in check_codec(Rows(), [image], POINTS)}
    assert all(r.passed for r in results.values())
    assert results["usable is monotone"].detail == "2025 masks, 24 packets"

"""Damaged payloads of the learned codecs: a packet counts as lost, or the stream is refused, before memory is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from netcodecs.common import stream_header
from netcodecs.common.latent_spans import LatentSpan
from netcodecs.common.seal import seal_key, sealed
from netcodecs.common.stream_header import StreamHeader, write_header
from netcodecs.progressive import packets as progressive
from netcodecs.progressive.backbone import M
from netcodecs.progressive.packets import read_span, usable_packets, write_span
from netcodecs.progressive.transforms import STRIDE
from netcodecs.resicomp.packets import ResiCompHeader, read_header
from netcodecs.resicomp.packets import write_header as write_resicomp_header
from netcodecs.transforms.entropy_tables import Tables, latent_tables
from skimage import data

from netsim.codec import Image, OperatingPoint, Packet, create_codec
from netsim.errors import InputError

IMAGE: Image = np.ascontiguousarray(data.astronaut()[40:88, 200:260])
HEADER = StreamHeader(48, 60, 1.0, b"hyperprior")
ROWS = 4


def test_the_packets_know_the_latents_shape() -> None:
    assert progressive.CHANNELS == M
    assert progressive._PIXELS_EACH == STRIDE == 16 * progressive._ROWS_EACH


@pytest.mark.parametrize(
    ("span", "right"),
    [
        (LatentSpan(0, 192, 0, 4), True),
        (LatentSpan(191, 192, 1, 3), True),
        (LatentSpan(190, 193, 0, 4), False),
        (LatentSpan(192, 193, 0, 3), False),
        (LatentSpan(3, 4, 2, 2), False),
        (LatentSpan(3, 4, 3, 1), False),
        (LatentSpan(3, 4, 2, 5), False),
    ],
)
def test_a_packet_that_holds_what_is_no_part_of_the_latent_is_not_intact(span: LatentSpan, right: bool) -> None:
    head = write_header(HEADER, 900)
    payload = write_span(span, ROWS, b"coded", head[0], place=1)
    heads, intact = usable_packets([*head, payload])
    assert heads == 1
    assert intact.tolist() == [True, right]
    if right:
        assert read_span(payload, ROWS)[0] == span


@pytest.mark.parametrize("body", [b"", b"\x05", b"\x05\x00", b"\x05\x00\x00\x00\x00"])
def test_a_packet_that_is_too_short_is_not_intact(body: bytes) -> None:
    head = write_header(HEADER, 900)
    payload = sealed(body, seal_key(head[0]) + 1)
    assert usable_packets([*head, payload])[1].tolist() == [True, False]


@pytest.mark.parametrize(("height", "width"), [(0, 60), (48, 0), (65_535, 65_535), (5793, 5793)])
def test_a_head_that_claims_another_size_than_an_images_is_damaged(height: int, width: int) -> None:
    start = sealed(stream_header._FIELDS.pack(height, width, 1024, 1) + b"hyper", 0)
    assert usable_packets([start])[0] == 0
    codec = create_codec("mbt-mean", {})
    stream = codec.encode(IMAGE, OperatingPoint("quality", 1.0))
    other = replace(stream, packets=(Packet(start, protected=True), *stream.packets[1:]))
    assert not codec.usable(other, np.ones((1, len(other)), bool)).any()
    with pytest.raises(InputError, match="a protected packet is damaged"):
        codec.decode(other, np.ones((1, len(other)), bool))


def test_a_head_of_more_packets_than_there_are_is_damaged() -> None:
    pieces = write_header(replace(HEADER, hyperprior=bytes(200)), 60)
    assert len(pieces) > 3
    assert usable_packets(pieces)[0] == len(pieces)
    assert usable_packets(pieces[:-1])[0] == 0


@pytest.mark.parametrize("hyperprior", [b"hyper", bytes(200)])
def test_a_hyperprior_of_too_few_bytes_for_its_size_is_refused(hyperprior: bytes) -> None:
    """The networks' tables say how few bits so many symbols can have."""
    codec = create_codec("mbt-mean", {})
    start = sealed(stream_header._FIELDS.pack(5792, 5792, 1024, 1) + hyperprior, 0)
    stream = codec.encode(IMAGE, OperatingPoint("quality", 1.0))
    claims = replace(stream, packets=(Packet(start, protected=True),))
    with pytest.raises(InputError, match=f"damaged payload: {len(hyperprior)} bytes for 1059968 symbols"):
        codec.decode(claims, np.ones((1, 1), bool))


def test_a_quality_beyond_the_weights_is_refused() -> None:
    codec = create_codec("mbt-mean", {})
    stream = codec.encode(IMAGE, OperatingPoint("quality", 1.0))
    start = bytearray(stream.packets[0].payload[:-4])
    start[4:6] = (60_000).to_bytes(2, "big")
    packets = (Packet(sealed(bytes(start), 0), protected=True),)
    with pytest.raises(InputError, match=r"damaged payload \(quality 58\.5938 of"):
        codec.decode(replace(stream, packets=packets), np.ones((1, 1), bool))


def test_a_string_that_ends_too_early_is_never_read_beyond_its_zeros() -> None:
    """CompressAI's decoder has no bounds; any bytes give numbers or a refusal."""
    tables: Tables = latent_tables()
    rng = np.random.default_rng(0)
    for size in (0, 1, 3, 4, 7, 8, 40):
        for content in (bytes(size), b"\xff" * size, rng.bytes(size)):
            for index in (0, 20, 63):
                try:
                    found = tables.decode(content, np.full((3, 50), index))
                except InputError:
                    continue
                assert found.shape == (3, 50)


def test_what_was_encoded_is_decoded_with_far_symbols_too() -> None:
    tables = latent_tables()
    symbols = np.random.default_rng(1).integers(-5000, 5000, (4, 30))
    indexes = np.random.default_rng(2).integers(0, 64, (4, 30))
    assert np.array_equal(tables.decode(tables.encode(symbols, indexes), indexes), symbols)


def _resicomp_head(**changes: object) -> bytes:
    return write_resicomp_header(replace(ResiCompHeader(48, 60, 1.0, slices=4, beta=2.2), **changes))  # type: ignore[arg-type]


def test_resicomps_head_claims_an_image_or_is_refused() -> None:
    assert read_header(_resicomp_head(), 5).slices == 4
    with pytest.raises(InputError, match="too large"):
        _resicomp_head(height=65_535, width=65_535)
    for height, width in ((65_535, 65_535), (5793, 5793)):
        numbers = [height, width, 1024, 4, 88]
        body = b"".join(bytes([n >> 14 & 127 | 128, n >> 7 & 127 | 128, n & 127]) for n in numbers)
        with pytest.raises(InputError, match=f"an image of {width}x{height}"):
            read_header(body + bytes(4), 5)
    with pytest.raises(InputError, match="is not a header"):
        read_header(b"\xff" * 5000 + b"\x01" + _resicomp_head(), 5)
    with pytest.raises(InputError, match="4 slices of 1 tokens"):
        read_header(_resicomp_head(height=16, width=16), 5)
    with pytest.raises(InputError, match="with beta 1e"):
        read_header(_resicomp_head(beta=1e6), 5)

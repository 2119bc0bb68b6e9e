"""Codestreams taken apart and put together: lengths, order, headers, and what a damaged one does."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.classical.codestream import (
    CodestreamError,
    Geometry,
    join_codestream,
    pack_numbers,
    read_geometry,
    split_codestream,
    unpack_numbers,
    with_layers,
)
from PIL import Image as PillowImage
from skimage import data


def codestream(width: int = 96, height: int = 80, layers: int = 4, precinct: int | None = None) -> bytes:
    image = PillowImage.fromarray(data.astronaut()[:height, :width])
    buffer = io.BytesIO()
    options = {"precinct_size": (precinct, precinct)} if precinct else {}
    image.save(
        buffer,
        "JPEG2000",
        no_jp2=True,
        irreversible=True,
        mct=1,
        progression="LRCP",
        plt=True,
        num_resolutions=4,
        quality_layers=[40 / (i + 1) for i in range(layers)],
        **options,
    )
    return buffer.getvalue()


def image(stream: bytes) -> np.ndarray:
    return np.asarray(PillowImage.open(io.BytesIO(stream)))


@pytest.mark.parametrize(
    ("width", "height", "precinct"), [(96, 80, None), (95, 33, None), (200, 130, 64), (131, 257, 32)]
)
def test_taken_apart_and_put_together_the_image_is_the_same(width: int, height: int, precinct: int | None) -> None:
    original = codestream(width, height, precinct=precinct)
    header, packets = split_codestream(original)
    geometry = read_geometry(header)
    assert len(packets) == geometry.layers * geometry.per_layer
    assert np.array_equal(image(join_codestream(header, b"".join(packets))), image(original))


def test_precincts_are_counted_as_the_standard_says() -> None:
    header, _ = split_codestream(codestream(200, 130, precinct=64))
    # 200 x 130 in 64s; then 100 x 65 in 32s, 50 x 33 in 16s, 25 x 17 in 8s
    assert read_geometry(header) == Geometry(layers=4, components=3, precincts=(4 * 3, 4 * 3, 4 * 3, 4 * 3))
    plain, _ = split_codestream(codestream(200, 130))
    assert read_geometry(plain).precincts == (1, 1, 1, 1)


def test_the_first_layers_are_a_codestream_of_their_own() -> None:
    original = codestream()
    header, packets = split_codestream(original)
    step = read_geometry(header).per_layer
    full = image(original).astype(float)
    errors = []
    for layers in (1, 2, 3, 4):
        shown = image(join_codestream(with_layers(header, layers), b"".join(packets[: layers * step])))
        errors.append(np.mean((shown - full) ** 2))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0 < errors[-2]


@settings(derandomize=True)
@given(st.lists(st.integers(0, 2**40), max_size=30), st.binary(max_size=5))
def test_numbers_survive(numbers: list[int], rest: bytes) -> None:
    packed = pack_numbers(numbers)
    assert unpack_numbers(packed + rest, len(numbers)) == (numbers, len(packed))


def test_numbers_that_end_too_early_are_refused() -> None:
    with pytest.raises(CodestreamError, match="2 numbers expected, 1 found"):
        unpack_numbers(pack_numbers([5, 300])[:-1], 2)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 0x00, "no SOC"),
        (2, 0x00, "no marker segment"),
        (16, 0x01, "only one tile"),  # an image offset
    ],
)
def test_damaged_headers_are_refused(place: int, value: int, message: str) -> None:
    header = bytearray(split_codestream(codestream())[0])
    header[place] = value
    with pytest.raises(CodestreamError, match=message):
        read_geometry(bytes(header))


@settings(derandomize=True)
@given(st.data())
def test_a_header_with_any_damage_is_read_or_refused(draw: st.DataObject) -> None:
    header = bytearray(HEADER)
    for _ in range(draw.draw(st.integers(1, 4))):
        header[draw.draw(st.integers(0, len(header) - 1))] = draw.draw(st.integers(0, 255))
    cut = bytes(header[: draw.draw(st.integers(0, len(header)))])
    for damaged in (bytes(header), cut):
        try:
            assert read_geometry(damaged).per_layer >= 0
        except CodestreamError:
            continue


HEADER = split_codestream(codestream())[0]

"""What the codec tells figures: latent errors, predicted densities, its context matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from netcodecs.resicomp.codec import ResiComp, ResiCompSettings
from netcodecs.resicomp.packets import read_header
from netcodecs.resicomp.rate_control import layout_of

from netsim.codec import Image, OperatingPoint


def _codec(tiny: Path, mode: str = "LC", conceal: str = "plc") -> ResiComp:
    return ResiComp(ResiCompSettings(mode=mode, slices=4, weights=tiny, conceal=conceal))  # type: ignore[arg-type]


@pytest.fixture
def quality() -> OperatingPoint:
    return OperatingPoint("quality", 2.0)


def test_tokens_that_arrived_have_no_latent_error(tiny: Path, image: Image, quality: OperatingPoint) -> None:
    codec = _codec(tiny, "ISC")
    stream = codec.encode(image, quality)
    masks = np.array([[1, 1, 0, 1, 1], [1, 1, 1, 1, 1]], dtype=bool)
    errors = codec.latent_errors(stream, masks)
    grid = codec.token_packets(stream)
    assert errors.shape == (2, *grid.shape)
    assert (errors[0][grid == 2] > 0).all()
    assert (errors[0][grid != 2] == 0).all()
    assert (errors[1] == 0).all()


def test_with_zeros_for_lost_tokens_the_error_is_the_tokens_power(
    tiny: Path, image: Image, quality: OperatingPoint
) -> None:
    codec = _codec(tiny, "ISC", "zero")
    stream = codec.encode(image, quality)
    symbols = codec.networks.symbols(codec.networks.analyse(image), 2.0)
    [errors] = codec.latent_errors(stream, np.array([[1, 0, 0, 0, 1]], dtype=bool))
    lost = codec.token_packets(stream) != 4
    assert errors[lost] == pytest.approx((symbols[lost] ** 2).mean(axis=1), rel=1e-5)


def test_all_context_gives_the_bits_that_the_layered_mode_takes(
    tiny: Path, image: Image, quality: OperatingPoint
) -> None:
    codec = _codec(tiny)
    stream = codec.encode(image, quality)
    found = codec.token_densities(stream, 3)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-3)
    payload_bits = 8 * len(stream.packets[4].payload)
    assert found.bits.sum() == pytest.approx(payload_bits, abs=80)  # a checksum, and what the range coder adds
    payloads = [packet.payload for packet in stream.packets]
    cells = layout_of(read_header(payloads[0], len(payloads))).cells[-1]
    symbols = codec.networks.symbols(codec.networks.analyse(image), 2.0)
    assert found.actual == symbols.reshape(-1, symbols.shape[2])[cells[0], found.channel]
    assert len(found.bits) == len(cells)


def test_without_context_each_symbol_has_its_channels_own_distribution(
    tiny: Path, image: Image, quality: OperatingPoint
) -> None:
    codec = _codec(tiny)
    found = codec.token_densities(codec.encode(image, quality), 0)
    blank = codec.networks.blank(2.0)
    assert (found.probabilities == blank.probabilities(0, found.channel, found.symbols)).all()
    with pytest.raises(Exception, match="4 context slices of 4"):
        codec.token_densities(codec.encode(image, quality), 4)


def test_the_matrix_is_the_modes(tiny: Path) -> None:
    assert (_codec(tiny, "LC").contexts == np.tri(4, k=-1, dtype=bool)).all()
    assert not _codec(tiny, "ISC").contexts.any()

"""JPEG 2000 in packets: what each receiver makes of a loss, rates and limits."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.classical.chains import partition
from netcodecs.classical.jpeg2000 import Jpeg2000, Jpeg2000Settings
from netcodecs.classical.layers import usable_layers
from skimage import data

from netsim.codec import BoolArray, Image, OperatingPoint, Stream
from netsim.conformance import check_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.astronaut()[:192, 100:356])
RECEIVERS = ["prefix", "resilient"]


@cache
def coded(receiver: str, bpp: float = 0.6) -> tuple[Jpeg2000, Stream]:
    codec = Jpeg2000(Jpeg2000Settings(receiver=receiver))  # type: ignore[arg-type]
    return codec, codec.encode(IMAGE, OperatingPoint("bpp", bpp))


def all_masks(n: int) -> BoolArray:
    drops = np.array(list(product([True, False], repeat=n - 1)))
    return np.concatenate([np.ones((len(drops), 1), bool), drops], axis=1)


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_keeps_the_contract(receiver: str) -> None:
    results = check_codec(coded(receiver)[0], [IMAGE[:128, :161]], [OperatingPoint("bpp", 0.8)])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("bpp", [0.4, 1.0, 3.0])
def test_all_that_is_sent_meets_the_target(receiver: str, bpp: float) -> None:
    _, stream = coded(receiver, bpp)
    assert stream.bpp == pytest.approx(bpp, rel=0.02)
    assert stream.bytes_total == sum(len(p.payload) for p in stream.packets)
    assert [p.protected for p in stream.packets] == [True] + 10 * [False]


def test_more_bits_show_more() -> None:
    quality = [
        psnr_db(IMAGE, c.decode(s, np.ones((1, 11), bool)))[0]
        for c, s in (coded("prefix", bpp) for bpp in (0.4, 1.0, 3.0))
    ]
    assert quality == sorted(quality)
    assert quality[2] > quality[0] + 6


def test_prefix_stops_at_the_first_loss() -> None:
    codec, stream = coded("prefix")
    masks = all_masks(len(stream))
    usable = codec.usable(stream, masks)
    assert len(np.unique(usable, axis=0)) == 11
    for mask, used in zip(masks[::37], usable[::37], strict=True):
        first_lost = np.flatnonzero(~mask)[0] if not mask.all() else len(mask)
        assert used.tolist() == [i < first_lost for i in range(len(mask))]
    quality = psnr_db(IMAGE, codec.decode(stream, np.tri(11, dtype=bool)))
    assert (np.diff(quality) > 0.1).all()


def test_resilient_goes_on_after_a_loss() -> None:
    """Mean over all single losses."""
    single = ~np.eye(11, dtype=bool)[1:]
    prefix, resilient = (psnr_db(IMAGE, c.decode(s, single)).mean() for c, s in map(coded, RECEIVERS))
    assert resilient > prefix + 0.5


def test_resilient_quality_rises_with_each_usable_packet() -> None:
    codec, stream = coded("resilient")
    everything = np.ones(11, bool)
    without = psnr_db(IMAGE, codec.decode(stream, np.array([everything & (np.arange(11) != k) for k in range(1, 11)])))
    assert (without < psnr_db(IMAGE, codec.decode(stream, everything[np.newaxis]))).all()


def test_resilient_usable_is_exact() -> None:
    """A usable packet's loss changes the image; a useless packet's arrival doesn't."""
    codec, stream = coded("resilient")
    masks = all_masks(len(stream))
    usable = codec.usable(stream, masks)
    kinds, first = np.unique(usable, axis=0, return_index=True)
    assert 11 < len(kinds) < len(masks)
    chosen = np.random.default_rng(5).choice(len(kinds), 12, replace=False)
    for mask, used in zip(masks[first[chosen]], kinds[chosen], strict=True):
        shown = codec.decode(stream, mask[np.newaxis])
        assert np.array_equal(shown, codec.decode(stream, used[np.newaxis]))
        for packet in np.flatnonzero(used)[1:]:
            fewer = used.copy()
            fewer[packet] = False
            assert not np.array_equal(shown, codec.decode(stream, fewer[np.newaxis]))


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_nothing_but_the_base_layer_is_still_an_image(receiver: str) -> None:
    codec, stream = coded(receiver)
    base = np.zeros((1, 11), bool)
    base[0, 0] = True
    assert psnr_db(IMAGE, codec.decode(stream, base))[0] > 15


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_more_packets_are_made_until_each_fits(receiver: str) -> None:
    codec, free = coded(receiver)
    limit = 250
    stream = codec.encode(IMAGE, OperatingPoint("bpp", 0.6), limit)
    assert stream.sizes_bytes.max() <= limit < free.sizes_bytes.max()
    assert len(stream) > len(free)
    assert stream.bpp == pytest.approx(0.6, rel=0.03)
    assert codec.decode(stream, np.ones((1, len(stream)), bool)).shape == (1, *IMAGE.shape)


def test_a_packet_count_is_the_least() -> None:
    codec = Jpeg2000(Jpeg2000Settings(packets=10))
    assert len(codec.encode(IMAGE, OperatingPoint("bpp", 0.6), 250)) > 11
    assert len(codec.encode(IMAGE, OperatingPoint("bpp", 0.6), 900)) == 11


def test_a_limit_below_the_header_is_refused() -> None:
    with pytest.raises(InputError, match="into packets of at most 100 bytes"):
        coded("prefix")[0].encode(IMAGE, OperatingPoint("bpp", 0.6), 100)


@pytest.mark.parametrize("bpp", [0.0, -1.0, 25.0, float("nan")])
def test_a_rate_that_is_none_is_refused(bpp: float) -> None:
    with pytest.raises(InputError, match="is not a rate"):
        coded("prefix")[0].encode(IMAGE, OperatingPoint("bpp", bpp))


def test_a_rate_below_the_header_is_refused() -> None:
    with pytest.raises(InputError, match=r"bpp 0\.01 can't be reached"):
        coded("prefix")[0].encode(IMAGE, OperatingPoint("bpp", 0.01))


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (61, 67)])
@pytest.mark.parametrize("receiver", RECEIVERS)
def test_small_and_odd_images(receiver: str, shape: tuple[int, int]) -> None:
    image = np.ascontiguousarray(IMAGE[: shape[0], : shape[1]])
    payloads = coded(receiver)[0]._cut(image, 6.0, 10)
    assert len(payloads) == 11
    if min(shape) > 60:
        codec, stream = coded(receiver)[0], coded(receiver)[0].encode(image, OperatingPoint("bpp", 2.0))
        assert psnr_db(image, codec.decode(stream, np.ones((1, 11), bool)))[0] > 25


def test_a_flat_image_needs_less_than_the_target_and_is_exact() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    codec = coded("prefix")[0]
    stream = codec.encode(flat, OperatingPoint("bpp", 8.0))
    assert stream.bpp < 8
    assert psnr_db(flat, codec.decode(stream, np.ones((1, 11), bool)))[0] > 45


def test_more_than_a_hundred_packets_share_layers() -> None:
    codec = Jpeg2000(Jpeg2000Settings(packets=150))
    stream = codec.encode(IMAGE, OperatingPoint("bpp", 4.0))
    assert len(stream) == 151
    received = np.ones((1, 151), bool)
    received[0, 4] = False  # the second half of the second layer
    assert np.flatnonzero(codec.usable(stream, received)[0]).tolist() == [0, 1, 2]
    images = codec.decode(stream, np.concatenate([received, codec.usable(stream, received)]))
    assert np.array_equal(images[0], images[1])


def test_usable_of_shared_layers_is_whole_layers() -> None:
    received = np.ones((2, 202), bool)
    received[1, 8] = False
    usable = usable_layers(received)
    assert usable[0].all()
    assert np.flatnonzero(usable[1]).tolist() == list(range(7))


@pytest.mark.parametrize("damage", [b"", b"\xff", b"\x80" * 9, bytes(40), b"\x00\x00", b"\x05\x01\x02ab"])
def test_resilient_takes_a_packet_that_cannot_be_read_for_lost(damage: bytes) -> None:
    codec, stream = coded("resilient")
    masks = all_masks(len(stream))[::13]
    for place in (1, 5, 10):
        packets = list(stream.packets)
        packets[place] = replace(packets[place], payload=damage)
        damaged, without = replace(stream, packets=tuple(packets)), masks & (np.arange(11) != place)
        usable = codec.usable(damaged, masks)
        assert not usable[:, place].any()
        assert (usable <= codec.usable(stream, without)).all()
        shown = codec.decode(damaged, masks[:3])
        assert np.array_equal(shown, codec.decode(stream, without[:3]))


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("head", [b"", b"\x01", b"\xff" * 300, bytes(200)])
def test_nothing_is_usable_without_a_sound_protected_packet(receiver: str, head: bytes) -> None:
    codec, stream = coded(receiver)
    damaged = replace(stream, packets=(replace(stream.packets[0], payload=head), *stream.packets[1:]))
    assert not codec.usable(damaged, np.ones((2, 11), bool)).any()
    with pytest.raises(InputError, match="jpeg2000: damaged payload"):
        codec.decode(damaged, np.ones((1, 11), bool))
    for packets in ((), stream.packets[:1]):
        few = replace(stream, packets=packets)
        assert codec.usable(few, np.ones((1, len(few)), bool)).tolist() == [[True] * len(few)]


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_a_claim_of_too_many_pixels_is_refused_before_decoding(receiver: str) -> None:
    codec, stream = coded(receiver)
    head = stream.packets[0].payload
    at = head.index(b"\xff\x51") + 6
    larger = head[:at] + struct.pack(">II", 60_000, 60_000) + head[at + 8 : at + 16]
    larger += struct.pack(">II", 60_000, 60_000) + head[at + 24 :]
    damaged = replace(stream, packets=(replace(stream.packets[0], payload=larger), *stream.packets[1:]))
    with pytest.raises(InputError, match="it claims 60000x60000 pixels"):
        codec.decode(damaged, np.ones((1, 11), bool))


@settings(derandomize=True)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.data())
def test_partition_is_the_best_there_is(sizes: list[int], draw: st.DataObject) -> None:
    parts = draw.draw(st.integers(1, min(4, len(sizes))))
    bounds = partition(sizes, parts)
    assert len(bounds) == parts + 1
    assert bounds == sorted(set(bounds))
    largest = max(sum(sizes[a:b]) for a, b in pairwise(bounds))
    best = {0: 0}  # least largest sum of a prefix, by dynamic programming
    for _ in range(parts):
        best = {
            end: min(max(best[start], sum(sizes[start:end])) for start in best if start < end)
            for end in range(1, len(sizes) + 1)
            if any(start < end for start in best)
        }
    assert largest == best[len(sizes)]

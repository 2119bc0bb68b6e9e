"""``mbt-mean`` in packets: contract, losses, damage, rates, limits, and the same tables at both ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.progressive.entropy import bottleneck_tables, gaussian_tables, scale_indexes, scale_steps
from netcodecs.progressive.family import MbtMean, MbtMeanSettings
from netcodecs.progressive.packets import MAX_PACKET_BYTES, read_head, read_piece, sound
from netcodecs.progressive.transforms import ExactHyperSynthesis, quality_lambda
from netcodecs.progressive.weights import load_backbone, save_weights
from netcodecs.training.crops import random_crops
from netcodecs.training.start import lapped_start
from skimage import data

from netsim.codec import Codec, Image, OperatingPoint, Packet, Stream, create_codec
from netsim.conformance import check_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.astronaut()[:128, 160:352])
CHANNELS = 192


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone at its lapped-transform start: untrained, but a transform coder that works."""
    torch.manual_seed(0)
    photos = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in (data.chelsea(), data.coffee())]
    narrow = Backbone((12, 48, 128))
    lapped_start(narrow, random_crops(photos, 8, 128, torch.Generator().manual_seed(0)))
    path = tmp_path_factory.mktemp("weights") / "started.safetensors"
    save_weights(path, narrow, "mbt-mean")
    return path


@pytest.fixture(scope="module")
def codec(weights: Path) -> MbtMean:
    return MbtMean(MbtMeanSettings(weights=weights))


@pytest.fixture(scope="module")
def stream(codec: MbtMean) -> Stream:
    return codec.encode(IMAGE, OperatingPoint("quality", 2))


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def everything(stream: Stream) -> np.ndarray:
    return np.ones((1, len(stream)), bool)


def with_payload(stream: Stream, place: int, payload: bytes) -> Stream:
    packets = list(stream.packets)
    packets[place] = replace(packets[place], payload=payload)
    return replace(stream, packets=tuple(packets))


def heads(stream: Stream) -> int:
    return int(stream.protected.sum())


def test_keeps_the_contract(codec: Codec) -> None:
    results = check_codec(codec, [IMAGE[:64, :70]], [OperatingPoint("quality", 1.5)])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def test_packets_tile_the_latent_within_900_bytes(stream: Stream) -> None:
    rows, columns = IMAGE.shape[0] // 16, IMAGE.shape[1] // 16
    held = np.zeros((CHANNELS, rows, columns), int)
    for packet in stream.packets[heads(stream) :]:
        held[read_piece(packet.payload, rows)[0].region] += 1
    assert (held == 1).all()
    assert stream.protected.tolist() == [True] * heads(stream) + [False] * (len(stream) - heads(stream))
    assert stream.sizes_bytes.max() <= MAX_PACKET_BYTES
    assert stream.sizes_bytes[1:-1].min() > MAX_PACKET_BYTES / 3
    assert stream.bpp == 8 * sum(len(p.payload) for p in stream.packets) / (128 * 192)


@pytest.mark.parametrize("limit", [550, 50])
def test_a_smaller_limit_cuts_finer_and_shows_the_same(codec: MbtMean, stream: Stream, limit: int) -> None:
    """At 50 bytes also the head and single channels are cut."""
    finer = codec.encode(IMAGE, OperatingPoint("quality", 2), limit)
    assert finer.sizes_bytes.max() <= limit
    assert len(finer) > len(stream)
    assert (heads(finer) > 1) == (limit == 50)
    assert np.array_equal(codec.decode(finer, everything(finer)), codec.decode(stream, everything(stream)))
    rows = IMAGE.shape[0] // 16
    pieces = [read_piece(p.payload, rows)[0] for p in finer.packets[heads(finer) :]]
    assert any(piece.bottom - piece.top < rows for piece in pieces) == (limit == 50)


def test_a_limit_without_room_is_refused(codec: MbtMean) -> None:
    with pytest.raises(InputError, match="14 bytes are too small"):
        codec.encode(IMAGE, OperatingPoint("quality", 2), 14)


def test_each_packet_tells_on_its_own(codec: MbtMean, stream: Stream) -> None:
    """With the head and one packet: another picture than with the head alone, and than with any other one."""
    n = len(stream)
    masks = np.concatenate([np.zeros((1, n), bool), np.eye(n, dtype=bool)[heads(stream) :]])
    masks[:, : heads(stream)] = True
    pictures = codec.decode(stream, masks)
    assert len({picture.tobytes() for picture in pictures}) == len(masks)
    assert codec.usable(stream, masks).tolist() == masks.tolist()
    assert (psnr_db(IMAGE, pictures[1:2]) > psnr_db(IMAGE, pictures[:1]) + 1).all()  # the lowest frequencies


@pytest.mark.parametrize("damage", [lambda p: p[:-9], lambda p: bytes([p[0] ^ 1]) + p[1:], lambda p: b""])
def test_a_damaged_packet_counts_as_lost(codec: MbtMean, stream: Stream, damage) -> None:  # type: ignore[no-untyped-def]
    victim = heads(stream)
    damaged = with_payload(stream, victim, damage(stream.packets[victim].payload))
    mask = everything(stream)
    mask[0, victim] = False
    assert codec.usable(damaged, everything(stream)).tolist() == mask.tolist()
    assert np.array_equal(codec.decode(damaged, everything(stream)), codec.decode(stream, mask))


def test_a_packet_of_another_stream_counts_as_lost(codec: MbtMean, stream: Stream) -> None:
    """Sound in itself, but its symbols would be read with other tables."""
    other = codec.encode(IMAGE, OperatingPoint("quality", 2.5))
    victim = heads(stream)
    mixed = with_payload(stream, victim, other.packets[victim].payload)
    assert not codec.usable(mixed, everything(stream))[0, victim]


def test_without_a_protected_packet_nothing_is_usable(codec: MbtMean, stream: Stream) -> None:
    mask = everything(stream)
    mask[0, 0] = False
    damaged = with_payload(stream, 0, stream.packets[0].payload[:-1] + b"?")
    assert not codec.usable(stream, mask).any()
    assert not codec.usable(damaged, everything(stream)).any()
    for bad, received in ((stream, mask), (damaged, everything(stream))):
        with pytest.raises(InputError, match="protected packet is damaged or missing"):
            codec.decode(bad, received)


def test_ten_thousand_mutations_are_never_sound(stream: Stream) -> None:
    """Flipped bytes, cuts and noise: none reaches the native decoder, which could end the process."""
    rng = np.random.default_rng(0)
    payloads = [packet.payload for packet in stream.packets]
    for trial in range(10_000):
        victim = trial % len(payloads)
        payload = payloads[victim]
        where = int(rng.integers(len(payload)))
        mutation = (
            payload[:where] + bytes([payload[where] ^ int(rng.integers(1, 256))]) + payload[where + 1 :],
            payload[:where],
            rng.bytes(where),
        )[trial % 3]
        count, intact = sound([*payloads[:victim], mutation, *payloads[victim + 1 :]])
        assert not intact[victim]
        assert (victim > 0) == (count > 0)


def test_lost_channels_are_zero_or_as_expected(weights: Path, codec: MbtMean, stream: Stream) -> None:
    expecting = MbtMean(MbtMeanSettings(weights=weights, lost="mean"))
    head_only = np.arange(len(stream))[None] < heads(stream)
    transforms = codec._networks.transforms
    nothing = np.zeros((1, CHANNELS, 8, 12), np.float32)
    expected = transforms.synthesise(nothing, np.ones(nothing.shape, bool), 2, 128, 192)
    assert np.array_equal(codec.decode(stream, head_only), expected)
    assert not np.array_equal(expecting.decode(stream, head_only), codec.decode(stream, head_only))
    assert np.array_equal(expecting.decode(stream, everything(stream)), codec.decode(stream, everything(stream)))
    assert expecting.label == "mbt-mean weights=" + str(weights) + " lost=mean"


def test_quality_numbers_are_those_of_compressai(codec: MbtMean) -> None:
    assert [quality_lambda(q) for q in (0, 1, 2, 3)] == list(LAMBDAS)
    between = codec.encode(IMAGE, OperatingPoint("quality", 1.7))
    assert read_head([between.packets[0].payload]).quality == pytest.approx(1.7, abs=1e-3)
    rates = [codec.encode(IMAGE, OperatingPoint("quality", q)).bpp for q in (0, 1, 1.7, 3)]
    assert rates == sorted(rates)
    with pytest.raises(InputError, match="between 0 and 3"):
        codec.encode(IMAGE, OperatingPoint("quality", 3.5))


def test_bpp_is_met_within_the_range_of_rates(codec: MbtMean) -> None:
    low, high = (codec.encode(IMAGE, OperatingPoint("quality", q)) for q in (0, 3))
    target = (low.bpp * high.bpp) ** 0.5
    assert codec.encode(IMAGE, OperatingPoint("bpp", target)).bpp == pytest.approx(target, rel=0.02)
    assert codec.encode(IMAGE, OperatingPoint("bpp", 3 * high.bpp)).packets == high.packets
    with pytest.raises(InputError, match="can't be reached"):
        codec.encode(IMAGE, OperatingPoint("bpp", 0.8 * low.bpp))


def test_as_compressai_codes_the_same_backbone(weights: Path, codec: MbtMean, stream: Stream) -> None:
    """Bytes but for packets' heads, and picture."""
    plain = load_backbone(weights).at(quality_lambda(2))
    exact = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        padded = torch.nn.functional.pad(exact, (0, 0, 0, 0))
        theirs = plain.compress(padded)
        shown = plain.decompress(theirs["strings"], theirs["shape"])["x_hat"][0].clamp(0, 1) * 255
    picture = shown.round().byte().permute(1, 2, 0).numpy()
    ours = codec.decode(stream, everything(stream))
    assert psnr_db(IMAGE, ours)[0] == pytest.approx(psnr_db(IMAGE, picture[None])[0], abs=0.01)
    extra = stream.bytes_total - sum(len(strings[0]) for strings in theirs["strings"])
    assert 0 < extra < 14 * len(stream) + 8


def test_entropy_parameters_do_not_depend_on_order_or_threads(weights: Path, threads: None) -> None:
    """Sums in another order (channels permuted) and on another number of threads: equal to the last bit."""
    layers = load_backbone(weights).model.h_s
    hyper = torch.randn(1, 128, 4, 6, generator=torch.Generator().manual_seed(1)) * 4
    exact = ExactHyperSynthesis(layers)
    scales, means = exact(hyper)
    usual = layers(hyper)[0].detach().double().numpy()
    assert np.abs(np.concatenate([scales, means]) - usual).max() < 1e-3
    order = torch.randperm(128, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        layers[0].weight.copy_(layers[0].weight[order])
        assert not np.array_equal(layers(hyper[:, order])[0].double().numpy(), usual)  # as floats round
    for count, network, given in (
        (1, exact, hyper),
        (2, exact, hyper),
        (2, ExactHyperSynthesis(layers), hyper[:, order]),
    ):
        torch.set_num_threads(count)
        assert all(np.array_equal(a, b) for a, b in zip(network(given), (scales, means), strict=True))


def test_two_threads_decode_what_one_encoded(codec: MbtMean, stream: Stream, threads: None) -> None:
    torch.set_num_threads(1)
    other = codec.encode(IMAGE, OperatingPoint("quality", 2))
    torch.set_num_threads(2)
    quality = [psnr_db(IMAGE, codec.decode(s, everything(s)))[0] for s in (stream, other)]
    assert quality[0] == pytest.approx(quality[1], abs=1e-2)


def test_tables_are_compressais(weights: Path) -> None:
    """To within one count: theirs are rounded from float32."""
    model = load_backbone(weights).model
    model.update(force=True)
    scales = torch.rand(1, 500, generator=torch.Generator().manual_seed(0)) * 20 - 1
    theirs = model.gaussian_conditional.build_indexes(scales)
    assert scale_indexes(scales.double().numpy()).tolist() == theirs.tolist()
    assert len(scale_steps()) == len(model.gaussian_conditional.scale_table)
    pairs = [
        (gaussian_tables(), model.gaussian_conditional),
        (bottleneck_tables(model.entropy_bottleneck), model.entropy_bottleneck),
    ]
    for ours, reference in pairs:
        assert ours.offsets == reference.offset.tolist()
        assert [len(counts) for counts in ours.counts] == reference.cdf_length.tolist()
        for counts, row in zip(ours.counts, reference.quantized_cdf.tolist(), strict=True):
            assert np.abs(np.diff(counts) - np.diff(row[: len(counts)])).max() <= 2


def test_code_lengths_are_foreseen() -> None:
    """Also of symbols far outside their table."""
    tables = gaussian_tables()
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 40, (30, 10, 10))
    symbols = np.rint(rng.normal(size=indexes.shape) * scale_steps()[indexes]).astype(np.int64)
    for some in (symbols, symbols * rng.choice([1, 50], symbols.shape)):
        coded = tables.encode(some, indexes)
        assert np.array_equal(tables.decode(coded, indexes), some)
        assert 0 <= len(coded) - tables.bits(some, indexes).sum() / 8 < 9


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights at") as caught:
        create_codec("mbt-mean", {"weights": tmp_path / "none.safetensors"})
    assert "training.md" in caught.value.hint


def test_torch_waits_for_the_first_picture(weights: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from netcodecs.progressive.family import MbtMean, MbtMeanSettings; "
        f"codec = MbtMean(MbtMeanSettings(weights=Path({str(weights)!r}))); codec.fingerprint; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_more_weights_another_fingerprint(weights: Path, codec: MbtMean, tmp_path: Path) -> None:
    changed = load_backbone(weights)
    with torch.no_grad():
        changed.log_gain += 0.01
    save_weights(tmp_path / "other.safetensors", changed, "mbt-mean")
    other = MbtMean(MbtMeanSettings(weights=tmp_path / "other.safetensors"))
    assert other.fingerprint != codec.fingerprint
    assert Packet(b"") not in other.encode(IMAGE[:64, :64], OperatingPoint("quality", 1)).packets

"""``mbt-mean`` in packets: contract, losses, damage, rates, limits, and the same tables at both ends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.common.stream_header import read_header
from netcodecs.compressai_import import compressai
from netcodecs.progressive import transforms
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.family import MbtMean, MbtMeanSettings
from netcodecs.progressive.packets import MAX_PACKET_BYTES, read_span, usable_packets
from netcodecs.progressive.rate_control import CodecNetworks, EncodedLatent
from netcodecs.progressive.weights import load_backbone, save_weights
from netcodecs.transforms.entropy_tables import bottleneck_tables, latent_tables
from netcodecs.transforms.fixed_point import scale_steps
from netcodecs.transforms.gains import LAMBDAS, interpolated, lambda_of, quality_of
from netcodecs.transforms.mean_scale import MeanScaleHyperprior
from skimage import data

from netsim.codec import Codec, Image, OperatingPoint, Packet, Stream, create_codec
from netsim.conformance import check_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.astronaut()[:128, 160:352])
CHANNELS = 192


@pytest.fixture(scope="module")
def weights(started: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "started.safetensors"
    save_weights(path, started, "mbt-mean")
    return path


@pytest.fixture(scope="module")
def codec(weights: Path) -> MbtMean:
    return MbtMean(MbtMeanSettings(weights=weights))


@pytest.fixture(scope="module")
def stream(codec: MbtMean) -> Stream:
    return codec.encode(IMAGE, OperatingPoint("quality", 2))


def everything(stream: Stream) -> np.ndarray:
    return np.ones((1, len(stream)), bool)


def with_payload(stream: Stream, place: int, payload: bytes) -> Stream:
    packets = list(stream.packets)
    packets[place] = replace(packets[place], payload=payload)
    return replace(stream, packets=tuple(packets))


def heads(stream: Stream) -> int:
    return int(stream.protected.sum())


@pytest.mark.slow
def test_keeps_the_contract(codec: Codec) -> None:
    results = check_codec(codec, [IMAGE[:64, :70]], [OperatingPoint("quality", 1.5)])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def test_packets_tile_the_latent_within_900_bytes(stream: Stream) -> None:
    rows, columns = IMAGE.shape[0] // 16, IMAGE.shape[1] // 16
    held = np.zeros((CHANNELS, rows, columns), int)
    for packet in stream.packets[heads(stream) :]:
        held[read_span(packet.payload, rows)[0].region] += 1
    assert (held == 1).all()
    assert stream.protected.tolist() == [True] * heads(stream) + [False] * (len(stream) - heads(stream))
    assert stream.sizes_bytes.max() <= MAX_PACKET_BYTES
    assert stream.sizes_bytes[1:-1].min() > MAX_PACKET_BYTES / 3
    assert stream.bpp == 8 * sum(len(p.payload) for p in stream.packets) / (128 * 192)


@pytest.mark.parametrize("limit", [550, 36])
def test_a_smaller_limit_cuts_finer_and_shows_the_same(codec: MbtMean, stream: Stream, limit: int) -> None:
    """At 36 bytes also the head and single channels are cut."""
    finer = codec.encode(IMAGE, OperatingPoint("quality", 2), limit)
    assert finer.sizes_bytes.max() <= limit
    assert len(finer) > len(stream)
    assert (heads(finer) > 1) == (limit == 36)
    assert np.array_equal(codec.decode(finer, everything(finer)), codec.decode(stream, everything(stream)))
    rows = IMAGE.shape[0] // 16
    pieces = [read_span(p.payload, rows)[0] for p in finer.packets[heads(finer) :]]
    assert any(piece.bottom - piece.top < rows for piece in pieces) == (limit == 36)


def test_a_limit_without_room_is_refused(codec: MbtMean) -> None:
    with pytest.raises(InputError, match="14 bytes are too small"):
        codec.encode(IMAGE, OperatingPoint("quality", 2), 14)


def test_each_packet_tells_on_its_own(codec: MbtMean, stream: Stream) -> None:
    """With the head and one packet: another image than with the head alone, and than with any other one."""
    n = len(stream)
    masks = np.concatenate([np.zeros((1, n), bool), np.eye(n, dtype=bool)[heads(stream) :]])
    masks[:, : heads(stream)] = True
    images = codec.decode(stream, masks)
    assert len({image.tobytes() for image in images}) == len(masks)
    assert codec.usable(stream, masks).tolist() == masks.tolist()
    assert (psnr_db(IMAGE, images[1:2]) > psnr_db(IMAGE, images[:1]) + 1).all()  # the lowest frequencies


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


def test_ten_thousand_mutations_are_never_usable(stream: Stream) -> None:
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
        count, intact = usable_packets([*payloads[:victim], mutation, *payloads[victim + 1 :]])
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


def test_quality_numbers_are_the_papers_lambdas(codec: MbtMean) -> None:
    """1, 2, 3 are those of paper 1, §4.1; between them log-linear; the head has steps of 1/1024."""
    assert [lambda_of(q) for q in range(5)] == list(LAMBDAS) == [0.0005, 0.0018, 0.0035, 0.0067, 0.013]
    between = codec.encode(IMAGE, OperatingPoint("quality", 1.7))
    assert read_header([between.packets[0].payload]).quality == pytest.approx(1.7, abs=1e-3)
    rates = [codec.encode(IMAGE, OperatingPoint("quality", q)).bpp for q in (0, 1, 1.7, 4)]
    assert rates == sorted(rates)
    for bad in (4.5, -0.1):
        with pytest.raises(InputError, match="quality") as caught:
            codec.encode(IMAGE, OperatingPoint("quality", bad))
        assert "between 0 and 4" in caught.value.hint


@pytest.mark.parametrize("quality", [0, 0.3, 1, 1.999, 2.5, 3, 3.7, 4])
def test_a_quality_and_its_lambda_are_inverses(quality: float) -> None:
    assert quality_of(lambda_of(quality)) == pytest.approx(quality, abs=1e-9)
    left = min(int(quality), 3)
    assert LAMBDAS[left] <= lambda_of(quality) <= LAMBDAS[left + 1]


def test_gains_between_two_rates_are_geometric_means() -> None:
    log_gains = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at = interpolated(log_gains, LAMBDAS, torch.tensor(LAMBDAS, dtype=torch.float64))
    torch.testing.assert_close(at, log_gains.exp(), rtol=1e-9, atol=0)
    middle = torch.tensor([(LAMBDAS[2] * LAMBDAS[3]) ** 0.5], dtype=torch.float64)
    torch.testing.assert_close(interpolated(log_gains, LAMBDAS, middle)[0], (at[2] * at[3]).sqrt())
    assert torch.equal(interpolated(log_gains[:1], LAMBDAS[:1], middle.repeat(3)), log_gains[:1].exp().expand(3, -1))


@pytest.mark.parametrize("lam", [LAMBDAS[0] / 2, LAMBDAS[-1] * 2])
def test_an_untrained_rate_is_refused(started: Backbone, lam: float) -> None:
    with pytest.raises(InputError, match="outside the trained range"):
        started.gains(torch.tensor([lam]))


def test_bpp_is_met_within_the_range_of_rates(codec: MbtMean) -> None:
    low, high = (codec.encode(IMAGE, OperatingPoint("quality", q)) for q in (0, 4))
    target = (low.bpp * high.bpp) ** 0.5
    assert codec.encode(IMAGE, OperatingPoint("bpp", target)).bpp == pytest.approx(target, rel=0.02)
    assert codec.encode(IMAGE, OperatingPoint("bpp", 3 * high.bpp)).packets == high.packets
    with pytest.raises(InputError, match="can't be reached"):
        codec.encode(IMAGE, OperatingPoint("bpp", 0.8 * low.bpp))


def test_the_real_bytes_are_those_estimated_in_training(weights: Path, codec: MbtMean, stream: Stream) -> None:
    """``Backbone.forward`` in eval mode, float32, against packets: bits but for heads and coder states, and image."""
    exact = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        coded = load_backbone(weights)(exact, torch.tensor([lambda_of(2)]))
    shown = (coded.image[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    ours = codec.decode(stream, everything(stream))
    assert psnr_db(IMAGE, ours)[0] == pytest.approx(psnr_db(IMAGE, shown[None].astype(np.uint8))[0], abs=0.01)
    extra = stream.bytes_total - float(coded.bits) / 8
    assert 0 < extra < 14 * len(stream) + 30


_DECODE = """
import sys
import numpy as np, torch
from pathlib import Path
from netcodecs.progressive.family import MbtMean, MbtMeanSettings
from netsim.codec import OperatingPoint, Packet, Stream
torch.set_num_threads(int(sys.argv[1]))
payloads = np.load(sys.argv[3], allow_pickle=False)
lengths, data = payloads["lengths"], payloads["data"].tobytes()
ends = np.cumsum(lengths)
packets = tuple(Packet(data[e - n : e], bool(p)) for e, n, p in zip(ends, lengths, payloads["protected"]))
stream = Stream(packets, (128, 192), OperatingPoint("quality", 2))
image = MbtMean(MbtMeanSettings(weights=Path(sys.argv[2]))).decode(stream, np.ones((1, len(packets)), bool))
np.save(sys.argv[4], image)
"""


@pytest.mark.slow
def test_another_process_with_other_threads_decodes_the_same(
    weights: Path, codec: MbtMean, stream: Stream, tmp_path: Path
) -> None:
    """From the bytes alone: entropy parameters, symbols and pixels."""
    payloads = [packet.payload for packet in stream.packets]
    np.savez(
        tmp_path / "packets.npz",
        lengths=[len(payload) for payload in payloads],
        data=np.frombuffer(b"".join(payloads), np.uint8),
        protected=stream.protected,
    )
    given = [sys.executable, "-c", _DECODE, "2", str(weights), str(tmp_path / "packets.npz"), str(tmp_path / "image")]
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    subprocess.run(given, check=True, timeout=120, env=environment)
    assert np.array_equal(np.load(tmp_path / "image.npy"), codec.decode(stream, everything(stream)))


def test_tables_are_compressais(weights: Path) -> None:
    """To within two counts or a thousandth: theirs are rounded from float32."""
    model = compressai.models.MeanScaleHyperprior(128, 192)
    ours = MeanScaleHyperprior(192, 128)
    ours.entropy_bottleneck.load_state_dict(model.entropy_bottleneck.state_dict())
    model.update(force=True)
    scales = torch.rand(1, 500, generator=torch.Generator().manual_seed(0)) * 20 - 1
    theirs = model.gaussian_conditional.build_indexes(scales)
    assert np.searchsorted(scale_steps()[:-1], scales.double().numpy()).tolist() == theirs.tolist()
    assert len(scale_steps()) == len(model.gaussian_conditional.scale_table)
    pairs = [
        (latent_tables(), model.gaussian_conditional),
        (bottleneck_tables(ours.entropy_bottleneck), model.entropy_bottleneck),
    ]
    for tables, reference in pairs:
        assert tables.offsets == reference.offset.tolist()
        assert [len(counts) for counts in tables.counts] == reference.cdf_length.tolist()
        for counts, row in zip(tables.counts, reference.quantized_cdf.tolist(), strict=True):
            np.testing.assert_allclose(np.diff(counts), np.diff(row[: len(counts)]), rtol=1e-3, atol=2)


def test_counted_symbols_have_shorter_codes() -> None:
    """A Laplacian's symbols: the tables that follow their counts take about their entropy, and still code all else."""
    rng, size = np.random.default_rng(0), 40_000
    magnitudes = np.minimum(np.rint(np.abs(rng.laplace(size=size))), 30).astype(np.int64)
    counts = np.zeros((64, 32), np.int64)
    counts[20] = np.bincount(magnitudes, minlength=32)
    normal, counted = latent_tables(), latent_tables(counts)
    symbols, indexes = magnitudes * rng.choice([-1, 1], size), np.full(size, 20)
    bits = [tables.bits(symbols, indexes).mean() for tables in (normal, counted)]
    shares = counts[20] / size
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum() + (1 - shares[0])
    assert bits[1] == pytest.approx(entropy, rel=0.01)
    assert bits[1] < 0.98 * bits[0]
    assert counted.counts[:20] == normal.counts[:20]
    assert latent_tables(np.zeros_like(counts)).counts == normal.counts
    far = np.array([-200, 25, 0, 200])
    assert np.array_equal(counted.decode(counted.encode(far, indexes[:4]), indexes[:4]), far)


@pytest.mark.slow
def test_effort_lowers_the_loss_for_the_same_decoder(weights: Path, codec: MbtMean) -> None:
    """Real bytes and pixels; the same packets at every call; a decoder without the setting shows them."""
    image, lam = IMAGE[:64, :64], lambda_of(2)
    searching = MbtMean(MbtMeanSettings(weights=weights, effort=1))

    def loss(sent: Stream) -> float:
        mse = np.square(codec.decode(sent, everything(sent))[0].astype(float) - image).mean()
        return float(lam * mse + sent.bpp)

    plain, searched, again = (c.encode(image, OperatingPoint("quality", 2)) for c in (codec, searching, searching))
    assert searched.packets == again.packets
    assert loss(searched) < 0.98 * loss(plain)
    assert np.array_equal(
        codec.decode(searched, everything(searched)), searching.decode(searched, everything(searched))
    )
    target = plain.bpp
    met = searching.encode(image, OperatingPoint("bpp", target))
    assert met.bpp == pytest.approx(target, rel=0.05)
    assert "effort=1" in searching.label


@pytest.mark.parametrize("there", [True, False])
def test_a_search_multiplies_bfloat16_where_the_device_does_and_the_decoder_never(
    weights: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Means and log-scales need more than eight bits: their last layers are in float32, as in training."""
    monkeypatch.setattr(transforms, "multiplies_bfloat16", lambda device: there)
    monkeypatch.setattr(transforms, "SEARCH_STEPS", (0, 2))
    seen, plain = [], torch.nn.functional.conv2d

    def conv2d(*given: torch.Tensor, **more: object) -> torch.Tensor:
        made = plain(*given, **more)
        seen.append((made.requires_grad, made.dtype))
        return made

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    searching = MbtMean(MbtMeanSettings(weights=weights, effort=1))
    stream = searching.encode(IMAGE[:64, :64], OperatingPoint("quality", 2))
    searching.decode(stream, everything(stream))
    searched, others = ([kind for sought, kind in seen if sought == part] for part in (True, False))
    assert (
        0.8 * len(searched) < searched.count(torch.bfloat16) < len(searched)
        if there
        else set(searched) == {torch.float32}
    )
    assert set(others) == {torch.float32}


def test_a_rate_with_effort_takes_two_searches_and_one_where_no_quality_is_higher(
    weights: Path, codec: MbtMean, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of a search one that makes the latent a tenth smaller."""
    searches = []

    def searched(networks: CodecNetworks, image: Image, quality: float, effort: int) -> EncodedLatent:
        searches.append(quality)
        return networks.encode(0.9 * networks.transforms.analyse(image), quality)

    monkeypatch.setattr(CodecNetworks, "searched", searched)
    searching = MbtMean(MbtMeanSettings(weights=weights, effort=1))
    middle, high = (searching.encode(IMAGE, OperatingPoint("quality", q)).bpp for q in (2, 4))
    for target, count in ((middle, 2), (2 * high, 1)):
        searches.clear()
        stream = searching.encode(IMAGE, OperatingPoint("bpp", target))
        assert len(searches) == count
        assert stream.bpp == pytest.approx(min(target, high), rel=0.05)


def test_code_lengths_are_foreseen() -> None:
    """Also of symbols far outside their table."""
    tables = latent_tables()
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 40, (30, 10, 10))
    symbols = np.rint(rng.normal(size=indexes.shape) * scale_steps()[indexes]).astype(np.int64)
    for some in (symbols, symbols * rng.choice([1, 50], symbols.shape)):
        coded = tables.encode(some, indexes)
        assert np.array_equal(tables.decode(coded, indexes), some)
        assert -2 < len(coded) - tables.bits(some, indexes).sum() / 8 < 2


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights at") as caught:
        create_codec("mbt-mean", {"weights": tmp_path / "none.safetensors"})
    assert "training.md" in caught.value.hint


def test_torch_waits_for_the_first_image(weights: Path) -> None:
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

"""The methods of paper 1 as codecs: what SCR and MCA do to packets and images, weights of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.common.latent_spans import LatentSpan, greedy_spans, halves
from netcodecs.compressai_import import compressai
from netcodecs.progressive.aggregation import MaskConditionalAggregation
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.codec import ChannelProgressive
from netcodecs.progressive.methods import METHODS, shipped_weights
from netcodecs.progressive.packets import read_span, room_bits
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.progressive.weights import save_weights
from netcodecs.training.measure import codec_of
from netcodecs.training.progressive.session import initial_network
from netcodecs.transforms.gains import lambda_of
from netcodecs.weight_files import read_weights
from skimage import data
from torch import Tensor

from netsim.codec import Image, OperatingPoint, Stream, create_codec
from netsim.conformance import check_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.astronaut()[:128, 160:352])
ROWS = IMAGE.shape[0] // 16


@pytest.fixture(scope="module")
def weights(started: Backbone, crops: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each method's weights before its first step, but that MCA shows where channels are missing."""
    folder = tmp_path_factory.mktemp("family")
    save_weights(folder / "mbt-mean.safetensors", started, "mbt-mean")
    for method in METHODS.values():
        network = initial_network(method, str(folder / "mbt-mean.safetensors"), crops[:4])
        if network.aggregation is not None:
            _make_masks_visible(network.aggregation)
        save_weights(folder / f"{method.name}.safetensors", network, method.name)
    return folder


@torch.no_grad()
def _make_masks_visible(aggregation: MaskConditionalAggregation) -> None:
    """The first channel of its output grows with the number of missing channels at a place."""
    for layer in (aggregation.first, aggregation.second, aggregation.fusion):
        assert layer.bias is not None
        layer.weight.zero_()
        layer.bias.zero_()
    aggregation.first.weight[0, :, 1, 1] = 0.1
    aggregation.second.weight[0, 0, 1, 1] = 1.0
    aggregation.fusion.weight[0, -4, 1, 1] = 1.0
    aggregation.project.weight[0, 0] = 0.3


@pytest.fixture(scope="module")
def scr_mca(weights: Path) -> ChannelProgressive:
    return codec_of(weights / "scr-mca-ge.safetensors")


@pytest.fixture(scope="module")
def stream(scr_mca: ChannelProgressive) -> Stream:
    return scr_mca.encode(IMAGE, OperatingPoint("quality", 3), 300)


@pytest.mark.parametrize("name", ["scr-mca-ge", "scr-ge", "mca-ge"])
def test_keeps_the_contract(weights: Path, name: str) -> None:
    codec = codec_of(weights / f"{name}.safetensors")
    results = check_codec(codec, [IMAGE[:64, :70]], [OperatingPoint("quality", 2)])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def heads(stream: Stream) -> int:
    return int(stream.protected.sum())


def mask_without(stream: Stream, *droppable: int) -> np.ndarray:
    """All received but these, counted among the droppable ones."""
    mask = np.ones((1, len(stream)), bool)
    mask[0, [heads(stream) + i for i in droppable]] = False
    return mask


def test_no_packet_ends_flush_with_a_group(stream: Stream) -> None:
    pieces = [read_span(p.payload, ROWS)[0] for p in stream.packets[heads(stream) :]]
    several = [piece for piece in pieces[:-1] if piece.last - piece.first > 1]
    assert len(several) >= 4
    assert all(piece.last % 4 for piece in several)


def test_the_rule_by_hand() -> None:
    """Paper 1, §3.2: the packet that would end on channel 4 (1-based) hands it to the next; one channel alone stays."""
    bits = np.full(12, 80.0)
    assert [(p.first, p.last) for p in greedy_spans(bits, 4, room_bits(52), 4)] == [(0, 3), (3, 7), (7, 11), (11, 12)]
    assert [(p.first, p.last) for p in greedy_spans(np.full(4, 300.0), 4, room_bits(52), 4)] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
    ]
    full = np.array([80.0, 80.0, 80.0, 300.0, 80.0])  # the handed-over channel fills the next packet
    assert [(p.first, p.last) for p in greedy_spans(full, 4, room_bits(82), 4)] == [(0, 3), (3, 5)]
    assert [(p.first, p.last) for p in greedy_spans(full, 4, room_bits(52), 4)] == [(0, 3), (3, 4), (4, 5)]
    assert [(p.first, p.last) for p in halves(LatentSpan(0, 8, 0, 4), 4) or ()] == [(0, 3), (3, 8)]


@pytest.fixture
def seen(scr_mca: ChannelProgressive, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the networks are given: latents, and what is present in them."""
    given: list[tuple[np.ndarray, np.ndarray]] = []
    synthesise = scr_mca._networks.transforms.synthesise

    def noted(latents: np.ndarray, present: np.ndarray, *rest: float) -> np.ndarray:
        given.append((latents.copy(), present.copy()))
        return synthesise(latents, present, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(scr_mca._networks.transforms, "synthesise", noted)
    return given


def test_mca_is_given_what_is_missing_be_it_lost_unsent_or_damaged(
    scr_mca: ChannelProgressive, stream: Stream, seen: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Three of the latent's packets: lost in the middle, the tail that was not sent, damaged."""
    n, mask = len(stream) - heads(stream), mask_without(stream, 1, len(stream) - heads(stream) - 1)
    victim = heads(stream) + 3
    packets = list(stream.packets)
    packets[victim] = replace(packets[victim], payload=packets[victim].payload[:-1] + b"?")
    scr_mca.decode(replace(stream, packets=tuple(packets)), mask)
    (latents, present), missing = seen[0], np.zeros((192, ROWS, 12), bool)
    for place in (1, 3, n - 1):
        missing[read_span(stream.packets[heads(stream) + place].payload, ROWS)[0].region] = True
    assert np.array_equal(present[0], ~missing)
    assert not latents[0][missing].any()
    assert (latents[0][~missing] != 0).mean() > 0.2


def test_a_shorter_stream_shows_what_a_lost_tail_shows(scr_mca: ChannelProgressive, stream: Stream) -> None:
    n = len(stream) - heads(stream)
    kept = heads(stream) + n // 2
    cut = replace(stream, packets=stream.packets[:kept])
    tail = scr_mca.decode(stream, mask_without(stream, *range(n // 2, n)))
    assert np.array_equal(scr_mca.decode(cut, np.ones((1, kept), bool)), tail)


def test_where_a_channel_is_missing_mca_shows_it(scr_mca: ChannelProgressive, stream: Stream) -> None:
    """The same latent, zero in the same places, with and without the mask: the fixture's MCA answers to it."""
    transforms = scr_mca._networks.transforms
    latent, present = np.zeros((1, 192, ROWS, 12), np.float32), np.ones((1, 192, ROWS, 12), bool)
    masked = present.copy()
    masked[:, 100:] = False
    shown = [transforms.synthesise(latent, mask, 3, 128, 192) for mask in (present, masked)]
    assert not np.array_equal(*shown)
    assert heads(stream) >= 1


@torch.no_grad()
def test_new_mca_is_the_identity_whatever_is_missing() -> None:
    torch.manual_seed(0)
    aggregation, latent = MaskConditionalAggregation(192), torch.randn(2, 192, 4, 4)
    mask = (torch.rand(2, 192, 1, 1) > 0.5).float().expand(latent.shape)
    assert torch.equal(aggregation(latent, mask), latent)
    assert torch.equal(aggregation(latent, torch.ones_like(latent)), latent)
    _make_masks_visible(aggregation)
    assert torch.equal(aggregation(latent, torch.ones_like(latent)), latent)  # its layers read what is missing
    assert not torch.equal(aggregation(latent, mask), latent)


@torch.no_grad()
def test_no_mask_is_a_mask_of_ones(weights: Path) -> None:
    from netcodecs.progressive.weights import load_weights

    network = load_weights(weights / "mca-ge.safetensors")[0]
    latent = torch.randn(1, 192, 4, 4, generator=torch.Generator().manual_seed(0))
    inverse = network.gains(torch.tensor([lambda_of(2)]))[1]
    whole = network.synthesised(latent, torch.ones_like(latent), inverse)
    assert torch.equal(network.synthesised(latent, None, inverse), whole)


@torch.no_grad()
def test_scr_behind_the_hyperprior_changes_neither_bits_nor_image(started: Backbone, crops: Tensor) -> None:
    """Latent, means and scales move together: without losses it is the network without SCR."""
    scr = Backbone(started.kind, scr=True)
    scr.load_state_dict(started.state_dict())
    lam = torch.full((2,), lambda_of(2))
    plain, mixed = (network.eval()(crops[:2], lam) for network in (started, scr))
    assert torch.equal(plain.bits, mixed.bits)
    torch.testing.assert_close(plain.image, mixed.image, atol=1e-5, rtol=0)


def test_scr_costs_no_bytes_but_for_packets_heads(weights: Path) -> None:
    """Behind the hyperprior it moves symbols between packets, no more. ``progdtd`` has the same channels."""
    sizes, images = [], []
    for name in ("progdtd", "scr-ge"):
        codec = codec_of(weights / f"{name}.safetensors")
        sent = codec.encode(IMAGE, OperatingPoint("quality", 2))
        sizes.append(sent.bytes_total)
        images.append(codec.decode(sent, np.ones((1, len(sent)), bool)))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)
    assert np.abs(images[0].astype(int) - images[1]).max() <= 1


def test_rearrangement_is_its_own_inverse_and_spreads_each_channel_over_four() -> None:
    latent = torch.arange(8 * 6 * 4, dtype=torch.float32).reshape(1, 8, 6, 4)
    mixed = rearranged(latent)
    assert torch.equal(rearranged(mixed), latent)
    g, c, i, j, a, b = 1, 2, 1, 0, 0, 1  # paper 1, §3.2: yr[4g+c, 2i+a, 2j+b] = y[4g+2a+b, 2i+(c>>1), 2j+(c&1)]
    assert mixed[0, 4 * g + c, 2 * i + a, 2 * j + b] == latent[0, 4 * g + 2 * a + b, 2 * i + (c >> 1), 2 * j + (c & 1)]
    lost = torch.ones_like(latent)
    lost[:, 5] = 0
    assert (rearranged(lost)[0] == 0).flatten(1).sum(1).tolist() == [0, 0, 0, 0, 6, 6, 6, 6]


def test_lost_rearranged_channels_take_a_quarter_each_of_four(weights: Path) -> None:
    """The first packet holds three channels. Its loss takes all of channels 0 to 2; with SCR, three quarters of 0 to 3.

    Errors of channels add: the next packet of ``progdtd`` holds channel 3 and more, which bounds what that one adds.
    """
    added = {}
    for name in ("progdtd", "scr-ge"):
        codec = codec_of(weights / f"{name}.safetensors")
        sent = codec.encode(IMAGE, OperatingPoint("quality", 2), 200)
        spans = [read_span(p.payload, ROWS)[0] for p in sent.packets[heads(sent) :]]
        assert (spans[0].first, spans[0].last, spans[1].first) == (0, 3, 3)
        masks = np.concatenate([mask_without(sent), mask_without(sent, 0), mask_without(sent, 1)])
        whole, *lost = 10 ** (-psnr_db(IMAGE, codec.decode(sent, masks)) / 10)
        added[name] = [mse - whole for mse in lost]
    three, rest = added["progdtd"]
    assert 0.75 * three < added["scr-ge"][0] < 0.75 * (three + rest)


def test_batch_and_single_show_the_same(scr_mca: ChannelProgressive, stream: Stream) -> None:
    masks = np.random.default_rng(0).random((9, len(stream))) > 0.3
    masks[:, : heads(stream)] = True
    together = psnr_db(IMAGE, scr_mca.decode(stream, masks))
    alone = [psnr_db(IMAGE, scr_mca.decode(stream, mask[None]))[0] for mask in masks]
    assert together.tolist() == pytest.approx(alone, abs=1e-3)


def test_ablations_are_settings(weights: Path) -> None:
    codec = create_codec("scr-mca-ge", {"modules": "scr", "weights": weights / "scr-ge.safetensors"})
    assert isinstance(codec, ChannelProgressive)
    assert codec.method == "scr-ge"
    assert "modules=scr" in codec.label
    both = create_codec("scr-mca-ge", {"weights": weights / "scr-mca-ge.safetensors"})
    assert isinstance(both, ChannelProgressive)
    assert both.parameters > codec.parameters  # type: ignore[operator]


def test_weights_of_another_method_are_refused(weights: Path) -> None:
    codec = create_codec("progdtd", {"weights": weights / "random.safetensors"})
    with pytest.raises(InputError, match="holds weights of random, not of progdtd"):
        codec.encode(IMAGE, OperatingPoint("quality", 1))


def test_device_is_no_part_of_the_name(weights: Path) -> None:
    codec = create_codec("random", {"weights": weights / "random.safetensors", "device": "cuda"})
    assert "cuda" not in codec.label
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch finds none"):
            codec.encode(IMAGE, OperatingPoint("quality", 1))


@pytest.fixture(scope="module")
def theirs() -> compressai.models.MeanScaleHyperprior:
    """CompressAI's mbt2018-mean with weights that are spread enough to code something."""
    torch.manual_seed(1)
    model = compressai.models.MeanScaleHyperprior(128, 192)
    with torch.no_grad():
        model.g_a[-1].weight.mul_(60)
        model.h_a[-1].weight.mul_(20)
    model.update()
    return model.eval()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_compressai_checkpoint_is_taken_as_it_is(
    theirs: compressai.models.MeanScaleHyperprior, tmp_path: Path, wrapped: bool
) -> None:
    """As a state dict, and as CompressAI's training script wraps it, from several GPUs: bytes and image."""
    state = theirs.state_dict()
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}} if wrapped else state, path)
    codec = create_codec("mbt-mean", {"weights": path})
    stream = codec.encode(IMAGE, OperatingPoint("quality", 1))
    shown = codec.decode(stream, np.ones((1, len(stream)), bool))
    exact = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        coded = theirs.compress(exact)
        image = theirs.decompress(coded["strings"], coded["shape"])["x_hat"][0].clamp(0, 1) * 255
    assert sum(len(strings[0]) for strings in coded["strings"]) > 2000
    assert image.std() > 5
    off = np.abs(shown[0].astype(int) - image.round().permute(1, 2, 0).numpy())
    assert (off > 1).mean() < 0.01  # a latent in the middle between two symbols may round either way
    extra = stream.bytes_total - sum(len(strings[0]) for strings in coded["strings"])
    assert 0 < extra < 14 * len(stream) + 8
    with pytest.raises(InputError, match="effort: 2 with weights of mbt"):
        create_codec("mbt-mean", {"weights": path, "effort": 2}).encode(IMAGE, OperatingPoint("quality", 1))
    with pytest.raises(InputError, match="quality 2") as caught:
        codec.encode(IMAGE, OperatingPoint("quality", 2))
    assert "quality 1 only" in caught.value.hint


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    larger = tmp_path / "larger.pth"
    torch.save(compressai.models.MeanScaleHyperprior(64, 96).state_dict(), larger)
    (tmp_path / "noise.pth").write_bytes(b"no checkpoint")
    (tmp_path / "noise.safetensors").write_bytes(b"no checkpoint")
    for name, message in (("larger.pth", "neither"), ("noise.pth", "can't be read"), ("noise.safetensors", "is no")):
        codec = create_codec("mbt-mean", {"weights": tmp_path / name})
        with pytest.raises(InputError, match=message):
            codec.encode(IMAGE, OperatingPoint("quality", 1))


def test_weights_of_all_methods_and_codecs_ship_within_60_mb() -> None:
    names = [*METHODS, "scr-mca-plus", "resicomp"]
    assert all(shipped_weights(name).is_file() and shipped_weights(name).with_suffix(".md").is_file() for name in names)
    assert sum(path.stat().st_size for path in shipped_weights("mbt-mean").parent.iterdir()) < 60e6


def test_weights_but_the_baselines_are_stored_as_differences_from_it() -> None:
    """All of the progressive family are, with the hash of the tensors that both have."""
    bases = {name: read_weights(shipped_weights(name))[1].get("base", {}).get("file") for name in METHODS}
    assert bases.pop("mbt-mean") is None
    assert set(bases.values()) == {"mbt-mean.safetensors"}


@pytest.mark.parametrize("name", METHODS)
def test_weights_ship_and_work(name: str) -> None:
    """Each method's own, at the middle quality: rate and quality of a photograph."""
    codec = codec_of(shipped_weights(name))
    image = np.ascontiguousarray(data.coffee()[100:228, 200:392])
    stream = codec.encode(image, OperatingPoint("quality", 2))
    assert 0.1 < stream.bpp < 1.0
    assert psnr_db(image, codec.decode(stream, np.ones((1, len(stream)), bool)))[0] > 27


@pytest.mark.parametrize(("steps", "said"), [(0, True), (700, False), (None, False)])
def test_a_method_whose_weights_had_no_step_says_so(
    started: Backbone, tmp_path: Path, steps: int | None, said: bool
) -> None:
    path = tmp_path / "random.safetensors"
    save_weights(path, started, "random", facts={} if steps is None else {"steps": steps})
    remark = create_codec("random", {"weights": str(path)}).remark
    assert ("is not trained yet" in remark) == said
    assert bool(remark) == said

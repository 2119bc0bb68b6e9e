"""The methods of paper 1 as codecs: what SCR and MCA do to packets and pictures, weights of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.progressive.aggregation import MaskConditionalAggregation
from netcodecs.progressive.backbone import Backbone, widen
from netcodecs.progressive.codec import ChannelProgressive, _present
from netcodecs.progressive.methods import METHODS, shipped_weights
from netcodecs.progressive.packets import Piece, first_pieces, halves, read_piece
from netcodecs.progressive.weights import save_weights
from netcodecs.training.begin import begun, prepare
from netcodecs.training.measure import codec_of
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
    """A folder with each method's weights before its first step; MCA's mask is made audible."""
    folder = tmp_path_factory.mktemp("family")
    for method in METHODS.values():
        network = begun(started, method, crops.split(4))
        if network.aggregation is not None:
            prepare(network, method.losses, crops.split(4))
            _hear_every_loss(network.aggregation)
        save_weights(folder / f"{method.name}.safetensors", network, method.name)
    return folder


@torch.no_grad()
def _hear_every_loss(aggregation: MaskConditionalAggregation) -> None:
    """Its first feature counts what is lost at a place, and goes into all that it passes on."""
    for layer, weight in ((aggregation.first, -1.0), (aggregation.second, 0.1)):
        layer.weight[0] = 0.0
        layer.weight[0, : layer.weight.shape[1] if weight < 0 else 1, 1, 1] = weight
        assert layer.bias is not None
        layer.bias[0] = float(layer.weight.shape[1]) if weight < 0 else 0.0
    aggregation.fusion.weight[:, -4] += 1.0


@pytest.fixture(scope="module")
def scr_mca(weights: Path) -> ChannelProgressive:
    return codec_of(weights / "scr-mca-ge.safetensors")


@pytest.fixture(scope="module")
def stream(scr_mca: ChannelProgressive) -> Stream:
    return scr_mca.encode(IMAGE, OperatingPoint("quality", 3), 300)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "mbt-mean"])
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
    pieces = [read_piece(p.payload, ROWS)[0] for p in stream.packets[heads(stream) :]]
    several = [piece for piece in pieces[:-1] if piece.last - piece.first > 1]
    assert len(several) >= 4
    assert all(piece.last % 4 for piece in several)


def test_the_rule_by_hand() -> None:
    """Paper 1, §3.2: the packet that would end on channel 4 (1-based) hands it to the next; one channel alone stays."""
    bits = np.full(12, 80.0)
    assert [(p.first, p.last) for p in first_pieces(bits, 4, 52, 4)] == [(0, 3), (3, 7), (7, 11), (11, 12)]
    assert [(p.first, p.last) for p in first_pieces(np.full(4, 300.0), 4, 52, 4)] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    full = np.array([80.0, 80.0, 80.0, 300.0, 80.0])  # the handed-over channel fills the next packet
    assert [(p.first, p.last) for p in first_pieces(full, 4, 82, 4)] == [(0, 3), (3, 5)]
    assert [(p.first, p.last) for p in first_pieces(full, 4, 52, 4)] == [(0, 3), (3, 4), (4, 5)]
    assert [(p.first, p.last) for p in halves(Piece(0, 8, 0, 4), 4) or ()] == [(0, 3), (3, 8)]


def test_what_lies_before_the_last_arrival_is_lost_what_lies_behind_was_not_sent() -> None:
    shape = (4, 2, 1)
    assert _present([], shape).all()
    middle_lost = _present([Piece(0, 1, 0, 2), Piece(2, 3, 0, 2)], shape)
    assert middle_lost[:, 0, 0].tolist() == middle_lost[:, 1, 0].tolist() == [True, False, True, True]
    rows = _present([Piece(1, 2, 1, 2)], shape)
    assert rows[:, 0, 0].tolist() == [False, False, True, True]
    assert rows[:, 1, 0].tolist() == [False, True, True, True]


def test_a_loss_is_told_a_tail_not_sent_is_not(scr_mca: ChannelProgressive, stream: Stream) -> None:
    """The same latent, zero in the same places: another picture where the decoder knows of a loss."""
    transforms = scr_mca._networks.transforms
    n = len(stream) - heads(stream)
    tail = mask_without(stream, *range(n // 2, n))
    latent, told = np.zeros((1, 192, ROWS, 12), np.float32), np.ones((1, 192, ROWS, 12), bool)
    means, pieces = scr_mca._decoded(*_parts(stream), tail[0])
    for piece, symbols in pieces.values():
        latent[0][piece.region] = symbols + means[piece.region]
    shown = scr_mca.decode(stream, tail)
    assert np.array_equal(shown, transforms.synthesise(latent, told, 3, 128, 192))
    told[latent == 0] = False
    assert not np.array_equal(shown, transforms.synthesise(latent, told, 3, 128, 192))


def _parts(stream: Stream):  # type: ignore[no-untyped-def]
    from netcodecs.progressive.packets import read_head

    payloads = [p.payload for p in stream.packets]
    return read_head(payloads[: heads(stream)]), payloads, heads(stream)


def test_lost_rearranged_channel_leaves_three_quarters_of_four(weights: Path) -> None:
    """With SCR the loss of the first channel takes a quarter of the samples of four, not all of one."""
    psnr = {}
    for name in ("progdtd", "scr-ge"):
        codec = codec_of(weights / f"{name}.safetensors")
        sent = codec.encode(IMAGE, OperatingPoint("quality", 2), 200)
        first = [read_piece(p.payload, ROWS)[0] for p in sent.packets[heads(sent) :]]
        lost = [i for i, piece in enumerate(first) if piece.first == 0]
        psnr[name] = psnr_db(IMAGE, codec.decode(sent, mask_without(sent, *lost)))[0]
    assert psnr["scr-ge"] > psnr["progdtd"] + 1


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


@pytest.mark.parametrize("wrapped", [False, True])
def test_compressai_checkpoint_is_taken_as_it_is(started: Backbone, tmp_path: Path, wrapped: bool) -> None:
    """As a state dict, and as CompressAI's training script wraps it, from several GPUs."""
    plain = widen(started).at(0.0035)
    state = plain.state_dict()
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}} if wrapped else state, path)
    codec = create_codec("mbt-mean", {"weights": path})
    stream = codec.encode(IMAGE, OperatingPoint("quality", 1))
    shown = codec.decode(stream, np.ones((1, len(stream)), bool))
    exact = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        theirs = plain.compress(exact)
        picture = plain.decompress(theirs["strings"], theirs["shape"])["x_hat"][0].clamp(0, 1) * 255
    assert np.abs(shown[0].astype(int) - picture.round().permute(1, 2, 0).numpy()).max() <= 1
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


@pytest.mark.parametrize("name", METHODS)
def test_weights_ship_and_work(name: str) -> None:
    """Each method's own, at the middle quality: rate and picture of a photograph; a lost packet does not spoil it."""
    codec = codec_of(shipped_weights(name))
    picture = np.ascontiguousarray(data.coffee()[100:228, 200:392])
    stream = codec.encode(picture, OperatingPoint("quality", 2))
    assert 0.1 < stream.bpp < 1.0
    assert psnr_db(picture, codec.decode(stream, np.ones((1, len(stream)), bool)))[0] > 27

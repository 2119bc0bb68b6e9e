"""What methods start from, what they minimise, and a real network's run that is stopped and goes on."""

from __future__ import annotations

import itertools
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone, ChannelMask, EncodedBatch, M, N
from netcodecs.progressive.methods import METHODS
from netcodecs.progressive.weights import load_weights, save_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import RandomCrops, centre_crop, load_folder
from netcodecs.training.core.run import CHECKPOINT
from netcodecs.training.export import export
from netcodecs.training.init.ordering import order_channels
from netcodecs.training.measure import codec_of
from netcodecs.training.progressive.emphasis import Emphasis
from netcodecs.training.progressive.objective import ProgressiveObjective, losses
from netcodecs.training.progressive.session import Session, averaged_network, initial_network
from netcodecs.transforms.gains import LAMBDAS
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from netsim.codec import OperatingPoint
from netsim.errors import InputError

LAMBDA = torch.tensor(LAMBDAS[2:3])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, started: Backbone, images: list[NDArray[np.uint8]]) -> Path:
    """Weights of a baseline and of a method with both modules; an image to train on and one that is held out."""
    folder = tmp_path_factory.mktemp("session")
    save_weights(folder / "base.safetensors", started, "mbt-mean", exactly=True)
    save_weights(folder / "both.safetensors", Backbone(started.kind, scr=True, mca=True), "scr-mca-u")
    for name, image in zip(("photos", "held_out"), images, strict=False):
        (folder / name).mkdir()
        Image.fromarray(image[100:196, 100:228]).save(folder / name / "a.png")
    return folder


@pytest.fixture(scope="module")
def image(images: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(images[0][64:192, 64:192]).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def _coded(network: Backbone, image: Tensor) -> EncodedBatch:
    coded: EncodedBatch = network.eval()(image, LAMBDA)
    return coded


def _copy(network: Backbone) -> Backbone:
    copied = Backbone(network.kind)
    copied.load_state_dict(network.state_dict())
    return copied.eval()


def test_channels_in_order_are_the_same_function(started: Backbone, image: Tensor, crops: Tensor) -> None:
    ordered = _copy(started)
    with torch.no_grad():  # gains and the hyperprior must move along
        for parameter in (ordered.log_gain, ordered.log_inverse_gain, ordered.hyper.prior.means):  # type: ignore[union-attr]
            assert isinstance(parameter, Tensor)
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
        ordered.context.bias.copy_(torch.linspace(-1, 1, M))
        ordered.hyper.context.bias.fill_(1.0)  # type: ignore[union-attr]
    before = _coded(ordered, image)
    first = ordered.g_a[-1].weight.detach().clone()  # type: ignore[index]
    order_channels(ordered, crops[:2])
    after = _coded(ordered, image)
    assert not torch.equal(first, ordered.g_a[-1].weight)  # type: ignore[index,arg-type]
    places = [int((first == row).flatten(1).all(1).nonzero()) for row in ordered.g_a[-1].weight]  # type: ignore[index,union-attr]
    assert torch.equal(ordered.context.bias, torch.linspace(-1, 1, M)[places])
    assert not ordered.hyper.context.bias.any()  # type: ignore[union-attr]
    torch.testing.assert_close(after.image, before.image, atol=1e-4, rtol=0)
    assert float(after.bits) == pytest.approx(float(before.bits), rel=1e-4)


@torch.no_grad()
def test_channels_come_with_the_most_bits_first(started: Backbone, crops: Tensor) -> None:
    ordered = _copy(started)
    order_channels(ordered, crops)
    gain = ordered.gains(torch.full((len(crops),), LAMBDAS[2]))[0]
    bits, hyper_bits, _ = ordered.hyper.rate(ordered.analysed(crops, gain))  # type: ignore[operator]
    for each in (bits.sum((0, 2, 3)), hyper_bits.sum(0)):
        assert bool((each.diff() <= 1e-3 * each[:-1]).all())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_starts_as_the_baseline(root: Path, name: str, started: Backbone, image: Tensor) -> None:
    """New modules are the identity, and SCR behind the hyperprior moves symbols only."""
    network = initial_network(METHODS[name], str(root / "base.safetensors"), image)
    assert (network.scr, network.aggregation is not None) == (METHODS[name].scr, METHODS[name].mca)
    before, after = _coded(started, image), _coded(network, image)
    assert float(after.bits) == pytest.approx(float(before.bits), rel=0.01)  # the file is float16
    error = [float((coded.image - image).square().mean()) for coded in (before, after)]
    assert error[1] == pytest.approx(error[0], rel=0.01)


@pytest.mark.parametrize("transforms", ["large", "mbt", "elic"])
@pytest.mark.parametrize("name", ["mbt-mean", "scr-mca-u"])
def test_a_new_network_of_any_transforms_learns_and_codes(
    root: Path, name: str, transforms: str, tmp_path: Path
) -> None:
    folder = root / "photos"
    session = Session(METHODS[name], "new", [folder], folder, batch=1, crop=64, transforms=transforms)
    assert session.train(tmp_path / "run", steps=1, rate=1e-4) == 0
    weights = tmp_path / f"{name}.safetensors"
    export(tmp_path / "run", weights)
    said = {
        "large": "Residual transforms and",
        "mbt": "The transforms of mbt2018-mean and",
        "elic": "The transforms of ELIC and",
    }
    assert said[transforms] in weights.with_suffix(".md").read_text()
    network = load_weights(weights)[0]
    assert network.kind.kind == ("residual" if transforms == "large" else transforms)
    codec, image = codec_of(weights), np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    stream = codec.encode(image, OperatingPoint("quality", 2))
    received = np.ones((2, len(stream)), bool)
    received[1, -1] = False
    whole, lossy = codec.decode(stream, received)
    assert whole.shape == image.shape
    assert not np.array_equal(whole, lossy)


def test_mca_starts_under_the_losses_that_the_run_trains_with(root: Path) -> None:
    """Least squares over what is lost: where nothing is, no neighbour stands in."""
    shares = []
    for lossless_share in (0.0, 0.5, 1.0):
        session = _session(root, "scr-mca-u", Emphasis(lossless_share=lossless_share))
        assert session.objective.network.aggregation is not None
        shares.append(session.objective.network.aggregation.neighbour_share.detach())
    assert not torch.equal(shares[0], shares[1])
    assert float(shares[0].max()) > 0
    assert not shares[2].any()


def test_a_method_goes_on_from_its_own_weights_without_a_new_order(root: Path, image: Tensor, tmp_path: Path) -> None:
    network = initial_network(METHODS["progdtd"], str(root / "base.safetensors"), image)
    save_weights(tmp_path / "own.safetensors", network, "progdtd", exactly=True)
    again = initial_network(METHODS["progdtd"], str(tmp_path / "own.safetensors"), image.flip(3))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["progdtd-ge", "scr-ge", "mca-ge"])
def test_an_ablation_starts_from_the_whole_method(root: Path, name: str, image: Tensor) -> None:
    """What both have is taken over, in its order; modules that the ablation lacks are left out."""
    whole = load_weights(root / "both.safetensors")[0]
    network = initial_network(METHODS[name], str(root / "both.safetensors"), image)
    assert (network.scr, network.aggregation is not None) == (METHODS[name].scr, METHODS[name].mca)
    assert set(whole.state_dict()) - set(network.state_dict()) == (
        set() if METHODS[name].mca else {n for n in whole.state_dict() if n.startswith("aggregation.")}
    )
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[key])


def test_the_loss_is_lambda_255_squared_mse_plus_bpp() -> None:
    image = torch.zeros(2, 3, 4, 8)
    coded = EncodedBatch(torch.stack([image[0] + 0.1, image[1] - 0.2]), torch.tensor([64.0, 16.0]))
    loss, bpp, mse = losses(coded, image, torch.tensor([0.01, 0.002]))
    assert bpp.tolist() == [2.0, 0.5]
    assert mse.tolist() == pytest.approx([0.01, 0.04])
    assert loss.tolist() == pytest.approx([0.01 * 65025 * 0.01 + 2, 0.002 * 65025 * 0.04 + 0.5])


@torch.no_grad()
def test_what_is_not_sent_costs_nothing_and_what_is_lost_costs_bits(started: Backbone, image: Tensor) -> None:
    """By hand, from the parts of the network."""
    sent, sent_hyper, received = (torch.ones(1, n, dtype=torch.bool) for n in (M, N, M))
    sent[:, 100:], received[:, 3] = False, False
    coded = started(image, LAMBDA, ChannelMask(sent, sent_hyper, received))
    gain, inverse = started.gains(LAMBDA)
    bits, hyper_bits, decoded = started.hyper.rate(started.analysed(image, gain))  # type: ignore[operator]
    assert float(coded.bits) == pytest.approx(float(bits[:, :100].sum() + hyper_bits.sum()), rel=1e-6)
    decoded[:, 100:] = decoded[:, 3] = 0
    torch.testing.assert_close(coded.image, started.g_s(decoded * inverse))


def test_a_batch_takes_the_lambdas_in_turn_and_repeats_with_its_generator(
    root: Path, started: Backbone, images: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, seen = _copy(started), []
    objective = ProgressiveObjective(
        network,
        METHODS["scr-mca-u"],
        RandomCrops(images, 64),
        [images[0][:64, :64]],
        batch=7,
        emphasis=Emphasis(balance=0.25),
    )
    forward = Backbone.forward

    def noted(self: Backbone, image: Tensor, lam: Tensor, mask: ChannelMask | None = None) -> EncodedBatch:
        seen.append((image, lam, mask))
        return forward(self, image, lam, mask)

    monkeypatch.setattr(Backbone, "forward", noted)
    network.eval()
    values = [objective.loss(np.random.default_rng(3), 0.5)[0] for _ in range(2)]
    assert torch.equal(*values)
    image, lam, mask = seen[0]
    assert image.shape == (7, 3, 64, 64)
    assert mask is not None
    places = [LAMBDAS.index(pytest.approx(float(one))) for one in lam]
    assert [(b - a) % 5 for a, b in itertools.pairwise(places)] == [1] * 6
    weights = (0.0067 / lam) ** 0.25
    with torch.no_grad():
        by_hand = (losses(forward(network, image, lam, mask), image, lam)[0] * weights).mean()
    assert float(values[0]) == pytest.approx(float(by_hand), rel=1e-5)


def test_validation_has_a_row_per_lambda_and_loses_with_losses(
    started: Backbone, images: list[NDArray[np.uint8]]
) -> None:
    objective = ProgressiveObjective(started, METHODS["random"], RandomCrops(images, 64), [images[0][:192]], batch=1)
    with torch.no_grad():
        rows, again = (objective.validate(started.eval()) for _ in range(2))
    assert rows == again
    assert [row["lambda"] for row in rows] == list(LAMBDAS)
    for key in ("bpp", "psnr_db"):
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)
    assert all(row["lossy_psnr_db"] < row["psnr_db"] for row in rows)
    for row in rows:  # of one image: the loss follows from its rate and its PSNR
        mse = 10 ** (-row["psnr_db"] / 10)
        assert row["loss"] == pytest.approx(row["lambda"] * 255**2 * mse + row["bpp"], rel=1e-5)
        assert math.isfinite(row["lossy_psnr_db"])


def _session(root: Path, method: str = "scr-mca-ge", emphasis: Emphasis | None = None) -> Session:
    start, settings = str(root / "base.safetensors"), {"batch": 2, "crop": 64, "seed": 5}
    return Session(METHODS[method], start, [root / "photos"], root / "held_out", emphasis=emphasis, **settings)


@pytest.mark.slow
def test_a_network_that_is_stopped_goes_on_to_the_same_weights(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: SCR and MCA, masks, noise, SOAP and Adam, the average."""
    assert _session(root).train(tmp_path / "whole", steps=4, rate=1e-3) == 0
    loss = ProgressiveObjective.loss

    def interrupted(self: ProgressiveObjective, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        if share == 0.25:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, rng, share)

    monkeypatch.setattr(ProgressiveObjective, "loss", interrupted)
    assert _session(root).train(tmp_path / "parts", steps=4, rate=1e-3) == 130
    monkeypatch.setattr(ProgressiveObjective, "loss", loss)
    assert load_tensors(tmp_path / "parts" / CHECKPOINT)[1]["steps"] == 2
    assert _session(root).train(tmp_path / "parts", steps=4, rate=1e-3) == 0
    (whole, facts), (parts, _) = (load_tensors(tmp_path / name / CHECKPOINT) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert [name for name, tensor in whole.items() if not torch.equal(tensor, parts[name])] == []
    assert facts["trains"] == "scr-mca-ge"
    average = averaged_network(tmp_path / "whole" / CHECKPOINT)
    assert average.scr
    assert not average.training
    assert torch.equal(average.log_gain, whole["average/log_gain"])
    with pytest.raises(InputError, match="scr-mca-ge, not mca-ge"):
        _session(root, "mca-ge").train(tmp_path / "whole", steps=4, rate=1e-3)


def test_training_lowers_the_loss(root: Path, started: Backbone, tmp_path: Path) -> None:
    """A few steps on one image, measured on it at the middle λ."""
    session = _session(root, "mbt-mean")
    photo = centre_crop(load_folder(root / "photos", at_least=64)[0])
    session.train(tmp_path, steps=10, rate=2e-4)
    with torch.no_grad():
        before, after = (
            float(losses(network.eval()(photo, LAMBDA), photo, LAMBDA)[0])
            for network in (started, session.objective.network)
        )
    assert after < 0.97 * before

"""ResiComp's loss is that of its packets and images, and every part of the model learns from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.resicomp.codec import ResiComp
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.packets import read_header
from netcodecs.resicomp.rate_control import layout_of
from netcodecs.resicomp.weights import load_weights, save_weights
from netcodecs.training.core.crops import RandomCrops
from netcodecs.training.core.optimisers import Optimisers
from netcodecs.training.resicomp.objective import ResiCompObjective, known_tokens, masked_losses, stratified
from netcodecs.transforms.gains import lambda_of
from numpy.typing import NDArray
from torch import nn

from netsim.codec import OperatingPoint, create_codec
from netsim.metrics.psnr import psnr_db

Images = list[NDArray[np.uint8]]


def loud(model: ResiCompModel) -> ResiCompModel:
    """Parameters at random, such that contexts matter and the latent is not zero."""
    with torch.no_grad():
        for parameter in model.transformer.parameters():
            parameter.add_(0.04 * torch.randn_like(parameter))
        model.transforms.log_gain.add_(1.5)
    return model.eval()


def test_losses_are_those_of_the_codec(model: ResiCompModel, photos: Images, tmp_path: Path) -> None:
    """Rate against real packets whose tokens all miss their contexts (ISC), images against decoded ones."""
    image = np.ascontiguousarray(photos[0][100:228, 100:228])
    path = tmp_path / "resicomp.safetensors"
    save_weights(path, loud(model))
    codec = create_codec("resicomp", {"mode": "ISC", "slices": 4, "weights": path})
    assert isinstance(codec, ResiComp)
    stream = codec.encode(image, OperatingPoint("quality", 2.5))
    layout = layout_of(read_header(stream.packets[0].payload, len(stream)))
    mask = np.array([True, True, False, True, False])
    shown = codec.decode(stream, np.array([np.ones(5, bool), mask]))

    stored, lam = load_weights(path), torch.tensor([lambda_of(2.5)])
    given = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        nothing = masked_losses(stored, given, torch.zeros(1, 8, 8, dtype=torch.bool), lam)
        some = masked_losses(stored, given, torch.from_numpy(layout.known(mask[1:]))[None], lam)
    payload_bits = 8 * sum(len(packet.payload) - 4 for packet in stream.packets[1:])
    assert float(nothing.bpp) * image.shape[0] * image.shape[1] == pytest.approx(payload_bits, rel=0.01, abs=16)
    for mse, decoded in ((some.mse, shown[0]), (some.concealed_mse, shown[1])):
        assert -10 * np.log10(float(mse)) == pytest.approx(psnr_db(image, decoded[None])[0], abs=0.01)
    assert float(some.concealed_mse) != float(some.mse)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_tokens_is_masked(share: float) -> None:
    known = known_tokens(np.array([share, 0.26]), 4, 8, np.random.default_rng(0))
    assert (~known).sum((1, 2)).tolist() == [round(32 * share), 9]


def test_stratified_numbers_take_every_interval_once() -> None:
    drawn = stratified(10, np.random.default_rng(0))
    assert sorted((drawn * 10).astype(int)) == list(range(10))


def test_a_balance_weighs_losses_by_their_rates(model: ResiCompModel, photos: Images, crops: RandomCrops) -> None:
    """At one λ the whole loss is multiplied by (.0067 / λ) to the power of it."""
    model.eval()
    losses = []
    for balance in (0.0, 0.25):
        objective = ResiCompObjective(
            model, crops, photos, batch=2, balance=balance, lambdas=(0.0018, 0.0018), transforms_rate=0
        )
        with torch.no_grad():
            losses.append(float(objective.loss(np.random.default_rng(5), 0.0)[0]))
    assert losses[1] / losses[0] == pytest.approx((0.0067 / 0.0018) ** 0.25, rel=1e-5)


def steps(objective: ResiCompObjective, count: int) -> list[float]:
    """Losses of some steps, all on the same batch."""
    optimisers = Optimisers(objective.network, objective.grouping, 2e-3)
    losses = []
    objective.network.train()
    for _ in range(count):
        for parameter in optimisers.parameters:
            parameter.grad = None
        torch.manual_seed(0)
        loss = objective.loss(np.random.default_rng(0), 0.5)[0]
        loss.backward()
        optimisers.step(1.0)
        losses.append(float(loss.detach()))
    return losses


def changed(before: dict[str, torch.Tensor], network: nn.Module) -> set[str]:
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_everything_learns_together(model: ResiCompModel, crops: RandomCrops) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    losses = steps(ResiCompObjective(model, crops, [], batch=2), 6)
    assert losses[-1] < losses[0]
    still = set(before) - changed(before, model)
    trained = {name for name in still if not name.endswith(".position_bias") and not name.startswith("context.")}
    assert trained == {"spread"}


def test_transforms_stay_at_a_rate_of_zero(model: ResiCompModel, crops: RandomCrops) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    losses = steps(ResiCompObjective(model, crops, [], batch=2, transforms_rate=0.0), 6)
    assert losses[-1] < losses[0]
    assert all(name.startswith("transformer.") for name in changed(before, model))


def test_validation_is_repeatable_and_ordered(model: ResiCompModel, crops: RandomCrops, photos: Images) -> None:
    objective = ResiCompObjective(loud(model), crops, photos[:1], batch=2)
    with torch.no_grad():
        first, again = (objective.validate(model) for _ in range(2))
    assert first == again
    assert [row["lambda"] for row in first] == [0.0018, 0.0067]
    for row in first:
        assert min(row["bpp_0"], row["bpp_90"]) <= row["lc_bpp"] <= max(row["bpp_0"], row["bpp_50"], row["bpp_90"])

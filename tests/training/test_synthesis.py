"""New blocks for the g_s of all methods: nothing but the images changes, and these change for the better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import load_weights, save_weights
from netcodecs.training.core.crops import RandomCrops
from netcodecs.training.core.run import CHECKPOINT, TrainingConfig, TrainingRun
from netcodecs.training.export import export
from netcodecs.training.synthesis.export import write_all
from netcodecs.training.synthesis.objective import DeeperSynthesis, MoreBlocks
from netcodecs.training.synthesis.session import Session, averaged_blocks, save_blocks
from netcodecs.transforms.gains import LAMBDAS
from netcodecs.transforms.residual import ResidualSize
from netcodecs.weight_files import read_weights, restored
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from netsim.errors import InputError

LAM = torch.tensor([0.0067])


def _more(network: Backbone, *, changed: bool) -> MoreBlocks:
    torch.manual_seed(3)
    more = MoreBlocks(replace(ResidualSize(*network.kind.widths), more_8=1, more_16=2))
    if changed:
        for block in (*more.at_16, *more.at_8):
            nn.init.normal_(block.project.weight, std=0.02)  # type: ignore[union-attr, arg-type]
    return more


@pytest.fixture(scope="module")
def with_modules(started: Backbone) -> Backbone:
    """scr-mca-u before its first step."""
    network = Backbone(started.kind, scr=True, mca=True)
    network.load_state_dict(network.state_dict() | started.state_dict())
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("changed", [False, True], ids=["identity", "trained"])
def test_all_methods_get_the_blocks_once_and_keep_their_streams(
    started: Backbone, with_modules: Backbone, crops: Tensor, tmp_path: Path, changed: bool
) -> None:
    base, other = tmp_path / "mbt-mean.safetensors", tmp_path / "scr-mca-u.safetensors"
    save_weights(base, started, "mbt-mean")
    save_weights(other, with_modules, "scr-mca-u", base=base)
    before = {path: load_weights(path)[0] for path in (base, other)}
    other.with_suffix(".md").write_text("# scr-mca-u\n\n**Known limits.** None.\n")
    more = _more(started, changed=changed)
    assert write_all(more, tmp_path, {"mbt-mean": "", "scr-mca-u": "More."}) == [base, other]
    assert other.with_suffix(".md").read_text() == "# scr-mca-u\n\nMore.\n\n**Known limits.** None.\n"
    for path, former in before.items():
        network = load_weights(path)[0]
        assert network.kind.widths == (192, 1, 192, 1, 1, 2)
        for name, tensor in former.state_dict().items():
            assert name.startswith("g_s.") or torch.equal(network.state_dict()[name], tensor), name
        latents: list[Tensor] = []
        hook = former.g_s.register_forward_pre_hook(lambda layer, given, kept=latents: kept.append(given[0]))
        coded = former(crops[:1], LAM)
        hook.remove()
        now = network(crops[:1], LAM)
        assert torch.equal(now.bits, coded.bits)
        first, block, up, block_8, last = former.g_s.children()
        layers = nn.Sequential(first, block, *more.at_16, up, block_8, *more.at_8, last)
        wanted = former.g_s.pixels(layers(latents[0]))  # type: ignore[operator]
        torch.testing.assert_close(now.image, wanted, rtol=0, atol=5e-3)  # stored as int8
        assert (float((now.image - coded.image).abs().max()) > 0.02) == changed
    stored = read_weights(other)[0]
    assert not restored(stored)["g_s.2.expand.weight"].any()  # no difference from the baseline's


def test_a_step_lowers_the_error_of_every_method(
    started: Backbone, with_modules: Backbone, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    """A synthesis without its trained last layer's gain has much to learn."""
    networks = {"mbt-mean": started, "scr-mca-u": with_modules}
    damaged = {}
    for name, network in networks.items():
        copy = Backbone(network.kind, scr=network.scr, mca=network.aggregation is not None)
        copy.load_state_dict(network.state_dict())
        with torch.no_grad():
            copy.g_s[-1].weight.mul_(0.8)  # type: ignore[index, union-attr, operator]
        damaged[name] = copy
    objective = DeeperSynthesis(
        damaged,
        replace(ResidualSize(*started.kind.widths), more_8=1, more_16=1),
        RandomCrops(images[1:], 64),
        [images[0][:128, :128]],
        batch=2,
    )
    assert all(abs(row["gain_db"]) < 1e-5 for row in objective.validate(objective.network))
    run = TrainingRun(objective, TrainingConfig(steps=40, rate=2e-3, batch=2, crop=64, decay=0.9), tmp_path / "run")
    assert run.fit() == 0
    rows = objective.validate(run.network)
    assert [(row["method"], row["lambda"]) for row in rows] == [*((0.0, lam) for lam in LAMBDAS), (1.0, LAMBDAS[2])]
    assert min(row["gain_db"] for row in rows if row["lambda"] > 0.003) > 0.1
    assert torch.equal(started.g_s[-1].weight * 0.8, damaged["mbt-mean"].g_s[-1].weight)  # type: ignore[index, union-attr, operator]


def test_a_run_goes_on_from_its_blocks_and_is_exported_to_all_methods(
    started: Backbone,
    with_modules: Backbone,
    images: list[NDArray[np.uint8]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights, photos, held_out = (tmp_path / name for name in ("weights", "photos", "held-out"))
    for folder in (weights, photos, held_out):
        folder.mkdir()
    Image.fromarray(images[1][:192, :192]).save(photos / "a.png")
    Image.fromarray(images[0][:64, :64]).save(held_out / "b.png")
    base, running, run = weights / "mbt-mean.safetensors", tmp_path / "running.safetensors", tmp_path / "run"
    save_weights(base, started, "mbt-mean")
    save_weights(weights / "scr-mca-u.safetensors", with_modules, "scr-mca-u", base=base)
    base.with_suffix(".md").write_text("# mbt-mean\n\n**Known limits.** None.\n")

    def session(start: Path, more_16: int = 1) -> Session:
        return Session(start, [photos], held_out, batch=1, crop=64, more_8=0, more_16=more_16)

    assert session(base).train(run, steps=3, rate=1e-2) == 0
    made = averaged_blocks(run / CHECKPOINT)
    save_blocks(running, made, {"steps": 3})
    monkeypatch.setattr("netcodecs.training.synthesis.session.shipped_weights", lambda name: base)
    further = session(running).objective.network.state_dict()
    for name, tensor in made.state_dict().items():
        torch.testing.assert_close(further[name], tensor, rtol=1e-3, atol=1e-6)
    with pytest.raises(InputError, match=r"does not hold this network's weights: at_16\.1"):
        session(running, more_16=2)

    assert export(run, weights / "mbt-mean.safetensors", test_images=held_out)[0].images == 1
    for path in weights.glob("*.safetensors"):
        assert load_weights(path)[0].kind.widths == (192, 1, 192, 1, 0, 1)
    card = base.with_suffix(".md").read_text()
    assert "g_s got 1 more residual blocks at stride 16, 0 at stride 8" in card
    assert card.count(" dB at λ = ") == len(LAMBDAS)

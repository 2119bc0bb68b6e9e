"""``netsim train resicomp``: a run writes what its export and a resumed run need; bad input is one clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import save_weights as save_baseline
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.weights import load_transforms, load_weights, save_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import RandomCrops
from netcodecs.training.core.run import CHECKPOINT
from netcodecs.training.export import export
from netcodecs.training.resicomp.cli import main
from netcodecs.training.resicomp.session import Session, averaged_model, initial_model, measure_spread
from numpy.typing import NDArray
from PIL import Image

from netsim.codec import OperatingPoint, create_codec
from netsim.errors import InputError


@pytest.fixture
def folders(photos: list[NDArray[np.uint8]], model: ResiCompModel, tmp_path: Path) -> Path:
    for name, photo in zip(("photos", "held_out"), photos, strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(photo[:96, :96]).save(tmp_path / name / "a.png")
    save_weights(tmp_path / "start.safetensors", model, exactly=True)
    return tmp_path


@pytest.fixture
def transforms_file(model: ResiCompModel, tmp_path: Path) -> Path:
    """Weights of a baseline with narrow transforms."""
    torch.manual_seed(1)
    save_baseline(tmp_path / "mbt-mean.safetensors", Backbone(model.transforms.kind), "mbt-mean", exactly=True)
    return tmp_path / "mbt-mean.safetensors"


def train(folders: Path, **options: object) -> int:
    given = {"images": "photos", "validation": "held_out", "start": "start.safetensors", "out": "run"}
    line = [f"--{name}={folders / path}" for name, path in given.items()]
    settings = {"steps": 2, "batch": 2, "crop": 64} | options
    return main([*line, *(f"--{name.replace('_', '-')}={value}" for name, value in settings.items())])


def test_a_run_is_exported_and_codes(folders: Path, photos: list[NDArray[np.uint8]]) -> None:
    assert train(folders) == 0
    facts = load_tensors(folders / "run" / CHECKPOINT)[1]
    assert (facts["trains"], facts["steps"], facts["alpha"]) == ("resicomp", 2, 0.1)
    made = folders / "made.safetensors"
    export(folders / "run", made, notes="A trial.")
    average, stored = averaged_model(folders / "run" / CHECKPOINT), load_weights(made)
    assert torch.equal(average.transforms.log_gain, stored.transforms.log_gain)
    card = made.with_suffix(".md").read_text()
    assert "2 steps of\n2 crops of 64²" in card
    assert "α = 0.1; losses weighted by (.0067/λ)^0.4. A trial." in card
    codec = create_codec("resicomp", {"weights": made, "slices": 3})
    image = np.ascontiguousarray(photos[0][:64, :64])
    stream = codec.encode(image, OperatingPoint("quality", 4))
    assert codec.decode(stream, np.ones((1, 4), bool)).shape == (1, 64, 64, 3)


def test_a_stopped_run_goes_on_exactly(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of four steps, one of them killed after two: the same weights bit for bit."""
    assert train(folders, steps=4) == 0
    whole = load_tensors(folders / "run" / CHECKPOINT)[0]
    (folders / "run").rename(folders / "whole")

    from netcodecs.training.core.run import TrainingRun

    plain, stop_at = TrainingRun._step, 2

    def stopped(run: TrainingRun) -> torch.Tensor:
        if run.steps == stop_at:
            run.save()
            raise RuntimeError("killed")
        return plain(run)

    monkeypatch.setattr(TrainingRun, "_step", stopped)
    with pytest.raises(RuntimeError, match="killed"):
        train(folders, steps=4)
    monkeypatch.setattr(TrainingRun, "_step", plain)
    assert train(folders, steps=4) == 0
    parts = load_tensors(folders / "run" / CHECKPOINT)[0]
    assert sorted(parts) == sorted(whole)
    assert [name for name in whole if not torch.equal(parts[name], whole[name])] == []


def test_the_balance_of_rates_is_recorded_and_stays(folders: Path) -> None:
    def session(**settings: float) -> Session:
        where = folders / "start.safetensors", [folders / "photos"], folders / "held_out"
        return Session(*where, batch=2, crop=64, **settings)  # type: ignore[arg-type]

    assert session(balance=0.25).train(folders / "run", steps=1, rate=1e-3) == 0
    assert load_tensors(folders / "run" / CHECKPOINT)[1]["balance"] == 0.25
    with pytest.raises(InputError, match=r"balance 0.25, not 0.4"):
        session().train(folders / "run", steps=1, rate=1e-3)
    with pytest.raises(InputError, match="balance is inf"):
        session(balance=np.inf)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 72}, "crop 72"),
        ({"size": "huge", "crop": 64}, "size is 'huge'"),
        ({"device": "cuda:9"}, "cuda:9"),
        ({"alpha": "inf"}, "--alpha is inf"),
        ({"transforms_rate": "inf"}, "--transforms-rate is inf"),
        ({"start": "none.safetensors"}, r"no weights at none\.safetensors"),
    ],
)
def test_bad_input_is_refused(folders: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(folders, **options)


def test_a_start_keeps_its_own_window(folders: Path, model: ResiCompModel) -> None:
    wide = ResiCompModel(model.transforms.kind, replace(model.transformer.size, window=8))
    save_weights(folders / "start.safetensors", wide)
    with pytest.raises(InputError, match="crop 64") as caught:
        train(folders)
    assert "128" in str(caught.value.hint)


def test_a_new_transformer_takes_the_transforms_and_measures_them(
    transforms_file: Path, model: ResiCompModel, crops: RandomCrops
) -> None:
    size = model.transformer.size
    made = initial_model(transforms_file, size)
    given = load_transforms(transforms_file)
    assert made.transformer.size == size
    assert all(torch.equal(t, given.state_dict()[n]) for n, t in made.transforms.state_dict().items())
    some = crops.draw(4, np.random.default_rng(0))
    measure_spread(made, some)
    with torch.no_grad():
        latent = given.g_a(some).numpy()
    rms = np.sqrt((latent.astype(float) ** 2).mean((0, 2, 3)))
    np.testing.assert_allclose(made.spread.numpy(), np.maximum(rms, 1e-3), rtol=1e-4)

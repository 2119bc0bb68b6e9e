"""Runs that are stopped or lost and go on: the same weights to the last bit, alone and in two processes."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.training.core import run as run_module
from netcodecs.training.core.checkpoint import load_tensors, save_tensors
from netcodecs.training.core.run import CHECKPOINT, VALIDATION, TrainingRun
from torch import Tensor, nn
from toy import CONFIG, Toy

from netsim.errors import InputError


def _state(folder: Path) -> dict[str, Tensor]:
    return load_tensors(folder / CHECKPOINT)[0]


def _equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def _part(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in _state(folder).items() if name.startswith("model/")}


def _validated(folder: Path) -> list[tuple[int, float]]:
    with (folder / VALIDATION).open(newline="") as file:
        return [(int(row["steps"]), float(row["error"])) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert TrainingRun(Toy(), CONFIG, folder).fit() == 0
    return folder


def test_a_run_learns_and_leaves_weights_average_and_optimisers(undisturbed: Path) -> None:
    names = {name.split("/")[0] for name in _state(undisturbed)}
    assert names == {"model", "average", "optimiser"}
    curve = _validated(undisturbed)
    assert [step for step, _ in curve] == [0, 4, 8]
    assert curve[-1][1] < curve[0][1]
    facts = load_tensors(undisturbed / CHECKPOINT)[1]
    assert facts["steps"] == 8
    assert facts["config"]["rate"] == 0.01


@pytest.mark.parametrize("step", [0, 3, 7])
def test_a_run_that_is_stopped_goes_on_to_the_same_weights(step: int, undisturbed: Path, tmp_path: Path) -> None:
    """The signal comes in the middle of a step, which is done all the same."""
    handler = signal.getsignal(signal.SIGTERM)
    assert TrainingRun(Toy(stop_at=step), CONFIG, tmp_path).fit() == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is handler
    assert load_tensors(tmp_path / CHECKPOINT)[1]["steps"] == step + 1
    assert TrainingRun(Toy(), CONFIG, tmp_path).fit() == 0
    assert _equal(_state(tmp_path), _state(undisturbed))
    assert _validated(tmp_path) == _validated(undisturbed)


def test_a_run_that_is_lost_goes_on_from_its_last_checkpoint(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had validated a later step than the checkpoint's: each step stands in the table once."""
    monkeypatch.setattr(run_module, "_CHECKPOINT_S", -1.0)
    with pytest.raises(MemoryError):
        TrainingRun(Toy(die_at=3), CONFIG, tmp_path).fit()
    early = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(MemoryError):
        TrainingRun(Toy(die_at=6), CONFIG, tmp_path).fit()
    (tmp_path / CHECKPOINT).write_bytes(early)
    assert load_tensors(tmp_path / CHECKPOINT)[1]["steps"] == 3
    assert _validated(tmp_path)[-1][0] == 4
    assert TrainingRun(Toy(), CONFIG, tmp_path).fit() == 0
    assert _equal(_state(tmp_path), _state(undisturbed))
    assert _validated(tmp_path) == _validated(undisturbed)


def test_a_finished_run_stays_as_it_is(undisturbed: Path) -> None:
    before, curve = _state(undisturbed), _validated(undisturbed)
    assert TrainingRun(Toy(), CONFIG, undisturbed).fit() == 0
    assert _equal(_state(undisturbed), before)
    assert _validated(undisturbed) == curve


@pytest.mark.slow
def test_two_processes_average_gradients_and_resume_exactly(tmp_path: Path) -> None:
    """Gradients are those of one process with the crops of both; a stopped run is the undisturbed one."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    toy = Path(__file__).with_name("toy.py")
    children = [
        subprocess.Popen([sys.executable, str(toy), str(rank), str(tmp_path)], env=environment) for rank in (0, 1)
    ]
    assert [child.wait(timeout=180) for child in children] == [0, 0]
    norm, *gradients = torch.load(tmp_path / "gradients.pt", weights_only=True)
    alone = Toy()
    alone.error(torch.cat([alone.batch(np.random.default_rng(rank)) for rank in (0, 1)])).backward()
    expected = [p.grad for p in alone.network.parameters() if p.grad is not None]
    for gradient, grad in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, grad)
    assert float(norm) == pytest.approx(float(torch.nn.utils.get_total_norm(expected)))
    assert _equal(_state(tmp_path / "undisturbed"), _state(tmp_path / "stopped"))
    assert _validated(tmp_path / "undisturbed") == _validated(tmp_path / "stopped")


def test_a_second_process_adds_crops_of_its_own(undisturbed: Path, tmp_path: Path) -> None:
    """Another seed, or another rank, is another run."""
    TrainingRun(Toy(), replace(CONFIG, seed=1), tmp_path).fit()
    assert not _equal(_state(tmp_path), _state(undisturbed))


def test_a_folder_with_another_run_is_refused_and_left_alone(undisturbed: Path) -> None:
    before = (undisturbed / CHECKPOINT).read_bytes()
    for config, words in ((replace(CONFIG, rate=0.02), "rate 0.01, not 0.02"), (replace(CONFIG, batch=4), "batch 3")):
        with pytest.raises(InputError, match=words):
            TrainingRun(Toy(), config, undisturbed)
    wider = Toy()
    wider.network[2] = nn.Conv2d(6, 4, 1)
    with pytest.raises(InputError, match="of another network"):
        TrainingRun(wider, CONFIG, undisturbed)
    assert (undisturbed / CHECKPOINT).read_bytes() == before


def test_another_method_of_the_same_network_is_another_run(tmp_path: Path) -> None:
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "lambdas": (0.1, 0.2)}).save()
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "lambdas": (0.1, 0.2)})
    with pytest.raises(InputError, match="trains random, not progdtd"):
        TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "progdtd"})


def test_a_run_that_was_begun_before_emphasis_was_a_setting_had_todays_usual_one(tmp_path: Path) -> None:
    usual = {"balance": 0.4, "whole_share": 0.5, "lossless_share": 0.5}
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random"}).save()
    with pytest.raises(InputError, match="emphasis"):
        TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "emphasis": usual | {"balance": 0.15}})
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "emphasis": usual})


def test_a_run_of_resicomp_goes_on_with_its_own_balance_of_rates(tmp_path: Path) -> None:
    """Runs from before the setting had .4."""
    for before, other in (({}, 0.25), ({"balance": 0.25}, 0.4)):
        out, same = tmp_path / str(other), before.get("balance", 0.4)
        TrainingRun(Toy(), CONFIG, out, facts={"trains": "resicomp"} | before).save()
        with pytest.raises(InputError, match=f"balance {same}, not {other}"):
            TrainingRun(Toy(), CONFIG, out, facts={"trains": "resicomp", "balance": other})
        TrainingRun(Toy(), CONFIG, out, facts={"trains": "resicomp", "balance": same})


def test_a_run_goes_on_with_its_own_share_of_smaller_images(tmp_path: Path) -> None:
    """Runs from before the setting had none."""
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random"}).save()
    with pytest.raises(InputError, match=r"smaller_share 0\.0, not 0\.5"):
        TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "smaller_share": 0.5})
    TrainingRun(Toy(), CONFIG, tmp_path, facts={"trains": "random", "smaller_share": 0.0})


@pytest.mark.parametrize("name", ["alpha", "transforms_rate"])
def test_a_run_of_resicomp_goes_on_with_its_own_settings_as_far_as_they_are_recorded(name: str, tmp_path: Path) -> None:
    TrainingRun(Toy(), CONFIG, tmp_path / "new", facts={"trains": "resicomp", name: 0.5}).save()
    with pytest.raises(InputError, match=f"{name} 0.5, not 0.25"):
        TrainingRun(Toy(), CONFIG, tmp_path / "new", facts={"trains": "resicomp", name: 0.25})
    TrainingRun(Toy(), CONFIG, tmp_path / "new", facts={"trains": "resicomp", name: 0.5})
    TrainingRun(Toy(), CONFIG, tmp_path / "old", facts={"trains": "resicomp"}).save()
    TrainingRun(Toy(), CONFIG, tmp_path / "old", facts={"trains": "resicomp", name: 0.25})


def test_a_run_that_was_begun_without_a_fitted_tensor_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    """Buffers are not trained, but fitted at export; their number grows from one version to the next."""
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    toy = Toy()
    toy.network.register_buffer("fitted", torch.full((2,), 3.0))
    run = TrainingRun(toy, CONFIG, tmp_path)
    assert run.steps == 8
    assert run.average["fitted"].tolist() == [3, 3]
    assert _equal({f"model/{n}": t for n, t in run.network.state_dict().items() if n != "fitted"}, _part(undisturbed))
    run.save()
    with pytest.raises(InputError, match="of another network"):
        TrainingRun(Toy(), CONFIG, tmp_path)


def test_a_run_without_optimisers_state_rises_again(tmp_path: Path) -> None:
    """From weights that have steps behind them: the same share of the cosine, from a two-hundredth of its rate."""
    first = TrainingRun(Toy(), CONFIG, tmp_path, resume_at=4)
    before = first.network[2].bias.detach().clone()  # type: ignore[index,union-attr]
    first._step()
    after = first.network[2].bias.detach()  # type: ignore[index,union-attr,operator]
    moved = float((after - before).abs().max())
    assert moved == pytest.approx(0.5 * 0.01 * 0.5 / 200, rel=0.01)  # Adam's first step is its rate
    assert first.steps == 5
    first.save()
    assert TrainingRun(Toy(), CONFIG, tmp_path)._restarted_at == 4


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "good", {"a": torch.ones(3, 2).T}, {"steps": 1})
    assert load_tensors(tmp_path / "good")[1] == {"steps": 1}
    assert not (tmp_path / "good.partial").exists()
    (tmp_path / "cut").write_bytes((tmp_path / "good").read_bytes()[:50])
    with pytest.raises(InputError, match="can't be read as a checkpoint"):
        load_tensors(tmp_path / "cut")
    with pytest.raises(InputError, match="no checkpoint at"):
        load_tensors(tmp_path / "none")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be a folder"):
        TrainingRun(Toy(), CONFIG, tmp_path / "file")

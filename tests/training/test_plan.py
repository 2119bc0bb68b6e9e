"""The plan: what it may say, which piece comes next, how a piece starts, goes on and is finished."""

from __future__ import annotations

import csv
import fcntl
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.concealment import ResidualConcealment, save_concealment
from netcodecs.progressive.weights import load_weights, save_weights
from netcodecs.training import export as export_module
from netcodecs.training import measure, plan
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.pieces import Piece, pieces_in
from netcodecs.training.progressive.session import averaged_network
from netcodecs.weight_files import read_weights, write_weights
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from netsim.errors import InputError

PLAN = """
pieces:
  - {name: first, trains: mbt-mean, start: base, steps: 2, settings: {batch: 1, crop: 64, rate: 0.001}}
  - {name: second, trains: mca-ge, start: mbt-mean, steps: 1, settings: {batch: 1, crop: 64, whole_share: 0.75}}
"""


def _entry(text: str) -> str:
    return f"pieces:\n  - {{name: a, trains: random, start: mbt-mean, steps: 5}}\n  - {text}\n"


def test_a_plan_is_its_pieces_in_order(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    first, second = pieces_in(path)
    assert first == Piece("first", "mbt-mean", "base", 2, {"batch": 1, "crop": 64, "rate": 0.001})
    assert (second.name, second.trains) == ("second", "mca-ge")


def test_the_plan_that_ships_can_be_read() -> None:
    assert len(pieces_in(plan.PLAN)) >= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pieces: [", "can't be read"),
        ("- a", "has no list `pieces`"),
        ("piece: []", "has no list `pieces`"),
        ("", "has no list `pieces`"),
        (_entry("b"), r"pieces\[1\] is 'b'"),
        (_entry("{name: b, trains: random, start: x, step: 5}"), r"pieces\[1\] has an unknown key `step`"),
        (_entry("{name: b, trains: random, steps: 5}"), r"pieces\[1\] needs `start`"),
        (_entry("{name: b, trains: random, start: x, steps: many}"), r"pieces\[1\].steps is 'many'"),
        (_entry("{name: b, trains: random, start: x, steps: true}"), r"pieces\[1\].steps is True"),
        (_entry("{name: b, trains: random, start: x, steps: 0}"), r"pieces\[1\].steps is 0"),
        (_entry("{name: ../b, trains: random, start: x, steps: 1}"), r"pieces\[1\].name is '../b'"),
        (_entry("{name: b, trains: randon, start: x, steps: 1}"), r"plan.yaml: piece `b`  no method `randon`"),
        (_entry("{name: a, trains: random, start: x, steps: 1}"), "two pieces have the name `a`"),
        (_entry("{name: b, trains: random, start: x, steps: 1, settings: 5}"), r"pieces\[1\].settings is 5"),
    ],
)
def test_a_plan_that_cannot_be_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        pieces_in(path)


@pytest.mark.parametrize(
    ("trains", "settings", "words", "right"),
    [
        ("random", "crops: 1", "random has no setting `crops`", "did you mean `crop`"),
        ("random", "rate: fast", "settings.rate is 'fast'", "a finite number above 0"),
        ("random", "rate: 0", "settings.rate is 0", "a finite number above 0"),
        ("random", "rate: .nan", "settings.rate is nan", "a finite number above 0"),
        ("random", "batch: 0", "settings.batch is 0", "at least 1"),
        ("random", "batch: 1.5", "settings.batch is 1.5", "a whole number"),
        ("random", "batch: true", "settings.batch is True", "a whole number"),
        ("random", "crop: 100", "settings.crop is 100", "a multiple of 64 pixels"),
        ("random", "crop: 0", "settings.crop is 0", "a multiple of 64 pixels"),
        ("random", "seed: -1", "settings.seed is -1", "at least 0"),
        ("random", "device: gpu", "settings.device is 'gpu'", "`cuda:N`"),
        ("random", "balance: .inf", "settings.balance is inf", "a finite exponent"),
        ("random", "lossless_share: 1.5", "settings.lossless_share is 1.5", "0 to 1"),
        ("mca-ge", "whole_share: -0.1", "settings.whole_share is -0.1", "0 to 1"),
        ("random", "whole_share: 0.5", "random has no setting `whole_share`", "settings of random: rate, batch"),
        ("mca-ge", "lossless_share: 0.5", "mca-ge has no setting `lossless_share`", "settings of mca-ge: rate, batch"),
        ("mbt-mean", "whole_share: 0.5", "mbt-mean has no setting `whole_share`", "settings of mbt-mean: rate, batch"),
        ("mbt-mean", "alpha: 0.1", "mbt-mean has no setting `alpha`", "settings of mbt-mean: rate, batch"),
        ("mbt-mean", "transforms: big", "settings.transforms is 'big'", "compact, large, mbt, elic"),
        (
            "mbt-mean",
            "transforms: elic",
            "settings.transforms is 'elic', but the weights of start `x`",
            "start from new",
        ),
        ("mbt-mean", "smaller_share: 2", "settings.smaller_share is 2", "0 to 1"),
    ],
)
def test_a_wrong_setting_is_refused_when_the_plan_is_read(
    tmp_path: Path, trains: str, settings: str, words: str, right: str
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(_entry(f"{{name: b, trains: {trains}, start: x, steps: 1, settings: {{{settings}}}}}"))
    with pytest.raises(InputError, match=re.escape(f"plan.yaml: piece `b`  {words}")) as caught:
        pieces_in(path)
    assert right in caught.value.hint


def test_settings_at_the_ends_of_their_ranges_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    given = "batch: 1, crop: 64, seed: 0, device: 'cuda:1', balance: -1, whole_share: 0, lossless_share: 1"
    path.write_text(
        _entry(f"{{name: b, trains: scr-mca-u, start: x, steps: 1, settings: {{{given}, smaller_share: 1}}}}")
    )
    assert len(pieces_in(path)[1].settings) == 8
    path.write_text(_entry("{name: b, trains: mbt-mean, start: new, steps: 1, settings: {transforms: large}}"))
    assert pieces_in(path)[1].settings["transforms"] == "large"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Backbone, images: list[NDArray[np.uint8]]) -> Path:
    """A plan, its data and its folders, in place of the package's own; pieces run in this process."""
    for name, image in zip(("photos", "more", "kept_validation"), images, strict=True):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(image[100:164, 100:164]).save(tmp_path / "data" / name / "a.png")
    (tmp_path / "weights").mkdir()
    save_weights(tmp_path / "weights" / "base.safetensors", started, "mbt-mean")
    (tmp_path / "plan.yaml").write_text(PLAN)
    for name, value in (
        ("PLAN", tmp_path / "plan.yaml"),
        ("LEDGER", tmp_path / "ledger.csv"),
        ("RUNNING", tmp_path / "running.safetensors"),
        ("RUNS", tmp_path / "runs"),
        ("shipped_weights", lambda name: tmp_path / "weights" / f"{name}.safetensors"),
        ("_spawn", lambda piece, processes: plan._train(piece, 0, 1, tmp_path / "meeting")),
    ):
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setenv(plan.DATA, str(tmp_path / "data"))
    for name in (plan.TEST, plan.PUBLISHED):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(plan.app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.output


def test_pieces_are_trained_exported_and_written_down_one_after_the_other(here: Path) -> None:
    assert plan._next() == pieces_in(here / "plan.yaml")[0]
    _run("--once")
    assert load_weights(here / "weights" / "mbt-mean.safetensors")[1].name == "mbt-mean"
    card = (here / "weights" / "mbt-mean.md").read_text()
    assert "2 photos" in card
    assert "2 steps of" in card
    current = plan._next()
    assert current is not None
    assert current.name == "second"
    assert "the plan is done" in _run()
    assert load_weights(here / "weights" / "mca-ge.safetensors")[0].aggregation is not None
    shares = load_tensors(here / "runs" / "second" / "checkpoint.safetensors")[1]["emphasis"]
    assert shares == {"balance": 0.4, "whole_share": 0.75, "lossless_share": 0.5}
    with (here / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["piece"], row["trains"], row["start"], row["steps"]) for row in rows] == [
        ("first", "mbt-mean", "base", "2"),
        ("second", "mca-ge", "mbt-mean", "1"),
    ]
    assert plan._next() is None
    assert "the plan is done" in _run("--snapshot")


@pytest.mark.parametrize("better", [True, False])
def test_the_weights_that_do_better_on_test_images_are_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    former = (here / "weights" / "base.safetensors").read_bytes()
    (here / "weights" / "mbt-mean.safetensors").write_bytes(former)
    monkeypatch.setenv(plan.TEST, str(here / "data" / "kept_validation"))
    losses = iter([1.0, 2.0] if better else [2.0, 1.0])  # of the new weights, of the former ones
    monkeypatch.setattr(measure, "mean_loss", lambda rows, under_loss: next(losses))
    _run("--once")
    with (here / "ledger.csv").open(newline="") as file:
        assert [row["kept"] for row in csv.DictReader(file)] == ["yes" if better else "no"]
    assert ((here / "weights" / "mbt-mean.safetensors").read_bytes() == former) is not better
    assert (here / "weights" / "mbt-mean.md").exists() is better


@pytest.mark.parametrize("better", [True, False])
def test_without_test_images_weights_are_measured_on_the_images_held_out(
    here: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    """Really measured: one of the two is a network whose synthesis gives black images."""
    good = here / "weights" / "base.safetensors"
    tensors, facts = read_weights(good)
    former = here / "weights" / "mbt-mean.safetensors"
    write_weights(former, {**tensors, "g_s.0.bias": tensors["g_s.0.bias"] - (1e3 if better else 0)}, facts)
    stored = former.read_bytes()
    if not better:
        monkeypatch.setattr(export_module, "averaged_network", _black)
    assert plan._exported(_trained(here)) is better
    assert (former.read_bytes() != stored) is better


def _black(checkpoint: Path) -> Backbone:
    network = averaged_network(checkpoint)
    with torch.no_grad():
        network.get_parameter("g_s.0.bias").sub_(1e3)
    return network


def test_a_line_says_on_what_weights_were_measured(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piece, held_out = _trained(here), here / "data" / "kept_validation"
    capsys.readouterr()
    assert plan._exported(piece)
    expected = f"measured  1 images held out (NETSIM_KODAK is not set) in {held_out}: no former weights; replaced"
    assert expected in capsys.readouterr().out
    monkeypatch.setenv(plan.TEST, str(here / "data" / "more"))
    losses = iter([0.5 + math.log(1.1), 0.5])
    monkeypatch.setattr(measure, "mean_loss", lambda rows, under_loss: next(losses))
    assert not plan._exported(piece)
    found = capsys.readouterr().out
    assert f"1 test images in {here / 'data' / 'more'}: loss +10.00 % against the former weights; not kept" in found
    card = (here / "weights" / "mbt-mean.md").read_text()
    assert f"--start {here / 'weights' / 'mbt-mean.safetensors'} " in card  # not where it was made


def test_a_new_baseline_says_that_the_concealment_does_not_fit_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, plus = here / "weights" / "base.safetensors", here / "weights" / "scr-mca-plus.safetensors"
    save_concealment(plus, ResidualConcealment(192), load_weights(base)[0])
    assert plan._exported(_trained(here))
    assert (
        "scr-mca-plus.safetensors was fitted to an analysis or a hyperprior of other weights" in capsys.readouterr().out
    )
    save_concealment(plus, ResidualConcealment(192), load_weights(here / "weights" / "mbt-mean.safetensors")[0])
    plan._check_concealment(here / "weights" / "mbt-mean.safetensors")
    assert capsys.readouterr().out == ""


def test_weights_that_give_no_numbers_replace_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "weights" / "mbt-mean.safetensors").write_bytes((here / "weights" / "base.safetensors").read_bytes())
    losses = iter([math.nan, 1.0])
    monkeypatch.setattr(measure, "mean_loss", lambda rows, under_loss: next(losses))
    assert not plan._exported(_trained(here))


@pytest.mark.parametrize("better", [True, False])
def test_what_interrupts_the_measurement_replaces_no_weights(
    here: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    """The next run decides between the former weights and the piece's."""
    (here / "weights" / "mbt-mean.safetensors").write_bytes((here / "weights" / "base.safetensors").read_bytes())
    monkeypatch.setenv(plan.TEST, str(here / "data" / "kept_validation"))
    former = {path.name: path.read_bytes() for path in (here / "weights").iterdir()}

    def interrupted(rows: object, under_loss: bool) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(measure, "mean_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            plan._exported(_trained(here))
    assert {path.name: path.read_bytes() for path in (here / "weights").iterdir()} == former
    assert not (here / "ledger.csv").exists()
    losses = iter([1.0, 2.0] if better else [2.0, 1.0])
    monkeypatch.setattr(measure, "mean_loss", lambda rows, under_loss: next(losses))
    assert plan._exported(pieces_in(here / "plan.yaml")[0]) is better
    assert ({path.name: path.read_bytes() for path in (here / "weights").iterdir()} == former) is not better


def _trained(here: Path) -> Piece:
    """The first piece, its run finished."""
    piece = pieces_in(here / "plan.yaml")[0]
    assert plan._spawn(piece, 1) == 0
    return piece


def test_a_folder_without_the_published_curves_is_one_sentence_before_training(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(plan.PUBLISHED, str(here / "data"))
    with pytest.raises(InputError, match=r"no compressai-mbt2018-mean_mse_cuda\.json in .*data"):
        _run("--once")
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (plan.DATA, "", "NETSIM_TRAINING_DATA is not set"),
        (plan.TEST, "nowhere", "NETSIM_KODAK is nowhere, which is no folder"),
    ],
)
def test_folders_are_checked_before_processes_start(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(plan, "_spawn", lambda piece, processes: pytest.fail("trains"))
    with pytest.raises(InputError, match=words):
        _run("--once")


def test_make_says_that_there_are_no_images_before_it_makes_an_environment(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != plan.DATA}
    command = ["make", "-C", str(plan.ROOT.parent), "train-next", f"VENV={tmp_path / 'venv'}", "PYTHON=false"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("NETSIM_TRAINING_DATA is not set") == 1
    assert "Installing" not in done.stdout


def test_another_machine_goes_on_from_a_snapshot(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights and the steps behind them; what is finished takes the snapshot away."""
    from netcodecs.training.progressive.objective import ProgressiveObjective

    loss = ProgressiveObjective.loss

    def stopping(self: ProgressiveObjective, rng: np.random.Generator, share: float):  # type: ignore[no-untyped-def]
        os.kill(os.getpid(), 15)
        return loss(self, rng, share)

    piece = pieces_in(here / "plan.yaml")[0]
    monkeypatch.setattr(ProgressiveObjective, "loss", stopping)
    assert plan._spawn(piece, 1) == 128 + 15
    monkeypatch.setattr(ProgressiveObjective, "loss", loss)
    output = _run("--snapshot")
    assert "after 1 of 2 steps" in output
    facts = read_weights(here / "running.safetensors")[1]
    assert (facts["piece"], facts["steps"], facts["method"]) == ("first", 1, "mbt-mean")
    average = load_tensors(here / "runs" / "first" / "checkpoint.safetensors")[0]["average/log_gain"]
    assert torch.equal(load_weights(here / "running.safetensors")[0].log_gain, average)
    monkeypatch.setattr(plan, "RUNS", here / "elsewhere")
    assert plan._running_steps(piece) == 1
    assert plan._running_steps(pieces_in(here / "plan.yaml")[1]) == 0
    _run("--once")
    facts = load_tensors(here / "elsewhere" / "first" / "checkpoint.safetensors")[1]
    assert (facts["steps"], facts["restarted_at"], facts["start"]) == (2, 1, "running.safetensors")
    assert not (here / "running.safetensors").exists()


def test_a_snapshot_of_nothing_is_one_sentence(here: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint at"):
        _run("--snapshot")


def test_data_is_every_folder_but_the_held_out_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan._folders() == ([here / "data" / "more", here / "data" / "photos"], here / "data" / "kept_validation")
    monkeypatch.delenv(plan.DATA)
    with pytest.raises(InputError, match="NETSIM_TRAINING_DATA is not set"):
        plan._folders()
    for folder in ("none", "weights"):
        monkeypatch.setenv(plan.DATA, str(here / folder))
        with pytest.raises(InputError, match="which has no folders"):
            plan._folders()
    (here / "data" / "other_validation").mkdir()
    monkeypatch.setenv(plan.DATA, str(here / "data"))
    with pytest.raises(InputError, match="kept_validation, more, other_validation, photos"):
        plan._folders()


_WAIT = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print('.', flush=True); time.sleep(60)"


_LOAD = "import time; time.sleep(60)"


@pytest.mark.parametrize("other", [_WAIT, _LOAD])
def test_where_one_process_fails_the_others_are_stopped(here: Path, other: str) -> None:
    failing = "import time; time.sleep(1); raise SystemExit(2)"
    assert plan._together([[sys.executable, "-c", code] for code in (other, failing)]) == 2


_FAIL_WHEN_ASKED = _WAIT.replace("143", "1")  # as one does that has lost another in the middle of a step


@pytest.mark.parametrize("other", [_WAIT, _FAIL_WHEN_ASKED])
def test_a_process_that_is_killed_is_named(here: Path, capsys: pytest.CaptureFixture[str], other: str) -> None:
    """Also where another one, which waits for it, fails with a traceback of its own."""
    killed = "import os, time; time.sleep(1); os.kill(os.getpid(), 9)"
    assert plan._together([[sys.executable, "-c", code] for code in (other, killed)]) == 128 + 9
    assert capsys.readouterr().out == "a training process was killed (SIGKILL); the same command goes on\n"


def test_processes_have_the_lowest_priority_and_one_thread(here: Path) -> None:
    check = "import os, sys; sys.exit(0 if os.nice(0) == 19 and os.environ['OMP_NUM_THREADS'] == '1' else 1)"
    assert plan._together([[sys.executable, "-c", check]]) == 0


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_is_handed_on(here: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    """A child stands in for the terminal, and asks this process to stop; it does not handle SIGTERM itself."""
    asking = f"import os, time; time.sleep(1); os.kill({os.getpid()}, {number}); time.sleep(60)"
    assert plan._together([[sys.executable, "-c", code] for code in (_WAIT, asking)]) == 128 + number
    assert capsys.readouterr().out == "stopped before a step was done; the same command goes on\n"


def test_training_that_runs_already_is_not_started_again(here: Path) -> None:
    (here / "runs").mkdir()
    with (here / "runs" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="training runs already"):
            plan._together([[sys.executable, "-c", "pass"]])

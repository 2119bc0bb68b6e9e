"""``netsim train progressive``: bad input is a sentence, no run is overwritten, Ctrl-C loses nothing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import save_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.progressive.objective import ProgressiveObjective
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from netsim import cli
from netsim.distribution import install_command
from netsim.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, images: list[NDArray[np.uint8]], started: Backbone) -> Path:
    """Images, and weights of the baseline and of a method with both modules."""
    root = tmp_path_factory.mktemp("command")
    for name, image in zip(("photos", "held_out"), images, strict=False):
        (root / name).mkdir()
        Image.fromarray(image[:64, :64]).save(root / name / "a.png")
    (root / "broken").mkdir()
    (root / "broken" / "a.png").write_bytes(b"no image")
    (root / "empty").mkdir()
    save_weights(root / "base.safetensors", started, "mbt-mean")
    save_weights(root / "both.safetensors", Backbone(started.kind, scr=True, mca=True), "scr-mca-u")
    return root


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def netsim(*arguments: str) -> int:
    """Exit code of a command, in this process: as ``cli.main``, which would keep this process's signals."""
    try:
        cli.app(args=list(arguments), prog_name="netsim")
    except SystemExit as stopped:
        return int(stopped.code or 0)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    raise AssertionError("typer ends with SystemExit")


def train(line: str) -> int:
    given = "--images photos --validation held_out --steps 2 --batch 1 --crop 64 --start base.safetensors"
    return netsim("train", "progressive", *given.split(), *line.split())


def test_trainers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train") == 0
    assert "netsim train progressive --help" in capsys.readouterr().out
    assert netsim("train", "--help") == 0
    assert "netsim train [OPTIONS] [NAME ...]" in capsys.readouterr().out


def test_help_is_the_trainers_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train", "progressive", "--help") == 0
    shown = capsys.readouterr().out
    for words in ("--method", "scr-mca-ge", "--start", "Example"):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("progresive --steps 1", "did you mean `progressive`"),
        ("--steps 1", "what to train comes before `--steps`"),
        ("progressive", "Missing option '--images'"),
        ("progressive --images a --validation b --steps soon --out c", "Invalid value for '--steps'"),
        ("progressive --images a --validation b --steps 0 --out c", "Invalid value for '--steps'"),
        ("progressive --images a --validation b --step 5 --out c", "No such option"),
    ],
)
def test_a_wrong_command_is_a_sentence(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train", *arguments.split()) == 2
    output = capsys.readouterr().err
    assert words in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--method scr-mca", "no method `scr-mca`"),
        ("--images nowhere", "no folder of images at nowhere"),
        ("--images empty", "no image of at least 64×64 in empty"),
        ("--images broken", "a.png` is not an image that can be read"),
        ("--validation nowhere", "no folder of images at nowhere"),
        ("--validation photos", "photos would be trained on, too"),
        ("--crop 128", "no image of at least 128×128 in photos"),
        ("--crop 100", "--crop is 100"),
        ("--batch 0", "Invalid value for '--batch'"),
        ("--rate 0", "Invalid value for '--rate'"),
        ("--rate nan", "--rate"),
        ("--rate inf", "--rate is inf"),
        ("--device warp", "--device warp, but torch finds none here"),
        ("--transforms large", "--transforms without --start new"),
        ("--transforms big", "--transforms is 'big'"),
        ("--start nowhere.safetensors", "no weights at nowhere.safetensors"),
        ("--start photos/a.png", "a.png is not a safetensors file"),
        ("--out photos/a.png", "photos/a.png can't be a folder"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(f"--out new {line}") == 2
    output = capsys.readouterr().err
    assert words in output
    assert "Traceback" not in output
    assert not Path("new").exists()


def test_a_run_goes_on_only_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out first") == 0
    checkpoint = Path("first/checkpoint.safetensors")
    before = load_tensors(checkpoint)
    for line, words in (
        ("--method random", "trains mbt-mean, not random"),
        ("--batch 2", "batch 1, not 2"),
        ("--rate 0.01", "rate 0.001, not 0.01"),
    ):
        assert train(f"--out first {line}") == 2
        assert words in capsys.readouterr().err
    assert load_tensors(checkpoint)[1] == before[1]
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert train("--out first") == 2
    assert "can't be read as a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_keeps_its_last_step(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes in the middle of the first step, which is done all the same."""
    out, loss, handler = f"by-{number.name}", ProgressiveObjective.loss, signal.getsignal(number)

    def interrupted(self: ProgressiveObjective, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        os.kill(os.getpid(), number)
        return loss(self, rng, share)

    monkeypatch.setattr(ProgressiveObjective, "loss", interrupted)
    line = f"--method progdtd --out {out}"
    assert train(line) == code
    assert signal.getsignal(number) is handler
    tensors, facts = load_tensors(Path(out, "checkpoint.safetensors"))
    assert facts["steps"] == 1
    assert all(bool(t.isfinite().all()) for t in tensors.values())
    monkeypatch.setattr(ProgressiveObjective, "loss", loss)
    assert train(line) == 0
    assert load_tensors(Path(out, "checkpoint.safetensors"))[1]["steps"] == 2


def test_a_second_interrupt_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(self: ProgressiveObjective, rng: np.random.Generator, share: float) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(ProgressiveObjective, "loss", stuck)
    assert train("--out twice") == 130


def test_a_trainer_that_cannot_be_loaded_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where torch isn't installed: help works all the same."""
    monkeypatch.setitem(sys.modules, "netcodecs.training.progressive.session", None)
    assert netsim("train", "progressive", "--help") == 0
    capsys.readouterr()
    assert train("--out new") == 2
    assert install_command("learned") in capsys.readouterr().err

"""``netsim train progressive``: bad input is a sentence, no run is overwritten, Ctrl-C loses nothing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import save_weights
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.trainer import Trainer
from PIL import Image
from torch import Tensor

from netsim import cli
from netsim.distribution import install_command


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, photos: list[Tensor], started: Backbone) -> Path:
    """Pictures, weights of the baseline, a folder with a finished run."""
    root = tmp_path_factory.mktemp("command")
    for name, picture in zip(("photos", "held_out"), photos, strict=False):
        (root / name).mkdir()
        Image.fromarray(picture[:, :64, :64].permute(1, 2, 0).numpy()).save(root / name / "a.png")
    (root / "broken").mkdir()
    (root / "broken" / "a.png").write_bytes(b"no picture")
    (root / "empty").mkdir()
    save_weights(root / "mbt-mean.safetensors", started, "mbt-mean")
    save_weights(root / "both.safetensors", Backbone((12, 48, 128), scr=True, mca=True), "scr-mca-u")
    return root


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def netsim(*arguments: str) -> int:
    """Exit code of a command, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["netsim", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return int(stopped.value.code or 0)


def train(line: str, *more: str) -> int:
    given = "--images photos --validation held_out --hours 0.0001 --crop 64 --threads 1 --device cpu"
    return netsim("train", "progressive", *given.split(), *line.split(), *more)


def test_trainers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train") == 0
    assert "netsim train progressive --help" in capsys.readouterr().out
    assert netsim("train", "--help") == 0
    assert "netsim train [OPTIONS] [NAME ...]" in capsys.readouterr().out


def test_help_is_the_trainers_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train", "progressive", "--help") == 0
    shown = capsys.readouterr().out
    assert "--method" in shown
    assert "scr-mca-ge" in shown
    assert "Example" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("progresive --hours 1", "did you mean `progressive`"),
        ("--hours 1", "what to train comes before `--hours`"),
        ("progressive", "the following arguments are required: --images, --validation, --hours, --out"),
        ("progressive --images a --validation b --hours soon --out c", "invalid float value: 'soon'"),
    ],
)
def test_wrong_command_is_a_sentence(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert netsim("train", *arguments.split()) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--method scr-mca", "no method `scr-mca`"),
        ("--images nowhere", "no folder of pictures at nowhere"),
        ("--images empty", "no picture of at least 64×64 in empty"),
        ("--images broken", "a.png can't be read as a picture"),
        ("--validation nowhere", "no folder of pictures at nowhere"),
        ("--validation photos", "photos would be trained on, too"),
        ("--hours 0", "--hours 0"),
        ("--hours nan", "--hours nan"),
        ("--stop-at tomorrow", "`tomorrow` is no time"),
        ("--stop-at 2020-01-01T00:00", "--stop-at 2020-01-01T00:00 is over"),
        ("--batch 5", "batch 5"),
        ("--widths 8 8 8", "widths (8, 8, 8) are too narrow"),
        ("--threads 0", "--threads 0"),
        ("--device warp", "--device warp: torch finds none here"),
        ("--method random --start nowhere.safetensors", "no weights at nowhere.safetensors"),
        ("--method random --start photos/a.png", "a.png is no safetensors file"),
        ("--method random --start mbt-mean.safetensors --widths 24 48 128", "has widths 12 48 128, not those of"),
        ("--method progdtd --start both.safetensors", "progdtd can't begin from weights with SCR and MCA"),
        ("--resume", "nothing to resume: new has no latest.safetensors"),
        ("--out photos/a.png", "--out photos/a.png is no folder"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out new", *line.split()) == 2
    assert words in capsys.readouterr().err
    assert not Path("new").exists()


def test_run_is_never_overwritten_and_resumed_only_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    start = "--start mbt-mean.safetensors --out first"
    assert train(start) == 0
    told = capsys.readouterr().out
    assert "network   mbt-mean, widths 12 48 128" in told
    assert "begins from mbt-mean.safetensors" in told
    assert "next      python -m netcodecs.training.export first" in told
    latest = Path("first/latest.safetensors")
    before = latest.read_bytes()
    for line, words in (
        (start, "first holds a training run already"),
        (f"{start} --resume --method random", "was trained with method mbt-mean, not random"),
        (f"{start} --resume --batch 8 --bf16", "was trained with batch 4, not 8, bf16 False, not True"),
    ):
        assert train(line) == 2
        assert words in capsys.readouterr().err
        assert latest.read_bytes() == before
    assert train("--out first --resume", "--hours", "0.0002") == 0
    assert "goes on at step" in capsys.readouterr().out
    latest.write_bytes(before[:1000])
    assert train("--out first --resume") == 2
    assert "can't be read as a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_keeps_its_last_step_and_says_how_to_go_on(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal comes in the middle of the second step, which is done all the same."""
    out, step, handler = f"by-{number.name}", Trainer.step, signal.getsignal(number)

    def interrupted(self: Trainer, share: float) -> tuple[Tensor, Tensor, Tensor]:
        if self.step_count == 1:
            os.kill(os.getpid(), number)
        return step(self, share)

    monkeypatch.setattr(Trainer, "step", interrupted)
    line = f"--method progdtd --start mbt-mean.safetensors --out {out}"
    assert train(line, "--hours", "1") == code
    assert signal.getsignal(number) is handler
    told = capsys.readouterr().out
    assert f"{out}/latest.safetensors holds step 2" in told
    command = next(text for text in told.splitlines() if text.startswith("next"))
    assert command.endswith(f"--out {out} --hours 1 --resume")
    tensors, facts = load_tensors(Path(out, "latest.safetensors"))
    assert facts["steps"] == 2
    assert all(bool(t.isfinite().all()) for t in tensors.values())
    monkeypatch.setattr(Trainer, "step", step)
    assert train(line, "--resume") == 0


def test_second_interrupt_ends_at_once_with_the_checkpoint_there_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(self: Trainer, share: float) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(Trainer, "step", stuck)
    assert train("--start mbt-mean.safetensors --out twice", "--hours", "1") == 130
    assert "holds step 0" in capsys.readouterr().out


def test_trainer_that_cannot_be_loaded_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where torch isn't installed: help works all the same."""
    monkeypatch.setitem(sys.modules, "netcodecs.training.session", None)
    assert netsim("train", "progressive", "--help") == 0
    capsys.readouterr()
    assert train("--out new") == 2
    assert install_command("learned") in capsys.readouterr().err

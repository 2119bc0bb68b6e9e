"""``netsim train resicomp`` and its export: bad input is a sentence, no run is lost, weights are the average's."""

from __future__ import annotations

import csv
import math
import os
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.weights import save_weights
from netcodecs.resicomp.codec import ResiComp, ResiCompSettings
from netcodecs.resicomp.transformer import Size
from netcodecs.resicomp.weights import load_weights
from netcodecs.training import export, resicomp
from netcodecs.training.checkpoint import load_tensors
from netcodecs.training.masked.export import averaged
from netcodecs.training.masked.trainer import NETWORK_SIZES, Trainer
from PIL import Image
from torch import Tensor

from netsim.codec import OperatingPoint
from netsim.errors import InputError

GIVEN = "--images photos --validation held_out --hours 0.00001 --crop 64 --batch 2 --threads 1 --device cpu"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, photos: list[Tensor], started: Backbone) -> Path:
    """Pictures, transforms, and those of a method with modules of its own."""
    root = tmp_path_factory.mktemp("resicomp")
    for name, picture in zip(("photos", "held_out"), photos, strict=False):
        (root / name).mkdir()
        Image.fromarray(picture[:, :64, :80].permute(1, 2, 0).numpy()).save(root / name / "a.png")
    save_weights(root / "base.safetensors", started, "mbt-mean")
    torch.manual_seed(1)
    save_weights(root / "other.safetensors", Backbone((12, 48, 128)), "mbt-mean")
    save_weights(root / "both.safetensors", Backbone((12, 48, 128), scr=True, mca=True), "scr-mca-u")
    return root


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setitem(NETWORK_SIZES, "compact", Size(layers=2, width=32, heads=4))


def train(line: str) -> int:
    transforms = "" if "--transforms " in line or "--start" in line else "--transforms base.safetensors"
    return resicomp.main([*GIVEN.split(), *transforms.split(), *line.split()])


def rows_of(run: str) -> list[dict[str, str]]:
    with Path(run, "validation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same_densities(weights: Path, checkpoint: Path) -> None:
    """Int8 costs little: the mixtures of an exported Transformer are those of the average."""
    ours, theirs = averaged(checkpoint), load_weights(weights)
    tokens = torch.randn(1, 4, 8, 192, generator=torch.Generator().manual_seed(0))
    known = torch.arange(32).view(1, 4, 8) % 2 == 0
    parts = []
    for network in (ours.network, theirs.network):
        with torch.no_grad():
            hidden = network.hidden(tokens, known, torch.tensor([0.3]))
            parts.append((*network.densities(hidden), network.values(hidden)))
    for mine, read in zip(*parts, strict=True):
        assert float((mine - read).square().mean().sqrt()) < 0.02 * float(mine.square().mean().sqrt()) + 1e-3
    assert theirs.lambdas == ours.recipe.lambdas
    assert ours.spread.tolist() == pytest.approx(theirs.spread.tolist())


def test_is_a_trainer_of_netsim() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["netsim.trainers"]["resicomp"] == "netcodecs.training.resicomp:main"


def test_help_needs_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        resicomp.main(["--help"])
    shown = capsys.readouterr().out
    assert "--transforms-too" in shown
    assert "compact, paper" in shown


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--hours 0", "--hours 0"),
        ("--validation photos", "photos would be trained on, too"),
        ("--crop 100", "crop 100"),
        ("--crop 96", "crop 96"),
        ("--crop 128", "no picture of at least 128×128 in photos"),
        ("--size large", "no size `large`"),
        ("--lambdas .001 .02", "λ from 0.001 to 0.02"),
        ("--lambda-warm-up .15", "warm-up without training the transforms"),
        ("--transforms nowhere.safetensors", "no weights at nowhere.safetensors"),
        ("--transforms both.safetensors", "both.safetensors is of scr-mca-u"),
        ("--transforms elic", "--transforms elic without --transforms-too"),
        ("--transforms elic --transforms-too --widths 8 48 128", r"widths \(8, 48, 128\) are too narrow"),
        ("--transforms elic --transforms-too --widths 0 48 128", "widths 0 48 128"),
        ("--widths 12 48 128", "--widths without --transforms elic"),
        ("--start nowhere.safetensors", "no weights at nowhere.safetensors"),
        ("--start base.safetensors", "base.safetensors holds no weights of resicomp"),
        ("--device warp", "--device warp: torch finds none here"),
        ("--resume", "nothing to resume: new has no latest.safetensors"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(line: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train(f"--out new {line}")
    assert not Path("new").exists()


def test_run_is_never_overwritten_resumes_as_it_was_and_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out first --alpha .2") == 0
    told = capsys.readouterr().out
    assert "compact Transformer, both heads, on latents of base" in told
    assert "next      python -m netcodecs.training.export first resicomp.safetensors" in told
    latest = Path("first/latest.safetensors")
    before = latest.read_bytes()
    for line, words in (
        ("", "first holds a training run already"),
        ("--resume --heads value", "was trained with heads both, not value"),
        ("--resume --transforms other.safetensors", "was trained on other transforms"),
    ):
        with pytest.raises(InputError, match=words):
            train(f"--out first {line}")
        assert latest.read_bytes() == before
    assert train("--out first --resume --hours .0003") == 0
    assert "goes on at step" in capsys.readouterr().out
    assert {row["known"] for row in rows_of("first")} == {"0.0", "0.3", "0.6", "0.9"}
    assert len(list(Path("first").glob("events.out.tfevents.*"))) == 2
    export.main(["first", "first.safetensors", "--notes", "A trial."])
    same_densities(Path("first.safetensors"), latest)
    card = Path("first.md").read_text()
    for words in ("1 photos", "A trial.", "α = 0.2, heads: both", "Start: nothing", "in this file", "| 90% known |"):
        assert words in card


def test_next_run_begins_from_the_last_and_teaches_the_transforms() -> None:
    assert train("--out stage1") == 0
    assert train("--out stage2 --start stage1 --transforms-too --lambda-warm-up .15") == 0
    row = rows_of("stage2")[-1]
    assert float(row["lossy_psnr_db"]) <= float(row["psnr_db"])
    assert row["concealed_db"] == "nan"
    first, then = (load_tensors(Path(run, "latest.safetensors"))[0] for run in ("stage1", "stage2"))
    assert torch.equal(first["spread"], then["spread"])
    export.main(["stage2", "stage2.safetensors"])
    same_densities(Path("stage2.safetensors"), Path("stage2/latest.safetensors"))
    learned = load_weights(Path("stage2.safetensors")).backbone.state_dict()["log_gain"]
    torch.testing.assert_close(learned, then["average_transforms/log_gain"], rtol=0, atol=1e-3)
    assert train("--out stage3 --start stage2.safetensors") == 0
    third = load_tensors(Path("stage3/latest.safetensors"))[0]
    torch.testing.assert_close(third["transforms/log_gain"], learned)
    with pytest.raises(InputError, match=r"trained on other transforms than base\.safetensors"):
        train("--out stage4 --start stage2.safetensors --transforms base.safetensors")
    assert "transforms too, at 0.0001" in Path("stage2.md").read_text()


def test_elic_learns_from_nothing_and_codes(capsys: pytest.CaptureFixture[str]) -> None:
    new = "--transforms elic --transforms-too --widths 12 48 128 --lambda-warm-up .15"
    assert train(f"--out elic {new}") == 0
    assert "both heads and ELIC's transforms" in capsys.readouterr().out
    assert float(rows_of("elic")[0]["psnr_db"]) > 20  # before the first step
    assert train(f"--out elic --resume {new}") == 0
    export.main(["elic", "elic.safetensors"])
    same_densities(Path("elic.safetensors"), Path("elic/latest.safetensors"))
    assert "ELIC's, 12, 48, 128 channels inside" in Path("elic.md").read_text()
    backbone = load_weights(Path("elic.safetensors")).backbone
    assert (backbone.kind, backbone.widths) == ("elic", (12, 48, 128))
    for line, words in (
        ("--start elic --widths 48 64 128", r"transforms of widths \(12, 48, 128\)"),
        ("--start elic --transforms base.safetensors", "was trained on other transforms than base"),
    ):
        with pytest.raises(InputError, match=words):
            train(f"--out next {line}")
    assert train("--out next --start elic.safetensors --transforms elic") == 0  # the Transformer alone
    assert train("--out heads --transforms elic.safetensors --heads density") == 0
    for run in ("next", "heads"):
        kept = load_tensors(Path(run, "latest.safetensors"))[0]
        assert torch.equal(kept["transforms/model.g_a.0.weight"], backbone.state_dict()["model.g_a.0.weight"])

    image = np.asarray(Image.open("held_out/a.png"))[:64, :64]
    codec = ResiComp(ResiCompSettings(mode="LC", slices=4, weights=Path("elic.safetensors")))
    stream = codec.encode(image, OperatingPoint("quality", 3.0))
    masks = np.ones((2, len(stream.packets)), bool)
    masks[1, 3:] = False  # the head and two of four slices
    whole, part = codec.decode(stream, masks)
    errors = [float(np.square(shown.astype(float) - image).mean()) for shown in (whole, part)]
    assert errors[0] < errors[1]
    assert 10 * math.log10(255**2 / errors[0]) > 20


def test_elic_is_not_what_other_runs_have() -> None:
    assert train("--out mbt --transforms-too") == 0
    with pytest.raises(InputError, match="other transforms than ELIC's"):
        train("--out new --start mbt --transforms elic")
    with pytest.raises(InputError, match="other transforms than ELIC's"):
        train("--out mbt --resume --transforms elic")


def test_separate_transformers_go_into_one_file() -> None:
    for heads in ("density", "value"):
        assert train(f"--out {heads} --heads {heads}") == 0
    export.main(["density", "two.safetensors", "--values-from", "value"])
    same_densities(Path("two.safetensors"), Path("density/latest.safetensors"))
    second = load_weights(Path("two.safetensors")).values
    assert second is not None
    average = load_tensors(Path("value/latest.safetensors"))[0]["average/mask_token"]
    torch.testing.assert_close(second.mask_token.data, average)
    assert "**Training of the concealing Transformer.**" in Path("two.md").read_text()
    with pytest.raises(InputError, match="the first run's Transformer codes"):
        export.main(["value", "two.safetensors", "--values-from", "density"])


def test_interrupted_run_keeps_its_last_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Trainer.step

    def interrupted(self: Trainer, share: float) -> tuple[Tensor, ...]:
        if self.step_count == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, share)

    monkeypatch.setattr(Trainer, "step", interrupted)
    assert train("--out stopped --hours 1") == 130
    told = capsys.readouterr().out
    assert "stopped/latest.safetensors holds step 2" in told
    assert "next      netsim train resicomp" in told
    assert told.rstrip().endswith("--resume")

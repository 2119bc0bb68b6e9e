"""A value is taken from the store, and a run is resumed, only if everything that made it is the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import netsim
from netsim import registry
from netsim.cli import app
from netsim.errors import InputError
from netsim.runs import pipeline
from tests.plugin_files import GREY_CODEC, install
from tests.runs.conftest import KilledAfter

CODECS = {"netsim.codecs": {"grey": "greycodec:Grey"}}
SCENARIO = {
    "name": "stale",
    "images": "images",
    "codecs": [{"grey": {"bits": 8}}],
    "channels": [{"loss_rate": 0.3}],
    "trials": 6,
    "engine": "array",
}
CROP = np.ascontiguousarray(data.coffee()[100:116, 200:224])


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "images").mkdir()
    Image.fromarray(CROP).save(tmp_path / "images" / "crop.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    registry._group.cache_clear()


def install_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, **files: str) -> None:
    """The codec with ``level`` (an expression) in place of lost rows. files: other modules, by name."""
    sources = {f"{name}.py": text for name, text in files.items()}
    install(tmp_path, monkeypatch, {"greycodec.py": f"{GREY_CODEC}\n{level}\n", **sources}, CODECS)


def rows_of_level(log, level: int) -> np.ndarray:
    """PSNR of each slot, from the number of rows lost and the level that stands for them: by hand, not by a decoder.

    Which rows were lost the log does not say, so this is a range: rows with the least and with the largest error.
    """
    errors = np.sort(((CROP.astype(float) - level) ** 2).sum(axis=(1, 2)))
    lost = log["packets_lost"].to_numpy()
    with np.errstate(divide="ignore"):
        worst = [10 * np.log10(255**2 * CROP.size / errors[::-1][:n].sum()) for n in lost]
        best = [10 * np.log10(255**2 * CROP.size / errors[:n].sum()) for n in lost]
    return np.array([worst, best])


def assert_of_level(run, level: int) -> None:
    log = run.log[run.log["packets_lost"] > 0]
    worst, best = rows_of_level(log, level)
    assert len(log)
    assert (worst - 1e-9 <= log["psnr_db"]).all()
    assert (log["psnr_db"] <= best + 1e-9).all()


def db(run) -> list[float]:
    return run.log["psnr_db"].tolist()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"level": "LEVEL = 128"}, {"level": "LEVEL = 0"}),
        ({"level": "from greylevel import LEVEL", "greylevel": "LEVEL = 128"}, {"greylevel": "LEVEL = 0"}),
        (
            {"level": "def f(): pass\nimport greybase as b\nLEVEL = b.h.LEVEL", "greybase": "import greyhelp as h"}
            | {"greyhelp": "LEVEL = 128"},
            {"greyhelp": "LEVEL = 0"},
        ),
    ],
    ids=["own file", "helper", "helper of a helper"],
)
def test_a_changed_codec_is_not_answered_from_the_store(
    before: dict[str, str], after: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_grey(tmp_path, monkeypatch, **before)
    first = netsim.run(SCENARIO)
    assert_of_level(first, 128)
    install_grey(tmp_path, monkeypatch, **{**before, **after})
    second = netsim.run(SCENARIO)
    assert_of_level(second, 0)
    assert first.manifest["run_id"] != second.manifest["run_id"]
    install_grey(tmp_path, monkeypatch, **before)
    assert db(netsim.run(SCENARIO)) == db(first)


def test_a_data_file_of_the_codecs_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    level = "import pathlib\nLEVEL = int(next(pathlib.Path(__file__).parent.glob('data/l*')).read_text())"
    points = {"netsim.codecs": {"grey": "greypack.codec:Grey"}}
    runs = []
    for text in ("128", "000"):
        files = {"greypack/__init__.py": "", "greypack/codec.py": f"{GREY_CODEC}\n{level}\n"}
        install(tmp_path, monkeypatch, {**files, "greypack/data/level.txt": text}, points)
        runs.append(netsim.run(SCENARIO))
    assert_of_level(runs[0], 128)
    assert_of_level(runs[1], 0)


def test_a_module_that_is_imported_by_a_name_made_at_run_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = "import importlib\nLEVEL = importlib.import_module(__package__ + '.' + 'dyn' + 'amic').LEVEL"
    points = {"netsim.codecs": {"grey": "greydyn.codec:Grey"}}
    runs = []
    for number in (128, 0):
        files = {"greydyn/__init__.py": "", "greydyn/codec.py": f"{GREY_CODEC}\n{level}\n"}
        install(tmp_path, monkeypatch, {**files, "greydyn/dynamic.py": f"LEVEL = {number}\n"}, points)
        runs.append(netsim.run(SCENARIO))
    assert_of_level(runs[0], 128)
    assert_of_level(runs[1], 0)


def test_a_file_that_a_setting_names_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the codec has a fingerprint of its own that does not mention it."""
    own = "\n    fingerprint = {'version': 1}\n    def decode(self, stream, masks):"
    source = GREY_CODEC.replace("\n    def decode(self, stream, masks):", own).replace(
        "LEVEL", "int(open(self.settings.weights).read())"
    )
    scenario = {**SCENARIO, "codecs": [{"grey": {"bits": 8, "weights": str(tmp_path / "w.txt")}}]}
    install(tmp_path, monkeypatch, {"greycodec.py": source}, CODECS)
    for level in (128, 0):
        Path("w.txt").write_text(f"{level:3d}")
        run = netsim.run(scenario)
        assert_of_level(run, level)
        assert str(tmp_path / "w.txt") in run.manifest["inputs"]["files"]


def test_comments_and_docstrings_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    netsim.run(SCENARIO)
    install_grey(tmp_path, monkeypatch, '# now with a comment\nLEVEL = (\n    128\n)\n"""and words"""\n')
    again = netsim.run(SCENARIO)
    install_grey(tmp_path, monkeypatch, "LEVEL = 128\nraise_in_decode = Grey.decode\nGrey.decode = None")
    with pytest.raises(TypeError):
        netsim.run(SCENARIO)  # what is not remembered is decoded
    assert again.manifest["inputs"]["plugins"]


def test_a_changed_metric_reads_no_old_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "def psnr_db(reference, images):\n    return of(reference, images) + {}\n"
    metric = f"from netsim.metrics.psnr import psnr_db as of\n\n\n{body}"
    for added in ("0.0", "7.5"):
        install_grey(tmp_path, monkeypatch, "LEVEL = 128", greymetric=metric.format(added))
        real = registry._group
        point = next(iter(real("netsim.codecs").values()))
        ours = type(point)("psnr_db", "greymetric:psnr_db", "netsim.metrics")
        with monkeypatch.context() as patch:
            patch.setattr(registry, "_group", lambda group, real=real, ours=ours: {**real(group), ours.name: ours})
            run = netsim.run(SCENARIO)
        worst, best = rows_of_level(run.log, 128) + float(added)
        lost = run.log["packets_lost"] > 0
        assert (worst[lost] - 1e-9 <= run.log["psnr_db"][lost]).all()
        assert (run.log["psnr_db"][lost] <= best[lost] + 1e-9).all()


def test_a_fresh_run_takes_nothing_from_the_store_and_corrects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A codec whose results depend on what nobody can see."""
    install_grey(tmp_path, monkeypatch, f"LEVEL = int(open({str(tmp_path)!r} + '/level').read())")
    Path("level").write_text("128")
    sources = {"greycodec.py": Path("greycodec.py").read_text()}
    install(tmp_path, monkeypatch, sources, CODECS)
    netsim.run(SCENARIO)
    Path("level").write_text("0")
    install(tmp_path, monkeypatch, sources, CODECS)
    assert_of_level(netsim.run(SCENARIO), 128)  # stale: why `fresh` is there
    assert_of_level(netsim.run(SCENARIO, fresh=True), 0)
    assert_of_level(netsim.run(SCENARIO), 0)


TRACE = "# 1={}\n" + "0010000000" * 20 + "\n"


def _traced(**more: object) -> dict[str, object]:
    return {**SCENARIO, "channels": [{"trace": "t.txt"}, {"loss_rate": 0.3}], **more}


def test_what_a_trace_says_is_part_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    runs = []
    for polarity in ("lost", "received"):
        Path("t.txt").write_text(TRACE.format(polarity))
        runs.append(netsim.run(_traced(slots=100)))
    assert runs[0].manifest["run_id"] != runs[1].manifest["run_id"]
    rates = [run.log.groupby("channel")[["packets_lost", "packets_sent"]].sum().loc["trace t"] for run in runs]
    for rate, expected in zip(rates, (0.1, 0.9), strict=True):  # one packet of 17, the head, is never lost
        assert rate["packets_lost"] / rate["packets_sent"] == pytest.approx(expected * 16 / 17, abs=0.005)


def test_a_resume_with_another_trace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    Path("t.txt").write_text(TRACE.format("lost"))
    with killed_after(1):
        netsim.run(_traced(), out="r")
    Path("t.txt").write_text(TRACE.format("received"))
    with pytest.raises(InputError, match=r"unfinished run with other inputs: `.*t\.txt` has changed"):
        netsim.run(_traced(), out="r")
    replaced = netsim.run(_traced(), out="r", exist="overwrite")
    assert replaced.path == Path("r")
    traced = replaced.log[replaced.log["channel"] == "trace t"]
    assert traced["packets_lost"].sum() / traced["packets_sent"].sum() > 0.8


def test_where_no_folder_is_named_a_run_with_another_trace_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    Path("t.txt").write_text(TRACE.format("lost"))
    with killed_after(1):
        netsim.run(_traced())
    Path("t.txt").write_text(TRACE.format("received"))
    assert netsim.run(_traced()).path == Path("runs/stale-2")
    Path("t.txt").write_text(TRACE.format("lost"))
    assert netsim.run(_traced()).path == Path("runs/stale-1")


def test_a_resume_with_another_codec_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    Path("t.txt").write_text(TRACE.format("lost"))
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    with killed_after(1):
        netsim.run(_traced(), out="r")
    install_grey(tmp_path, monkeypatch, "LEVEL = 0")
    with pytest.raises(InputError, match="`codec grey` has changed"):
        netsim.run(_traced(), out="r")


def _rerun_by_a_copy(folder: Path, edit: str = "", file: str = "engines/array.py") -> subprocess.CompletedProcess[str]:
    """The command ``netsim run``, by a copy of the package outside any checkout. edit: lines added to a file of it."""
    shutil.copytree(Path(netsim.__file__).parent, folder / "netsim", ignore=shutil.ignore_patterns("__pycache__"))
    for document in ("NOTES.md", "netsim/NOTES.md", "tests/test_own.py"):
        (folder / document).parent.mkdir(exist_ok=True)
        (folder / document).write_text("edited")
    with (folder / "netsim" / file).open("a") as source:
        source.write(edit)
    path = os.pathsep.join([str(folder), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "netsim", "run", "s.yaml", "--out", "r", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_an_installed_copy_of_the_same_version_with_other_code_reads_no_old_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a codec of another package counts what it takes from netsim; an edit that changes no code does not count."""
    Path("s.yaml").write_text(json.dumps(SCENARIO))
    install_grey(tmp_path, monkeypatch, "from netsim.greylevel import LEVEL")
    said = []
    for copy, edit in enumerate(["LEVEL = 128\n", "LEVEL = 0\n", "# another\n\nLEVEL = 0\n"]):
        shutil.rmtree("r", ignore_errors=True)
        done = _rerun_by_a_copy(tmp_path / f"{copy}" / "site-packages", edit, "greylevel.py")
        assert done.returncode == 0, done.stderr
        assert_of_level(netsim.load("r"), 0 if copy else 128)
        said.append(re.findall(r"(\d+) (?:stream|mask)s?, (\d+) remembered", done.stderr))
    (_, first), (_, second), (stream, third) = said
    assert first == second == (third[0], "0")
    assert stream == ("1", "1")
    assert third[1] == third[0] != "0"


def test_a_resume_by_other_code_of_the_same_version_is_refused(tmp_path: Path, killed_after: KilledAfter) -> None:
    Path("s.yaml").write_text("images: images\ncodecs: [{jpeg: {quality: 30}}]\nchannels: [EP4, EP5]\nengine: array\n")
    with killed_after(1):
        netsim.run("s.yaml", out="r")
    began = json.loads(Path("r/manifest.json").read_text())["code"]
    assert list(began) == ["netsim", "codec jpeg"]
    refused = _rerun_by_a_copy(tmp_path / "changed", "DRAWN = 1\n")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    digits = began["netsim"][:12]
    assert re.search(rf"`r` is an unfinished run with other code: netsim .*, code {digits} began it", refused.stderr)
    assert "--overwrite" in refused.stderr
    resumed = _rerun_by_a_copy(tmp_path / "same")
    assert resumed.returncode == 0, resumed.stderr
    assert "1 part of its transport done before" in resumed.stderr
    assert netsim.load("r").manifest["code"] == began


def test_a_trace_may_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    Path("t.txt").write_text(TRACE.format("lost"))
    first = netsim.run(_traced())
    Path("elsewhere").mkdir()
    Path("t.txt").rename("elsewhere/t.txt")
    moved = netsim.run(_traced(channels=[{"trace": "elsewhere/t.txt"}, {"loss_rate": 0.3}]))
    assert moved.manifest["run_id"] == first.manifest["run_id"]


@pytest.mark.parametrize("victim", ["t.txt", "images/crop.png"])
def test_an_input_that_changes_while_the_run_goes_on_ends_it(
    victim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_grey(tmp_path, monkeypatch, "LEVEL = 128")
    Path("t.txt").write_text(TRACE.format("lost"))
    real = pipeline._encode

    def changes(*arguments: object) -> object:
        if victim == "t.txt":
            Path(victim).write_text(TRACE.format("received"))
        else:
            Image.fromarray(CROP[::-1]).save(victim)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "_encode", changes)
    with pytest.raises(InputError, match="has changed"):
        netsim.run(_traced(), out="r")
    assert not list(Path("r/parts").glob("*.npz"))


def test_check_codec_warns_of_an_empty_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line, warned in (("fingerprint = {}", True), ("", False)):
        source = GREY_CODEC.replace("    Settings = Settings\n", f"    Settings = Settings\n    {line}\n")
        install(tmp_path, monkeypatch, {"greycodec.py": f"{source}\nLEVEL = 128\n"}, CODECS)
        result = CliRunner().invoke(app, ["check-codec", "grey", "--at", "bits=8", "--json"])
        assert bool(json.loads(result.stdout)["warnings"]) == warned

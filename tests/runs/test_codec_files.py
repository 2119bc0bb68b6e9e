"""A run whose codec reads a file: it is explained, reported and resumed from any folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import netsim
from netsim import registry
from netsim.analysis.replay import replayed_plan
from netsim.errors import InputError
from tests.plugin_files import GREY_CODEC, install
from tests.runs.conftest import KilledAfter

SCENARIO = """\
name: weighty
images: image.png
codecs: [{grey: {bits: 8, weights: level.txt}}]
channels: [{loss_rate: 0.3}, EP4]
trials: 6
engine: array
"""
LABEL = "grey weights=level.txt"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a scenario, its image and its codec's file; the working folder is another one."""
    source = GREY_CODEC.replace("str | None = None", "FilePath").replace(
        "LEVEL", "int(self.settings.weights.read_text())"
    )
    codecs = {"netsim.codecs": {"grey": "greycodec:Grey"}}
    (tmp_path / "code").mkdir()
    install(tmp_path / "code", monkeypatch, {"greycodec.py": f"from pydantic import FilePath\n{source}"}, codecs)
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(np.ascontiguousarray(data.coffee()[100:108, 200:224])).save(folder / "image.png")
    (folder / "weighty.yaml").write_text(SCENARIO)
    (folder / "level.txt").write_text("128")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    yield folder
    monkeypatch.undo()
    registry._group.cache_clear()


def test_a_run_is_explained_from_another_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = netsim.run("project/weighty.yaml", out="project/run")
    assert run.log["scheme"].unique().tolist() == [LABEL]
    assert run.manifest["codec_files"] == {"level.txt": str(project / "level.txt")}
    monkeypatch.chdir("elsewhere")
    Path("level.txt").write_text("0")  # of another project
    again = netsim.load("../project/run")
    assert replayed_plan(again).run_id == run.manifest["run_id"]
    table = again.explain("image", LABEL).table
    every, one = table.psnr_db[table.which[-1]], table.psnr_db[table.which[-2]]
    row = np.asarray(Image.open(project / "image.png"))[0].astype(float)
    assert np.isposinf(every)
    assert one == pytest.approx(10 * np.log10(255**2 * 8 / ((row - 128) ** 2).mean()))  # one row of eight lost


def test_a_killed_run_resumes_from_another_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    with killed_after(1):
        netsim.run("project/weighty.yaml", out=project / "run")
    monkeypatch.chdir("elsewhere")
    assert netsim.run("../project/weighty.yaml", out=project / "run", exist="fail").path == project / "run"


def test_a_run_that_moved_with_its_files_is_explained_from_their_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = netsim.run("project/weighty.yaml", overrides=["images={samples: [coffee]}"], out="project/run")
    moved = project.rename(project.with_name("moved"))
    monkeypatch.chdir(moved)
    plan = replayed_plan(netsim.load("run"))
    assert plan.run_id == run.manifest["run_id"]
    assert plan.codec_files == {"level.txt": str(moved / "level.txt")}
    Path("level.txt").write_text("0")
    with pytest.raises(InputError, match=r"`.*/moved/level\.txt` has changed since the run was made"):
        replayed_plan(netsim.load("run"))


def test_a_run_whose_file_is_gone_says_so(project: Path) -> None:
    run = netsim.run("project/weighty.yaml", out="run")
    shutil.move(project / "level.txt", project / "other.txt")
    with pytest.raises(InputError, match=r"weights = 'level\.txt': Path does not point to a file"):
        replayed_plan(run)

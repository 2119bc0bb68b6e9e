"""The distribution: its name, what its wheel holds, and that the wheel's files work alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netsim import distribution
from netsim.distribution import DISTRIBUTION, install_command, running_code

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WEIGHTS = tomllib.loads((ROOT / "codecs" / "pyproject.toml").read_text())["project"]
LIMIT_BYTES = 2_000_000
MOVED = {"scenarios/": "netsim/scenarios/", "experiments/": "netsim/experiments/", "codecs/netcodecs/": "netcodecs/"}


def test_two_states_of_the_code_have_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "__file__", str(tmp_path / "distribution.py"))
    (tmp_path / "below").mkdir()
    names = set()
    for text in ("a = 1", "a = 2"):
        (tmp_path / "below" / "module.py").write_text(text)
        names |= {running_code(), running_code()}
    assert len(names) == 2


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the wheel, in a folder outside the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    return _build(ROOT, folder)


def _build(source: Path, folder: Path) -> Path:
    code = "import setuptools; setuptools.setup()"
    script = ["setup.py"] if (source / "setup.py").exists() else ["-c", code]
    (folder / "info").mkdir()
    steps = ["egg_info", "--egg-base", str(folder / "info"), "build_py", "--build-lib", str(folder / "lib")]
    command = [sys.executable, *script, "--quiet", *steps]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "lib"


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _shipped_sources() -> Iterator[str]:
    """Files of the repository that belong into the wheel, by their place in it."""
    for top in ("netsim/", *MOVED):
        for name in _files(ROOT / top):
            if "__pycache__" not in name and not name.startswith("weights/") and not name.endswith(".safetensors"):
                yield MOVED.get(top, top) + name


def test_the_wheel_holds_code_scenarios_and_experiments_and_no_weights(built: Path) -> None:
    assert _files(built) == set(_shipped_sources())
    assert "netsim/scenarios/ep_sweep.yaml" in _files(built)
    assert "netsim/experiments/resicomp/fig13/published.csv" in _files(built)


def test_the_wheel_is_small(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _files(built):
            archive.write(built / name, name)
    assert (tmp_path / "all.zip").stat().st_size < LIMIT_BYTES


def test_the_wheels_files_work_without_the_repository(built: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import netsim
from netsim.studies.recipe import find_recipe, recipe_names
from netsim.scenario.load import load_plan
print(netsim.__file__)
print(load_plan(Path("quickstart")).name, *recipe_names())
print(find_recipe("resicomp/fig12").folder)
"""
    setting = os.environ | {"PYTHONPATH": str(built)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=setting, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    file, names, folder = done.stdout.splitlines()
    assert Path(file) == built / "netsim" / "__init__.py"
    recipes = {p.parent.relative_to(ROOT / "experiments").as_posix() for p in ROOT.glob("experiments/*/*/recipe.yaml")}
    found, *listed = names.split()
    assert found == "quickstart"
    assert len(listed) == len(recipes)
    assert set(listed) == recipes
    assert Path(folder) == built / "netsim" / "experiments" / "resicomp" / "fig12"


def test_weights_are_found_in_their_own_distribution(built: Path, tmp_path: Path) -> None:
    """With stand-ins for the files: only the place counts here."""
    (tmp_path / "netcodecs_weights").mkdir()
    code = "from netcodecs.progressive.methods import shipped_weights; print(shipped_weights('random'))"
    for found, path in (
        (tmp_path / "netcodecs_weights", f"{built}{os.pathsep}{tmp_path}"),
        (built / "netcodecs" / "weights", f"{built}"),
    ):
        setting = os.environ | {"PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", code], cwd=built, env=setting, capture_output=True, text=True)
        assert done.stdout.strip() == str(found / "random.safetensors"), done.stderr


def test_one_constant_names_the_distribution() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert install_command("learned") == f'pip install "{PROJECT["name"]}[learned]"'
    pattern = re.compile(r"\bnetsim\[|netsim-codecs\[")
    places = [*(ROOT / "netsim").rglob("*.py"), *(ROOT / "codecs").rglob("*.py")]
    naming = {path.name for path in places if pattern.search(path.read_text(encoding="utf-8"))}
    assert naming == {"distribution.py", "needs.py"}  # needs.py: the expected output of a doctest


def test_every_extra_that_code_names_exists() -> None:
    places = [*(ROOT / "netsim").rglob("*.py"), *(ROOT / "codecs").rglob("*.py")]
    named = {extra for path in places for extra in re.findall(r"install_command\([\"'](\w+)", path.read_text("utf-8"))}
    assert named == {"learned", "weights", "traces", "cluster"}
    assert named <= set(PROJECT["optional-dependencies"])


def test_the_core_takes_numpy_2_and_needs_no_torch() -> None:
    core = {re.split(r"[<>=!~ ]", entry)[0]: entry for entry in PROJECT["dependencies"]}
    assert core["numpy"] == "numpy>=1.26"
    assert not {"torch", "compressai", "safetensors"} & set(core)
    assert "numpy<2" in PROJECT["optional-dependencies"]["learned"]


def test_no_requirement_is_pinned_outside_the_lock() -> None:
    extras = PROJECT["optional-dependencies"].values()
    entries = [*PROJECT["dependencies"], *(entry for extra in extras for entry in extra)]
    assert [entry for entry in entries if "==" in entry] == []


def test_the_weights_go_with_the_core() -> None:
    assert WEIGHTS["name"] == f"{DISTRIBUTION}-weights"
    assert WEIGHTS["version"] == PROJECT["version"]
    assert PROJECT["optional-dependencies"]["weights"] == [WEIGHTS["name"]]

"""What the user's shell and disk bring along: no traceback, and nothing that another program's setting changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from netcodecs.classical.ffmpeg import ffmpeg_path
from PIL import Image

from netsim.api import run as run_scenario
from netsim.channels.describe import describe_all
from netsim.cli import main
from netsim.runs.manifest import git_revision
from netsim.runs.results import load_run

NOT_UTF8 = "caf\udce9"  # as os.fsdecode makes of b"caf\xe9"
LONG = "x" * 300

SCENARIO = """\
name: mine
images: images
codecs: [{jpeg: {quality: 50}}]
channels: [{loss_rate: 0.1, name: "link_$LOSS_$BURST"}, {loss_rate: 0.3, name: "50 % $ \\\\frac{"}]
engine: array
trials: 5
"""


def netsim(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netsim", *arguments]
    variables = {**os.environ, **environment}
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    return subprocess.run(
        command, capture_output=True, encoding=encoding, timeout=300, cwd=cwd, env=variables, check=False
    )


class Here:
    """The command line in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]) -> None:
        self.patch, self.output = patch, output

    def refuses(self, *arguments: str) -> str:
        """Standard error of a command that ends with code 2; an unexpected exception comes through."""
        self.output.readouterr()
        self.patch.setattr(sys, "argv", ["netsim", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 2
        return self.output.readouterr().err


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Here:
    monkeypatch.chdir(folder)
    return Here(monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.effect_noise((32, 24), 50).convert("RGB").save(tmp_path / "images" / "a.png")
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    return tmp_path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; its channels are named in what would be TeX."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "images").mkdir()
    Image.effect_noise((32, 24), 50).convert("RGB").save(folder / "images" / "a.png")
    (folder / "mine.yaml").write_text(SCENARIO)
    return run_scenario(folder / "mine.yaml", out=folder / "run").path


def test_figures_are_drawn_whatever_the_backend_and_the_names(run: Path, tmp_path: Path) -> None:
    for kind, backend in (("failure", "module://matplotlib_inline.backend_inline"), ("rd", "nonsense")):
        done = netsim("plot", kind, str(run), "--out", str(tmp_path), cwd=tmp_path, MPLBACKEND=backend)
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("kind", ["failure", "rd", "timeline"])
def test_user_text_in_figures_is_literal(run: Path, kind: str) -> None:
    from matplotlib.text import Text

    from netsim.figures.files import figure_bytes
    from netsim.figures.kinds import make

    loaded = load_run(run)
    _, figure = make(kind, loaded.log, loaded.summary)
    assert figure_bytes(figure, "svg")
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and "$" in text.get_text()]
    assert {text.get_text() for text in texts} == {"link_$LOSS_$BURST", "50 % $ \\frac{"}
    assert not any(text.get_parse_math() for text in texts)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_encoding_of_the_terminal_will_do(tmp_path: Path, encoding: str) -> None:
    done = netsim("channels", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    shown = netsim("channels", "--json", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert json.loads(shown.stdout) == json.loads(json.dumps(describe_all()))


def test_a_program_that_is_not_there_is_named(here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ffmpeg_path.cache_clear()
    (folder / "mine.yaml").write_text(SCENARIO.replace("jpeg: {quality: 50}", "vvc: {qp: 40}"))
    for path in ("/no/such/ffmpeg", str(folder)):
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", path)
        error = here.refuses("run", "mine.yaml", "--workers", "1")
        assert f"no ffmpeg: `{path}` is not an executable file" in error
        assert "IMAGEIO_FFMPEG_EXE" in error


def test_names_that_no_file_has_are_refused(here: Here, run: Path) -> None:
    assert "File name too long" in here.refuses("run", "mine.yaml", "--out", LONG)
    assert "File name too long" in here.refuses("run", f"{LONG}.yaml")
    assert "File name too long" in here.refuses("plot", "failure", LONG)
    assert "File name too long" in here.refuses("plot", "failure", str(run), "--out", LONG)
    assert "File name too long" in here.refuses("report", str(run), "--out", LONG)
    assert "300 bytes" in here.refuses("run", "mine.yaml", "--set", f"name={LONG}")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have names in UTF-8 only")
def test_names_that_are_not_utf_8_are_refused_before_work(here: Here, folder: Path) -> None:
    assert "not UTF-8" in here.refuses("run", "mine.yaml", "--out", NOT_UTF8)
    (folder / f"{NOT_UTF8}.yaml").write_text(SCENARIO.replace("name: mine\n", ""))
    assert "not UTF-8" in here.refuses("run", f"{NOT_UTF8}.yaml")
    (folder / "images" / "a.png").rename(folder / "images" / f"{NOT_UTF8}.png")
    assert "not UTF-8" in here.refuses("run", "mine.yaml")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/x"])
def test_places_that_can_not_be_written_are_named(here: Here, run: Path, place: str) -> None:
    assert place in here.refuses("run", "mine.yaml", "--out", place)
    assert place in here.refuses("plot", "failure", str(run), "--out", place)
    assert place in here.refuses("data", "kodak", "--to", place)


def test_values_on_the_command_line_are_yaml_of_a_scenario(here: Here) -> None:
    assert "is a date" in here.refuses("validate", "mine.yaml", "--set", "name=2024-13-45")
    assert "is a date" in here.refuses("check-codec", "jpeg", "--set", "quality=2024-13-45")
    assert "quality = nan is not a whole number" in here.refuses("check-codec", "jpeg", "--at", "quality=.nan")
    assert "not text" in here.refuses("channels", "show", "{loss_rate: 0.1, 1: 2}")


def test_no_folder_for_machine_code_only_costs_time(folder: Path) -> None:
    """A read-only package and home: compiled in each process, with the same log."""
    code = (
        "from numba.core import caching\n"
        "def refuse(self): raise OSError('read-only')\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
        "import sys, netsim\n"
        "netsim.run('mine.yaml', out=sys.argv[1])\n"
        "import netsim.philox, netsim.channels.compiled\n"
        "assert type(netsim.philox._fill._cache).__name__ == 'NullCache'\n"
    )
    command = [sys.executable, "-c", code, "without"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    run_scenario(folder / "mine.yaml", out=folder / "with")
    assert (folder / "without" / "log.parquet").read_bytes() == (folder / "with" / "log.parquet").read_bytes()


def test_the_revision_is_netsims_own_inside_a_git_hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = git_revision()
    subprocess.run(["git", "init", "-q", str(tmp_path / "other")], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert git_revision() == own


def test_the_checkout_around_an_installed_copy_is_not_netsims_revision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An environment lies in the folder of a paper, or in a checkout that has moved on since the installation."""
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "theirs"]
    for arguments in (["init", "-q"], commit):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    copy = tmp_path / ".venv" / "lib" / "netsim" / "runs" / "manifest.py"
    copy.parent.mkdir(parents=True)
    monkeypatch.setattr("netsim.runs.manifest.__file__", str(copy))
    assert git_revision() is None

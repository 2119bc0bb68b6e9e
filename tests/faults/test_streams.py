"""Standard output and error that are closed or full: the exit code says whether the results came out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netsim.runs.verify import verify_run

NETSIM = [sys.executable, "-m", "netsim"]
FULL = Path("/dev/full")
SCENARIO = "images: images\ncodecs: [{jpeg: {quality: 30}}]\nchannels: [{loss_rate: 0.1}]\ntrials: 2\n"

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    return tmp_path


def _run(folder: Path, command: str, redirection: str, **environment: str) -> subprocess.CompletedProcess[str]:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *NETSIM, *command.split()]
    return subprocess.run(
        shell, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_run_whose_progress_cannot_be_written_succeeds(folder: Path, redirection: str) -> None:
    done = _run(folder, "run mine.yaml --out mine --workers 2", redirection)
    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert not verify_run(folder / "mine").faults


def test_a_run_whose_result_cannot_be_said_keeps_it_and_fails(folder: Path) -> None:
    done = _run(folder, "run mine.yaml --out mine --workers 1", ">/dev/full")
    assert done.returncode == 2
    assert "wrote     mine/" in done.stderr
    assert done.stderr.endswith("standard output: No space left on device\n")
    assert not verify_run(folder / "mine").faults


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["validate mine.yaml", "channels", "--help"])
def test_results_that_cannot_be_written_are_an_error(folder: Path, command: str, unbuffered: str) -> None:
    done = _run(folder, command, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (2, "standard output: No space left on device\n")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize("command", ["run nosuch", "run --nosuch"])
def test_a_refusal_that_cannot_be_said_is_still_one(folder: Path, command: str, redirection: str) -> None:
    assert _run(folder, command, redirection).returncode == 2


def test_a_closed_output_is_a_null_device(folder: Path) -> None:
    done = _run(folder, "run mine.yaml --out mine --workers 1", ">&- <&-")
    assert done.returncode == 0
    assert "wrote     mine/" in done.stderr
    assert not verify_run(folder / "mine").faults


def test_no_file_of_a_run_takes_the_place_of_a_closed_stream(folder: Path) -> None:
    code = "import os\nfrom netsim.console import open_closed_streams\nopen_closed_streams()\n"
    code += "print([os.readlink(f'/proc/self/fd/{n}') for n in range(3)], file=open('told', 'w'))"
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(shell, cwd=folder, timeout=300).returncode == 0
    assert (folder / "told").read_text() == "['/dev/null', '/dev/null', '/dev/null']\n"

"""Files of somebody else: they run nothing, write nowhere else, and can't reach the terminal or a spreadsheet."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import netsim
from netsim.channels.saved import read_channel
from netsim.cli import app
from netsim.digests import Budget, path_sha256
from netsim.errors import InputError
from netsim.image_file import read_image_file
from netsim.paths import check_text
from netsim.rd_json import read_rd_json
from netsim.runs.folder import RunFolder, read_manifest
from netsim.runs.watch import follow

SCENARIO = {"images": {"samples": ["coffee"]}, "codecs": [{"jpeg": {"quality": 20}}], "channels": ["EP4"]}
SCENARIO |= {"engine": "array", "trials": 1, "name": "strange"}


@pytest.mark.parametrize("linked", ["parts", "parts/lock", "parts/store.sqlite"])
def test_a_run_folder_with_a_link_writes_and_deletes_nothing_elsewhere(
    linked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign = tmp_path / "foreign"
    target = foreign if linked == "parts" else foreign / Path(linked).name
    foreign.mkdir()
    for name in ("row-000000.npz", ".a.scratch", "lock", "store.sqlite"):
        (foreign / name).write_text("mine")
    link = tmp_path / "run" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    for ways in ({}, {"exist": "overwrite"}, {"fresh": True}):
        with pytest.raises(InputError, match=r"is a link|can't write to"):
            netsim.run(SCENARIO, out="run", **ways)
    assert {path.name: path.read_text() for path in foreign.iterdir()} == dict.fromkeys(
        ("row-000000.npz", ".a.scratch", "lock", "store.sqlite"), "mine"
    )


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-2+3", "a\x1b[2J", "a\x9b2J", "a\u202eb", "a\nb"]
)
def test_names_that_a_spreadsheet_or_a_terminal_obeys_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"formula|control characters"):
        check_text("channel", name)
    with pytest.raises(InputError, match=r"formula|control characters"):
        netsim.plan({**SCENARIO, "channels": [{"loss_rate": 0.1, "name": name}]})


def test_an_error_that_quotes_a_file_sends_no_escape_to_the_terminal(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_bytes(b"\x1b[2J\x1b]0;title\x07 0010\n")
    done = subprocess.run([sys.executable, "-m", "netsim", "trace", "describe", str(trace)], capture_output=True)
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr + done.stdout
    assert b"x1b[2J" in done.stderr


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_a_checkpoint_runs_nothing_and_the_error_advises_nothing_unsafe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from netcodecs.common.checkpoint_files import read_checkpoint

    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": _Runs()}}, "zip.pt")
    Path("pickle.pt").write_bytes(pickle.dumps(_Runs()))
    for name in ("zip.pt", "pickle.pt"):
        with pytest.raises(InputError, match="can't be read as a checkpoint") as caught:
            read_checkpoint(Path(name))
        assert "weights_only" not in str(caught.value)
    assert not Path("ran").exists()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_verifying_a_strangers_run_reads_no_pipe_and_no_device(tmp_path: Path, kind: str) -> None:
    """Neither as one of its files, nor as an input that its manifest names: both are read for their SHA-256."""

    def instead_of(path: Path) -> Path:
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return path

    netsim.run({**SCENARIO, "channels": ["EP4"]}, out=tmp_path / "run")
    instead_of(tmp_path / "run" / "distribution.csv")
    with pytest.raises(OSError, match="not a regular file"):
        path_sha256(instead_of(tmp_path / "input"))
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "run")])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "distribution.csv" in result.output


def test_verifying_a_strangers_run_ends_where_its_inputs_are_too_large(tmp_path: Path) -> None:
    """What comes after is not read; a file of the run may not lie elsewhere, and a name need be none."""
    run = netsim.run(SCENARIO, out=tmp_path / "run")
    (tmp_path / "small.txt").write_text("0010")
    (tmp_path / "large").mkdir()
    with (tmp_path / "large" / "sparse").open("wb") as sparse:
        sparse.truncate(2**40)
    (tmp_path / "secret").write_text("secret")
    manifest = read_manifest(run.path)
    named = [str(tmp_path / name) for name in ("small.txt", "a\0b", "large", "unread")]
    manifest["inputs"]["files"] = dict.fromkeys(named, "0" * 64)
    manifest["files"]["../secret"] = manifest["files"][str(tmp_path / "secret")] = path_sha256(tmp_path / "secret")
    RunFolder(run.path).write_manifest(manifest)
    result = CliRunner().invoke(app, ["verify", str(run.path)])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    notes = [line for line in result.output.splitlines() if line.startswith("note")]
    assert [line.split("`")[1] for line in notes if "`" in line] == [named[0], named[2]]
    assert "can't be read" in notes[1]
    assert (
        "not compared, nor is what comes after it (1 input): more than 100,000 files and folders or 32 GiB" in notes[2]
    )
    damaged = [line for line in result.output.splitlines() if line.startswith("DAMAGED")]
    assert len(damaged) == 2
    assert all("secret" in line for line in damaged)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such files on this system")
def test_a_file_that_holds_more_than_its_size_says_has_no_hash() -> None:
    """The kernel's files have size 0; one of them, /proc/self/pagemap, holds some 256 GiB."""
    for name in ("status", "pagemap"):
        with pytest.raises(OSError, match=r"longer than its size|Permission"):
            path_sha256(Path("/proc/self") / name)


def test_what_is_read_for_a_hash_of_a_folder_is_bounded(tmp_path: Path) -> None:
    """Hidden folders are not entered; each name counts, also one that is no file, and each byte."""
    places = {"a": b"1", "b/c": b"22", "b/d/e": b"333", ".hidden/f": b"4", "b/.g": b"5"}
    for name, content in places.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "loop").symlink_to(tmp_path)
    shown = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in places.items() if "." not in name)
    expected = hashlib.sha256(json.dumps([shown], separators=(",", ":")).encode()).hexdigest()
    enough = Budget(names=9, size_bytes=6)  # the folder; a, b, .hidden, loop; c, d, .g; e
    assert path_sha256(tmp_path, enough) == path_sha256(tmp_path) == expected
    assert (enough.names, enough.size_bytes, enough.spent) == (0, 0, False)
    for less in (Budget(names=8), Budget(size_bytes=5), enough):
        with pytest.raises(OSError, match="more than"):
            path_sha256(tmp_path, less)
        assert less.spent


# pipes, devices and states that netsim did not write -----------------------------------------------------------


@pytest.mark.parametrize("file", ["parts/progress.json", "manifest.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
def test_watching_a_strangers_folder_neither_hangs_nor_takes_memory(tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / "parts").mkdir()
    path = tmp_path / file
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as sparse:
            sparse.truncate(2**34)
    with pytest.raises(InputError, match=r"holds no run|can't read"):
        next(follow(tmp_path))


def test_a_state_that_netsim_did_not_write_is_shown_as_far_as_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    phases = {"p": 3, "q": {"done": "x"}, "r": {}, "s": {"done": 1, "total": 4, "elapsed_s": 2, "left_s": 1e999}}
    state = {"pid": 2**22 + 1, "said": [["plan", "two rows"], ["x"], 3, None], "phases": phases}
    (tmp_path / "parts" / "progress.json").write_text(json.dumps(state))
    result = CliRunner().invoke(app, ["watch", str(tmp_path)])
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout.splitlines()[0].split() == ["plan", "two", "rows"]
    assert result.stdout.splitlines()[1].startswith("stopped")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_files_that_somebody_else_names_are_regular(tmp_path: Path, kind: str) -> None:
    """A saved channel, an image and points of a curve that are a pipe or a device."""
    (tmp_path / "channels").mkdir()
    places = [tmp_path / "channels" / "mine.yaml", tmp_path / "image.png", tmp_path / "curve.json"]
    for path in places:
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    with pytest.raises(InputError):
        read_channel("mine", tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        read_image_file(places[1])
    with pytest.raises(InputError, match="not a regular file"):
        read_rd_json(places[2])

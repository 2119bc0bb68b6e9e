"""Files of somebody else: they run nothing, write nowhere else, and can't reach the terminal or a spreadsheet."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import netsim
from netsim.errors import InputError
from netsim.paths import check_text

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

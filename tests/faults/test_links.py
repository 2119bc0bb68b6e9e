"""Links in a run's folder: nothing is read, written or deleted where they lead, but what the run itself wrote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.runs import pipeline, results, verify
from netsim.runs.folder import RunFolder, read_manifest

SCENARIO = {"images": {"samples": ["coffee"]}, "codecs": [{"jpeg": {"quality": 20}}], "channels": ["EP4"]}
SCENARIO |= {"engine": "array", "trials": 2, "name": "linked"}
FILES = ("log.parquet", "summary.csv", "distribution.csv")


def verified(run: Path) -> tuple[int, list[str]]:
    """Exit code and lines of ``netsim verify``."""
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output.splitlines()


def linked_away(path: Path, elsewhere: Path) -> Path:
    """Move a file, and leave a link in its place."""
    elsewhere.mkdir(exist_ok=True)
    shutil.move(path, elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    return elsewhere / path.name


@pytest.mark.parametrize("listed", [True, False])
def test_verify_names_a_link_that_leaves_the_folder_and_does_not_follow_it(
    tmp_path: Path, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though what it leads to is what the run wrote; also where the manifest does not list the log."""
    run = netsim.run(SCENARIO, out=tmp_path / "run").path
    places = {name: linked_away(run / name, tmp_path / "elsewhere") for name in FILES}
    if not listed:
        manifest = read_manifest(run)
        del manifest["files"]["log.parquet"]
        RunFolder(run).write_manifest(manifest)
    read: list[Path] = []
    for module, name in ((results, "file_sha256"), (verify, "read_log")):
        monkeypatch.setattr(module, name, read.append)
    code, lines = verified(run)
    assert code == 1
    assert not read
    assert sorted(lines) == sorted(
        f"DAMAGED  `{run / name}` is a link to `{place}`, outside the run's folder: not read"
        for name, place in places.items()
    )


def test_verify_takes_no_manifest_from_elsewhere(tmp_path: Path) -> None:
    run = netsim.run(SCENARIO, out=tmp_path / "run").path
    place = linked_away(run / "manifest.json", tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"is a link to `{place}`"):
        verify.verify_run(run)


def test_a_run_whose_folder_is_a_link_is_whole(tmp_path: Path) -> None:
    """As is one with a link to a name inside it."""
    netsim.run(SCENARIO, out=tmp_path / "disk" / "run")
    (tmp_path / "runs").symlink_to("disk")
    run = tmp_path / "mine"
    run.symlink_to(tmp_path / "runs" / "run")
    (run / "summary.csv").rename(run / "table.csv")
    (run / "summary.csv").symlink_to("table.csv")
    assert verified(run) == (0, [f"whole    {run / name}" for name in FILES])
    assert len(netsim.load(run).summary) == 1


def test_a_linked_table_is_used_if_it_is_the_run_s_own(tmp_path: Path) -> None:
    """On a larger disk, or in git-annex: its hash tells. Of a manifest without hashes nobody knows."""
    run = netsim.run(SCENARIO, out=tmp_path / "run").path
    for name in FILES:
        linked_away(run / name, tmp_path / "elsewhere")
    found = netsim.load(run)
    assert len(found.log) == 2
    assert len(found.summary) == 1
    manifest = read_manifest(run)
    del manifest["files"]
    RunFolder(run).write_manifest(manifest)
    for table in ("log", "summary", "distribution"):
        with pytest.raises(InputError, match="outside the run's folder: not read"):
            getattr(netsim.load(run), table)


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped once its parts were written."""
    monkeypatch.chdir(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "write_log", stop)
        with pytest.raises(KeyboardInterrupt):
            netsim.run(SCENARIO, out="run")
    return tmp_path / "run"


@pytest.mark.parametrize("kind", ["file", "device", "pipe"])
def test_a_resumed_run_replaces_links_and_what_is_no_file(unfinished: Path, kind: str) -> None:
    foreign = unfinished.parent / "foreign"
    foreign.write_text("mine")
    part = next(unfinished.glob("parts/*.npz"))
    part.unlink()
    if kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to(foreign if kind == "file" else "/dev/zero")
    for name in FILES:
        (unfinished / name).symlink_to(foreign)
    (unfinished / "parts" / "progress.json").unlink()
    (unfinished / "parts" / "progress.json").symlink_to(foreign)
    run = netsim.run(SCENARIO, out="run")
    assert foreign.read_text() == "mine"
    assert run.path.resolve() == unfinished
    assert verified(run.path) == (0, [f"whole    {run.path / name}" for name in FILES])
    alone = netsim.run(SCENARIO, out="alone").path
    assert (alone / "log.parquet").read_bytes() == (unfinished / "log.parquet").read_bytes()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_in_place_of_a_part_is_one_error_and_stays(unfinished: Path, fresh: bool) -> None:
    part = next(unfinished.glob("parts/*.npz"))
    part.unlink()
    part.mkdir()
    (part / "file").write_text("mine")
    (unfinished / "parts" / ".mine.scratch").mkdir()
    with pytest.raises(InputError, match=r"\.npz` is a folder, where a part of the run belongs"):
        netsim.run(SCENARIO, out="run", fresh=fresh)
    assert (part / "file").read_text() == "mine"
    part.rename("elsewhere")
    assert netsim.run(SCENARIO, out="run", fresh=fresh).path.resolve() == unfinished


def test_overwriting_a_run_deletes_links_alone(unfinished: Path) -> None:
    foreign = unfinished.parent / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("mine")
    for link in (unfinished / "figures", unfinished / "parts" / "more"):
        link.symlink_to(foreign)
    run = netsim.run({**SCENARIO, "seed": 5}, out="run", exist="overwrite")
    assert (foreign / "file").read_text() == "mine"
    assert {path.name for path in run.path.iterdir()} == {*FILES, "manifest.json"}


def test_what_is_written_into_a_run_s_folder_stays_there(tmp_path: Path) -> None:
    run = netsim.run(SCENARIO, out=tmp_path / "run").path
    (tmp_path / "foreign").mkdir()
    for name in ("rd_json", "explain"):
        (run / name).symlink_to(tmp_path / "foreign")
    with pytest.raises(InputError, match="is a link to"):
        netsim.load(run).export_rd()
    explain = ["explain", str(run), "--image", "coffee", "--codec", "jpeg"]
    assert f"is a link to `{tmp_path / 'foreign'}" in str(CliRunner().invoke(app, explain).exception)
    assert not list((tmp_path / "foreign").iterdir())
    named = tmp_path / "named"  # the user's own link
    named.symlink_to(tmp_path / "foreign")
    assert netsim.load(run).export_rd(named) == [named / "jpeg-EP4.json"]

"""A run's files are taken as they were written, or not at all."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.runs import folder, tasks, transport
from netsim.runs import parts as part_files
from netsim.runs.folder import RunFolder, read_manifest
from netsim.runs.log import log_schema
from netsim.runs.parts import PartKey
from tests.runs.conftest import KilledAfter, RunOf

QUICK = ["codecs=[{jpeg: {quality: 30}}]", "engine=array", "channels=[EP4, ge-15, EP1]", "trials=3"]


@pytest.fixture
def run(scenario: Path, run_of: RunOf) -> netsim.Run:
    """A copy in ``r`` of a run of the scenario."""
    shutil.copytree(run_of(*QUICK).path, "r")
    return netsim.load("r")


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << (at % 8)
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["log.parquet", "summary.csv", "distribution.csv"])
def test_a_flipped_bit_in_a_result_is_noticed(run: netsim.Run, name: str) -> None:
    whole = (run.path / name).read_bytes()
    reader = {"log.parquet": "log", "summary.csv": "summary", "distribution.csv": "distribution"}[name]
    for at in np.random.default_rng(1).integers(0, len(whole), 40).tolist():
        _flip(run.path / name, at)
        with pytest.raises(InputError, match=name):
            getattr(netsim.load(run.path), reader)
        assert CliRunner().invoke(app, ["verify", str(run.path)]).exit_code == 1
        (run.path / name).write_bytes(whole)
    assert len(getattr(netsim.load(run.path), reader))


def test_pages_of_the_log_have_checksums(run: netsim.Run) -> None:
    """What a reader who knows nothing of manifests can check."""
    path = run.path / "log.parquet"
    column = pq.ParquetFile(path).metadata.row_group(0).column(log_schema(["psnr_db"]).get_field_index("psnr_db"))
    _flip(path, (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 2)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_a_changed_manifest_is_refused(run: netsim.Run) -> None:
    path = run.path / "manifest.json"
    whole = path.read_text()
    changed = json.loads(whole)
    changed["failure_db"] = 20.0
    renamed = whole.replace('"checksum"', '"bhecksum"')  # one bit
    for text in (json.dumps(changed), renamed, whole[:-40], "[]", "", "[" * 10_000, "\udcff"):
        path.write_text(text, errors="surrogateescape")
        with pytest.raises(InputError, match=r"manifest\.json"):
            netsim.load(run.path)
    path.write_text(whole)
    assert read_manifest(run.path) == run.manifest


def test_verify_says_what_is_whole_and_what_changed_since(scenario: Path) -> None:
    Path("t.txt").write_text("# 1=lost\n0010\n")
    run = netsim.run(scenario, out="r", overrides=[*QUICK, "channels=[{trace: t.txt}]"])
    result = CliRunner().invoke(app, ["verify", "r"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["whole"] * 3
    Path("t.txt").write_text("# 1=received\n0010\n")
    result = CliRunner().invoke(app, ["verify", "r"])
    assert result.exit_code == 0
    assert f"note     input `{Path('t.txt').resolve()}` has changed since the run" in result.stdout
    other = netsim.run(scenario, out="other", overrides=QUICK)
    (run.path / "log.parquet").write_bytes((other.path / "log.parquet").read_bytes())
    (run.path / "summary.csv").unlink()
    result = CliRunner().invoke(app, ["verify", "r"])
    assert result.exit_code == 1
    assert result.stdout.count("DAMAGED") == 2


def test_damaged_parts_are_made_again(
    scenario: Path, run: netsim.Run, monkeypatch: pytest.MonkeyPatch, killed_after: KilledAfter
) -> None:
    with killed_after(2):
        netsim.run(scenario, out="broken", overrides=QUICK)
    first, second = sorted(Path("broken/parts").glob("*.npz"))
    whole = first.read_bytes(), second.read_bytes()
    other = io.BytesIO()
    with np.load(first) as arrays:
        np.savez(other, **{**arrays, "made_by": np.array("f00f00f00f00 0")})
    for_other_run = other.getvalue() + part_files._checksum(first, other.getvalue())
    ways = {
        "truncated": whole[0][:100],
        "emptied": b"",
        "flipped": bytes([*whole[0][:500], whole[0][500] ^ 4, *whole[0][501:]]),
        "end cut": whole[0][:-1],
        "another's": whole[1],
        "other run's": for_other_run,
    }
    for way, content in ways.items():
        assert content != whole[0], way
        first.write_bytes(content)
        made: list[Path] = []
        real = transport.transport_part
        with monkeypatch.context() as patch:
            patch.setattr(
                tasks,
                "transport_part",
                lambda plan, key, streams, made=made, real=real: (
                    made.append(key.path(Path("broken/parts"))),
                    real(plan, key, streams),
                )[1],
            )
            resumed = netsim.run(scenario, out="broken", overrides=QUICK)
        assert resumed.path == Path("broken"), way
        assert first in made, way
        assert second not in made, way
        assert (resumed.path / "log.parquet").read_bytes() == (run.path / "log.parquet").read_bytes(), way
        Path("broken/manifest.json").unlink()
        for path in Path("broken").iterdir():
            path.unlink()
        Path("broken/parts").mkdir()
        second.write_bytes(whole[1])
    assert Path("broken/parts").is_dir()


def test_a_run_killed_before_its_first_manifest_is_taken_up(scenario: Path) -> None:
    Path("r/parts").mkdir(parents=True)
    Path("r/parts/lock").touch()
    Path("r/.manifest.json.abcd_123.scratch").write_text("{")
    Path("r/parts/.row-1.efgh_456.scratch").touch()
    run = netsim.run(scenario, out="r", overrides=QUICK)
    assert run.path == Path("r")
    assert sorted(path.name for path in run.path.iterdir()) == [
        *("distribution.csv", "log.parquet", "manifest.json", "summary.csv")
    ]


def test_what_to_do_with_a_run_that_exists(run: netsim.Run, scenario: Path) -> None:
    (run.path / "figure.png").touch()
    command = [
        "run",
        str(scenario),
        "--out",
        "r",
        *(word for one in QUICK for word in ("--set", one)),
        "--workers",
        "1",
    ]
    numbered = CliRunner().invoke(app, command)
    assert (numbered.exit_code, numbered.stdout.splitlines()[-1]) == (0, "r-2")
    with pytest.raises(InputError, match="`r` exists"):
        CliRunner().invoke(app, [*command, "--exist", "fail"], catch_exceptions=False)
    with pytest.raises(InputError, match="is not a way"):
        CliRunner().invoke(app, [*command, "--exist", "replace"], catch_exceptions=False)
    assert (run.path / "figure.png").exists()
    replaced = CliRunner().invoke(app, [*command, "--overwrite", "--seed", "8"])
    assert (replaced.exit_code, replaced.stdout.splitlines()[-1]) == (0, "r")
    assert not (run.path / "figure.png").exists()
    assert netsim.load("r").manifest["seed"] == 8
    new = CliRunner().invoke(app, [*(word if word != "r" else "new" for word in command), "--exist", "fail"])
    assert (new.exit_code, new.stdout.splitlines()[-1]) == (0, "new")


def test_the_first_line_says_where_a_run_goes_whose_folder_is_taken(run: netsim.Run, scenario: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("all of it")
    Path("half").mkdir()
    RunFolder(Path("half")).write_manifest({**run.manifest, "run_id": "other", "status": "running"})
    quick = ["--workers", "1", *(word for one in QUICK for word in ("--set", one))]
    for out, more, line in (
        ("r", ["--seed", "8"], "passed    `r` holds another finished run: this one goes to `r-2`"),
        ("r", [], "passed    `r` holds a finished run of the same scenario: this one goes to `r-3`"),
        ("mine", [], "passed    `mine` holds something else: this one goes to `mine-2`"),
        ("half", ["--seed", "9"], "passed    `half` holds another unfinished run: this one goes to `half-2`"),
        ("new", [], "plan "),
    ):
        done = CliRunner().invoke(app, ["run", str(scenario), "--out", out, *quick, *more])
        assert done.stderr.splitlines()[0].startswith(line)
        assert f"`{done.stdout.strip()}`" in line or out == "new"
    Path("used/parts").mkdir(parents=True)
    with Path("used/parts/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = CliRunner().invoke(app, ["run", str(scenario), "--out", "used", *quick])
    line = "passed    another process works in `used`: this one goes to `used-2`"
    assert done.stderr.splitlines()[0] == line


def test_nothing_but_a_run_is_overwritten(scenario: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("all of it")
    with pytest.raises(InputError, match="no run of netsim"):
        netsim.run(scenario, out="mine", overrides=QUICK, exist="overwrite")
    assert Path("mine/thesis.tex").read_text() == "all of it"


QUARTER = ["codecs=[{jpeg: {quality: 30}}]", "trials=2", "engine=array"]


@pytest.mark.parametrize("began", ["finished", "unfinished", "without manifest", "other scenario", "other code"])
@pytest.mark.parametrize("fresh", [False, True])
def test_overwrite_keeps_nothing_of_what_was_there(
    began: str, fresh: bool, scenario: Path, killed_after: KilledAfter, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = netsim.run(scenario, out="undisturbed", overrides=QUARTER)
    overrides = [*QUARTER, *(["seed=8"] if began == "other scenario" else [])]
    if began == "finished":
        netsim.run(scenario, out="r", overrides=overrides, fresh=fresh)
    else:
        with killed_after(1):
            netsim.run(scenario, out="r", overrides=overrides, fresh=fresh)
        assert list(Path("r/parts").glob("*.npz"))
    if began == "without manifest":
        Path("r/manifest.json").unlink()
    if began == "other code":
        monkeypatch.setattr(folder, "code_sha256", lambda: "0" * 64)
    sent: list[PartKey] = []
    send = transport.transport_part
    monkeypatch.setattr(tasks, "transport_part", lambda *of: sent.append(of[1]) or send(*of))
    run = netsim.run(scenario, out="r", overrides=QUARTER, exist="overwrite")
    assert run.path == Path("r")
    assert len(sent) == 2, "a part of the earlier run was taken"
    assert (run.path / "log.parquet").read_bytes() == (expected.path / "log.parquet").read_bytes()
    assert not Path("r/parts").exists()


def test_overwrite_without_a_folder_is_refused(scenario: Path, killed_after: KilledAfter) -> None:
    with killed_after(1):
        netsim.run(scenario, overrides=QUARTER)
    before = sorted(Path("runs").rglob("*"))
    result = CliRunner().invoke(app, ["run", str(scenario), "--overwrite"])
    assert "--out" in str(result.exception)
    assert sorted(Path("runs").rglob("*")) == before


@pytest.mark.parametrize("exist", ["fail", "overwrite"])
def test_a_refused_folder_is_left_as_it_was(exist: str, scenario: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("all of it")
    with pytest.raises(InputError):
        netsim.run(scenario, out="mine", overrides=QUARTER, exist=exist)
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


def test_somebody_elses_files_among_the_parts_stay(scenario: Path, killed_after: KilledAfter) -> None:
    mine = [Path("r/parts") / name for name in ("notes.txt", "row-1.npz", ".mine.scratch", "deep/file")]
    with killed_after(1):
        netsim.run(scenario, out="r", overrides=QUARTER, fresh=True)
    Path("r/parts/.row-000001-000000000-000000002-array.npz.abcd_123.scratch").touch()
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    netsim.run(scenario, out="r", overrides=QUARTER, fresh=True)
    assert sorted(path for path in Path("r/parts").rglob("*") if path.is_file()) == sorted(mine)
    assert netsim.load("r").manifest["status"] == "finished"


def test_a_manifest_of_another_writer_has_a_checksum_too(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_manifest({"status": "finished", "rate": float("inf"), "path": tmp_path, "text": "é"})
    assert read_manifest(tmp_path)["text"] == "é"


def test_the_folder_one_is_in_gets_a_numbered_neighbour(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``.`` and ``..`` have no name that a number could follow."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "notes.txt").touch()
    monkeypatch.chdir(inner)
    scenario = tmp_path / scenario
    assert netsim.run(scenario, out=".", overrides=QUICK).path == tmp_path / "outer" / "inner-2"
    assert netsim.run(scenario, out="..", overrides=QUICK).path == tmp_path / "outer-2"
    with pytest.raises(InputError, match="can't write to `/`"):
        netsim.run(scenario, out="/", overrides=QUICK)

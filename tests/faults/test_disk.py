"""Full disks, damaged stores and weights, folders and stores that several runs want: an error, or the same bytes."""

from __future__ import annotations

import errno
import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim.errors import InputError
from netsim.runs.folder import run_folder

FILES = ("log.parquet", "summary.csv", "distribution.csv")
SCENARIO: dict[str, Any] = {
    "name": "disk",
    "images": "images",
    "codecs": [{"jpeg": {"quality": [30, 60]}}, {"jpeg2000": {"bpp": 1.0, "packets": 5, "receiver": "resilient"}}],
    "channels": ["EP4", "ge-15"],
    "engine": "exact",
}


@pytest.fixture
def undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files of a whole run; its images are in the folder that the test is in."""
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for number in (1, 2):
        noise = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((64, 48)).save(f"images/{number}.png")
    return _files(netsim.run(SCENARIO, out="whole").path)


def _files(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


@contextmanager
def _largest_file(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond a size; Python ignores the signal, so that a write fails as on a full disk.

    Progress goes to memory meanwhile: the file that captures standard error could not grow either.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
def test_where_files_can_not_grow_a_run_ends_with_one_error_and_resumes(
    undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    for size_bytes in (0, 600, 3_000, 5_000, 9_000, 14_000, 30_000, 60_000, 1 << 30):
        monkeypatch.setenv("NETSIM_STORE", f"{size_bytes}.sqlite")
        with _largest_file(size_bytes):
            try:
                netsim.run(SCENARIO, out=f"r{size_bytes}")
            except InputError as error:
                failed.append(str(error))
        run = netsim.run(SCENARIO, out=f"r{size_bytes}")
        assert _files(run.path) == undisturbed, size_bytes
    assert 4 <= len(failed) < 9
    assert all("can't" in error for error in failed)
    assert len({error.split("`")[1] for error in failed}) > 1, "all failed at the same file"


def test_a_disk_that_fills_while_parts_are_written_loses_none_that_is_whole(
    undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fills(handle: int) -> None:
        if len(list(Path("full/parts").glob("row-*.npz"))) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fills)
    with pytest.raises(InputError, match="No space left on device"):
        netsim.run(SCENARIO, out="full")
    monkeypatch.setattr(os, "fsync", real)
    assert len(list(Path("full/parts").glob("row-*.npz"))) == 2
    assert not list(Path("full").rglob("*.scratch"))
    assert _files(netsim.run(SCENARIO, out="full").path) == undisturbed


def test_a_truncated_store_is_one_error_or_changes_no_byte(
    undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Path(os.environ["NETSIM_STORE"])
    content, errors = store.read_bytes(), []
    for share in (0.0, 0.001, 0.3, 0.6, 0.99):
        damaged = Path(f"{share}.sqlite")
        damaged.write_bytes(content[: int(share * len(content))])
        monkeypatch.setenv("NETSIM_STORE", str(damaged))
        for _ in range(2):  # damage that one run does not read may be in the next one's way
            try:
                found = netsim.run(SCENARIO, out=f"r{share}").path
            except InputError as error:
                errors.append((damaged, str(error)))
                damaged.unlink()  # as the error says
                found = netsim.run(SCENARIO, out=f"r{share}").path
            assert _files(found) == undisturbed, share
    assert errors
    assert all(f"`{damaged}`" in error and "delete" in error for damaged, error in errors)


def test_two_runs_do_not_share_a_folder(undisturbed: dict[str, bytes]) -> None:
    with run_folder(Path("r"), netsim.plan(SCENARIO)):
        for exist in ("fail", "overwrite"):
            with pytest.raises(InputError, match="another process works in `r`"):
                netsim.run(SCENARIO, out="r", exist=exist)
        beside = netsim.run(SCENARIO, out="r")
    assert beside.path == Path("r-2")
    assert _files(beside.path) == undisturbed
    assert _files(netsim.run(SCENARIO, out="r").path) == undisturbed


@pytest.mark.slow
def test_runs_that_share_a_store_at_the_same_time_write_the_same_bytes(undisturbed: dict[str, bytes]) -> None:
    environment = os.environ | {"NETSIM_STORE": "shared.sqlite"}
    code = f"import netsim, sys; netsim.run({SCENARIO!r}, out=sys.argv[1])"
    runs = [subprocess.Popen([sys.executable, "-c", code, name], env=environment) for name in ("a", "b", "c")]
    assert [run.wait(600) for run in runs] == [0, 0, 0]
    for name in ("a", "b", "c"):
        assert _files(Path(name)) == undisturbed


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from netcodecs.common.checkpoint_files import read_checkpoint
    from netcodecs.weight_files import read_weights, write_weights

    whole = tmp_path / "whole.safetensors"
    write_weights(whole, {"a": torch.arange(3000.0)}, {"size": 3})
    torch.save({"a": torch.arange(3000.0)}, tmp_path / "whole.pt")
    cut = tmp_path / "cut"
    for source, read in ((whole, read_weights), (whole, read_checkpoint), (tmp_path / "whole.pt", read_checkpoint)):
        content = source.read_bytes()
        for length in (0, 1, 7, 8, 40, 200, len(content) // 2, len(content) - 1):
            path = cut.with_suffix(source.suffix)
            path.write_bytes(content[:length])
            with pytest.raises(InputError, match=r"cut\."):
                read(path)

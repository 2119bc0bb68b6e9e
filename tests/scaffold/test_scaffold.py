"""``netsim new``: each package installs, passes its own test and its check, and runs in its scenario."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netsim.cli import app
from netsim.codec import OperatingPoint
from netsim.errors import InputError
from netsim.metrics.conformance import check_metric
from netsim.scaffold import SCAFFOLDS, write_scaffold

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", SCAFFOLDS)
def test_a_package_is_written_whole(kind: str) -> None:
    result = CliRunner().invoke(app, ["new", kind, "my_first"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "my_first"
    texts = {path: path.read_text() for path in Path("my_first").rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "netsim_my_first.py"} <= {path.name for path in texts}
    assert not any("{{" in text or "}}}" in text for text in texts.values())
    for path, text in texts.items():
        if path.suffix == ".py":
            compile(text, str(path), "exec")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("codex", "mine", "no scaffold for `codex`"),
        ("codec", "My Codec", "can't be the name of a package"),
        ("codec", "../mine", "can't be the name of a package"),
        ("codec", "x" * 41, "can't be the name of a package"),
        ("metric", "my-metric", "can't be called `my-metric`"),
        ("codec", "jpeg2000", "there is a codec `jpeg2000` already"),
        ("channel", "trace", "there is a channel `trace` already"),
        ("channel", "EP4", "there is a channel `EP4` already"),
        ("channel", "ep4", "there is a channel `EP4` already"),
        ("metric", "psnr_db", "there is a metric `psnr_db` already"),
        ("figure", "radar", "there is a figure `radar` already"),
        ("figure", "my-figure", "can't be called `my-figure`"),
        ("codec", "codecs", "there is a package `netsim-codecs` already"),  # pip would replace netsim itself
        ("metric", "class", "can't be called `class`"),
        ("codec", "none", "can't be called `none`"),
        ("channel", "false", "can't be called `false`"),
        ("codec", "null", "can't be called `null`"),  # YAML's
        ("study", "options", "can't be called `options`"),  # its class would replace the class of its options
        ("codec", "settings", "can't be called `settings`"),
        ("metric", "np", "can't be called `np`"),
        ("metric", "len", "can't be called `len`"),
        ("figure", "log", "can't be called `log`"),
        ("metric", "slot", "metric `slot` has the name of a column of every log"),
        ("metric", "psnr", "metric `psnr` has an interval in the column `psnr_low`"),
    ],
)
def test_what_can_not_be_written_is_refused(kind: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_scaffold(kind, name)
    assert not list(Path().iterdir())


def test_a_package_of_that_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec `mine` and a metric `mine` would be the same distribution."""
    monkeypatch.setattr("netsim.scaffold.distributions", lambda name: [name] if name == "netsim-mine" else [])
    with pytest.raises(InputError, match="there is a package `netsim-mine` already"):
        write_scaffold("metric", "mine")
    assert write_scaffold("metric", "ours")


def test_an_existing_folder_is_never_touched() -> None:
    Path("mine").mkdir()
    with pytest.raises(InputError, match="exists"):
        write_scaffold("codec", "mine")
    assert not list(Path("mine").iterdir())


def test_the_codec_of_the_scaffold_sends_the_bits_that_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scaffold("codec", "rows-of-bits")
    monkeypatch.syspath_prepend(tmp_path / "rows-of-bits")
    codec = import_module("netsim_rows_of_bits").RowsOfBits()
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    for bits in (1, 3, 8):
        stream = codec.encode(image, OperatingPoint("bits", bits))
        assert stream.sizes_bytes.tolist() == [6, *[3 * 32 * bits // 8] * 24]
        decoded = codec.decode(stream, np.ones((1, 25), dtype=bool))[0]
        assert np.abs(decoded.astype(int) - image).max() <= 128 >> bits


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCAFFOLDS)
def test_a_package_installs_checks_tests_and_runs(kind: str, tmp_path: Path) -> None:
    write_scaffold(kind, "my_first")
    site = tmp_path / "site"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT), str(ROOT / "codecs")])}

    def run(*command: str, cwd: Path = tmp_path / "my_first") -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), ".")
    run("pytest", "-q", "-p", "no:cacheprovider")
    if kind == "study":
        run("netsim", "reproduce", "my_first/example")
    elif kind == "figure":
        folder = run("netsim", "run", "scenario.yaml", "--workers", "1").splitlines()[-1]
        run("netsim", "plot", "my_first", folder)
        assert {"my_first.png", "my_first.svg", "my_first.csv"} <= set(os.listdir(tmp_path / "my_first" / folder))
    else:
        check = ["--at", "bits=4"] if kind == "codec" else []
        assert "keeps its contract" in run("netsim", f"check-{kind}", "my_first", *check)
        run("netsim", "run", "scenario.yaml", "--workers", "1")


# check-metric -------------------------------------------------------------------------------------------------


def mean_error(reference, images):  # type: ignore[no-untyped-def]
    return np.abs(images.astype(float) - reference).reshape(len(images), -1).mean(axis=1)


def failed_checks(metric) -> list[str]:  # type: ignore[no-untyped-def]
    return [check.name for check in check_metric(metric) if not check.passed]


def test_each_fault_of_a_metric_is_found_by_its_check() -> None:
    def better(reference, images):  # type: ignore[no-untyped-def]
        return mean_error(reference, images)

    better.higher_is_better = True

    def narrow(reference, images):  # type: ignore[no-untyped-def]
        return mean_error(reference, images)

    narrow.highest = 1.0

    calls = []

    def drifting(reference, images):  # type: ignore[no-untyped-def]
        calls.append(1)
        return mean_error(reference, images) + len(calls)

    assert failed_checks(mean_error) == []
    assert failed_checks(lambda r, i: mean_error(r, i)[:1])[0] == "one number per image"
    assert failed_checks(lambda r, i: mean_error(r, i) * len(i)) == ["alone as among others"]
    assert "nothing changes" in failed_checks(drifting)
    assert failed_checks(narrow) == ["within its range"]
    assert failed_checks(better) == ["the reference is best"]
    assert set(failed_checks(lambda r, i: 1 / 0)) >= {"one number per image"}


def test_check_metric_as_a_command() -> None:
    result = CliRunner().invoke(app, ["check-metric", "psnr_db"])
    assert result.exit_code == 0
    assert "psnr_db keeps its contract" in result.output

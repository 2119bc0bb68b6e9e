"""For all tests and doctests: a temporary store, temporary settings, one thread, and none of the user's shell."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

import pytest

_numbers = count()
_FOREIGN = ("NETSIM_KODAK", "MPLBACKEND", "PYTHONIOENCODING")


def pytest_configure(config: pytest.Config) -> None:
    """Points store and settings at a temporary folder, also for session fixtures and for child processes."""
    folder = tempfile.mkdtemp(prefix="netsim-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["NETSIM_STORE"] = str(Path(folder) / "store.sqlite")
    os.environ["NETSIM_CONFIG"] = str(Path(folder) / "config")
    os.environ["NETSIM_PROGRAMS"] = "/"  # tests name programs of their own
    # Workers of pytest-xdist share the cores: threads that wait for each other there take six times the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.fsync = lambda file: None  # no test cuts the power, and hundreds of runs would wait for the disk


def pytest_collection_finish() -> None:
    """Modules live to the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and settings of its own for every test: no test reads what another one wrote, or what the user has.

    Files of one folder, made by who writes them: most tests write none.
    """
    number = next(_numbers)
    monkeypatch.setenv("NETSIM_STORE", str(Path(os.environ["NETSIM_STORE"]).with_name(f"store-{number}.sqlite")))
    monkeypatch.setenv("NETSIM_CONFIG", str(Path(os.environ["NETSIM_CONFIG"]).with_name(f"config-{number}")))


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is registered at run time until the test registers it, and what it registers is gone afterwards."""
    from netsim import registry

    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.KINDS})


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's temporary folder, as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

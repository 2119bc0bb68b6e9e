"""For all tests and doctests: a temporary store, temporary settings, one thread, and none of the user's shell."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

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


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and settings of its own for every test: no test reads what another one wrote, or what the user has."""
    own = tmp_path_factory.mktemp("store", numbered=True)
    monkeypatch.setenv("NETSIM_STORE", str(own / "store.sqlite"))
    monkeypatch.setenv("NETSIM_CONFIG", str(own / "config"))


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

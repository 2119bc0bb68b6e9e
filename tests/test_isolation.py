"""No test touches the user's own cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs
import pytest

from netsim.decoding.store import Store, default_store_path

SEEN: set[Path] = set()


@pytest.fixture(scope="session")
def store_of_a_session_fixture() -> Path:
    return default_store_path()


def test_session_fixtures_have_a_temporary_store(store_of_a_session_fixture: Path) -> None:
    assert store_of_a_session_fixture.is_relative_to(tempfile.gettempdir())


@pytest.mark.parametrize("turn", [0, 1])
def test_every_test_has_a_store_of_its_own(turn: int) -> None:
    path = default_store_path()
    assert not path.is_relative_to(platformdirs.user_cache_dir("netsim"))
    assert path not in SEEN
    SEEN.add(path)
    with Store() as store:
        assert store.path == path
    assert path.is_file()
    assert os.environ["NETSIM_STORE"] == str(path)  # what a child process inherits

"""What a metric's identity is made of: remembered qualities are valid as long as it stays the same."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import pytest

from netsim.registry import entry_module, load_plugin
from netsim.source import _code_of


def test_a_metric_of_netsim_is_its_own_modules_and_not_the_whole_package() -> None:
    code = _code_of(load_plugin("metric", "psnr_db"), entry_module("metric", "psnr_db"))
    assert set(code.sources) == {"netsim", "netsim.errors", "netsim.metrics", "netsim.metrics.psnr"}


def test_links_to_nothing_and_to_themselves_in_a_package_are_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "metric_with_links"
    package.mkdir()
    (package / "__init__.py").write_text("TABLE = 'table.csv'\ndef metric(): return TABLE\n")
    (package / "table.csv").write_text("1\n")
    (package / "again").symlink_to("again")
    (package / "nothing.csv").symlink_to("nowhere.csv")
    monkeypatch.syspath_prepend(tmp_path)
    code = _code_of(importlib.import_module("metric_with_links").metric, ("metric_with_links",))
    assert code.data == {"table.csv": hashlib.sha256(b"1\n").hexdigest()}

"""What a metric's identity is made of: remembered qualities are valid as long as it stays the same."""

from __future__ import annotations

from netsim.registry import entry_module, load_plugin
from netsim.source import _code_of


def test_a_metric_of_netsim_is_its_own_modules_and_not_the_whole_package() -> None:
    code = _code_of(load_plugin("metric", "psnr_db"), entry_module("metric", "psnr_db"))
    assert set(code.sources) == {"netsim", "netsim.errors", "netsim.metrics", "netsim.metrics.psnr"}

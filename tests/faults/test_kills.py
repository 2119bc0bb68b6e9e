"""A killed run, worker or driver: the repeated command gives the undisturbed bytes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults.kills import TARGETS, kill_once, undisturbed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc"),
]


@pytest.mark.parametrize(("way", "targets"), [("workers", TARGETS), ("ray", ("worker", "driver"))])
def test_kills_at_random_moments_change_no_byte(way: str, targets: tuple[str, ...], tmp_path: Path) -> None:
    """One kill of each target; a start of Ray takes many seconds. ``python -m tests.faults`` kills more often."""
    if way == "ray":
        pytest.importorskip("ray")
    expected, rng = undisturbed(tmp_path, [way]), Random(way)
    for number, target in enumerate(targets):
        kill = kill_once(tmp_path, f"r{number}", way, target, expected, rng)
        assert not kill.faults, kill

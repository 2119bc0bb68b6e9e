"""Machine code on disk is used again, and never after a callee or a constant of another file has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_INNER = """
from netsim.compiling import compiled
STEP = {step}
@compiled
def inner(x):
    return x * {factor}
"""
_OUTER = """
from inner import STEP, inner
from netsim.compiling import compiled
@compiled
def outer(x):
    return inner(x) + STEP
"""
_PRINT = """
from outer import outer
print(outer(10), sum(outer.stats.cache_hits.values()))
"""


@pytest.mark.parametrize(("step", "factor", "expected"), [(1, 3, "31 0"), (5, 2, "25 0"), (1, 2, "21 1")])
def test_machine_code_follows_callees_and_constants_of_other_files(
    step: int, factor: int, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "outer.py").write_text(_OUTER)

    def run(**numbers: int) -> str:
        (tmp_path / "inner.py").write_text(_INNER.format(**numbers))
        environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[1]}{os.pathsep}{tmp_path}"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(tmp_path / "machine")}
        given = [sys.executable, "-c", _PRINT]
        done = subprocess.run(given, capture_output=True, text=True, check=True, timeout=120, env=environment)
        return done.stdout.strip()

    assert run(step=1, factor=2) == "21 0"
    assert run(step=step, factor=factor) == expected

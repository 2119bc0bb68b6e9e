"""What benchmarks measure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARENT = """
import subprocess, sys
large = bytearray(b"x") * (300 << 20)
subprocess.run([sys.executable, "-c", "from benchmarks.peak import peak_mib; print(peak_mib())"], check=True)
"""


def test_a_peak_of_memory_is_that_of_the_process_itself() -> None:
    """Not of the one that started it, which has 300 MiB; a bare interpreter takes some ten."""
    done = subprocess.run([sys.executable, "-c", PARENT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < 100

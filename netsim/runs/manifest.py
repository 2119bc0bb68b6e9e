"""The manifest: what it takes to run it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from netsim.distribution import installed_version
from netsim.scenario.inputs import code_of
from netsim.scenario.plan import Plan

__all__ = ["git_revision", "manifest"]

_PACKAGES = ("numpy", "scipy", "pandas", "pyarrow", "simpy", "pillow", "imageio-ffmpeg", "reedsolo", "torch")
_GIT_S = 5


def manifest(plan: Plan, notes: list[str], workers: int, cluster: str | None = None) -> dict[str, Any]:
    """Scenario as resolved, seeds, versions, digests of the code, device; the run adds its tools and engines.

    Args:
        plan: The plan.
        notes: Sentences that stand beside the results.
        workers: Number of processes.
        cluster: Address of the cluster that replaces them; None: none.

    Returns:
        Values that JSON has, and some that become texts there.
    """
    where = {"workers": workers} if cluster is None else {"cluster": cluster}
    return {
        "name": plan.name,
        "status": "running",
        "run_id": plan.run_id,
        "scenario": plan.resolved,
        "codec_files": dict(plan.codec_files),
        "failure_db": plan.failure_db,
        "seed": plan.seed,
        "plan": {
            "rows": len(plan.rows),
            "trials": plan.trials,
            "slots": plan.slots,
            "images": dict(zip(plan.image_names, plan.image_hashes, strict=True)),
        },
        "inputs": plan.inputs.as_dict(),
        "notes": notes,
        "versions": {
            "netsim": installed_version(),
            **{name: _version(name) for name in _PACKAGES},
            "python": platform.python_version(),
        },
        "git": git_revision(),
        "code": code_of(plan),
        "device": {"machine": platform.machine(), "system": platform.system(), **where},
        "command": ["netsim", *sys.argv[1:]],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Revision of the checkout that netsim runs from.

    Returns:
        The commit, with ``+`` if the checkout was changed. None where netsim is installed as a copy: the checkout
        around such an environment is another project's, or has moved on since.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # a hook names its repository
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_S, env=own)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    revision = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "(initial)")
    changed = any(not line.startswith("#") for line in lines)
    return None if revision == "(initial)" else revision + ("+" if changed else "")

"""What every task of a run needs: the plan, the store's place, and objects made once per process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from netsim.decoding.cache import CodecCache, StreamKey
from netsim.decoding.store import Store
from netsim.digests import path_sha256
from netsim.errors import InputError
from netsim.protection.rate_budget import SENT_BPP
from netsim.scenario.inputs import inputs_of
from netsim.scenario.plan import Plan, PlanRow, Scheme

__all__ = ["RunContext", "check_inputs", "codec_cache", "stream_key_of"]


@dataclass(frozen=True)
class RunContext:
    """A run's context, sent to each worker once."""

    plan: Plan
    store_path: Path
    parts: Path


@lru_cache(maxsize=4)
def codec_cache(store_path: Path) -> CodecCache:
    """The codec cache of this process."""
    return CodecCache(Store(store_path))


def check_inputs(job: RunContext) -> None:
    """Check that this process works with the inputs that the run began with.

    Plug-ins are checked once per process (a worker imports them anew), files each time.

    Raises:
        InputError: If one has changed.
    """
    plan = job.plan
    changes = _changes_at_start(plan.run_id, job) or [
        f"`{path}` has changed" for path, sha256 in plan.inputs.files.items() if _sha256(path) != sha256
    ]
    if changes:
        message = f"{changes[0]} since the run began"
        raise InputError(message, hint="run the same command again: it begins a run with the inputs as they are now")


_checked: dict[str, list[str]] = {}


def _changes_at_start(run_id: str, job: RunContext) -> list[str]:
    if run_id not in _checked:
        _checked[run_id] = inputs_of(job.plan).changes(job.plan.inputs.as_dict())
    return _checked[run_id]


def _sha256(path: str) -> str | None:
    try:
        return path_sha256(Path(path))
    except OSError:
        return None


def stream_key_of(plan: Plan, row: PlanRow, image: int, scheme: Scheme) -> StreamKey:
    """Which stream a slot of a row sends. The link's packet limit, less what protection adds, binds the codec.

    Args:
        plan: The plan.
        row: The row.
        image: Number of the image.
        scheme: One of the row's schemes.

    Raises:
        InputError: The link has no room for a payload.
    """
    limit = row.link.packet_limit_bytes
    if limit is not None:
        limit -= scheme.protection.overhead_bytes
        if limit < 1:
            raise InputError(f"link {row.link_name} leaves no room for a payload under {scheme.protection_name}")
    item: Any = plan.images.items[image]
    key = StreamKey(item, scheme.codec.name, scheme.codec.settings, scheme.point, limit)
    if scheme.point.key != SENT_BPP:
        return key
    return replace(key, protection_identity=scheme.protection_identity, protection=scheme.protection)

"""Under which name a metric's values are remembered."""

from __future__ import annotations

from netsim.digests import digest
from netsim.plugins import entry_module, load_plugin
from netsim.source import imported_versions, source_identity

__all__ = ["metric_identity"]

GROUP = "netsim.metrics"


def metric_identity(name: str) -> str:
    """A metric's name with a digest of its code and of the versions of what it imports.

    Args:
        name: As in a scenario.

    Returns:
        ``psnr_db 3f5b…``: a changed metric has another identity.

    Raises:
        InputError: If there is no such metric.
    """
    metric, modules = load_plugin(GROUP, name), entry_module(GROUP, name)
    return f"{name} {digest(source_identity(metric, *modules), imported_versions(metric, *modules))[:32]}"

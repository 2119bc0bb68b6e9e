"""Under which name a metric's values are remembered."""

from __future__ import annotations

from netsim.registry import plugin_identity

__all__ = ["metric_identity"]


def metric_identity(name: str) -> str:
    """A metric's name with a digest of its code and of the versions of what it imports.

    Args:
        name: As in a scenario.

    Returns:
        ``psnr_db 3f5b…``: a changed metric has another identity.

    Raises:
        InputError: If there is no such metric.
    """
    return f"{name} {plugin_identity('metric', name)[:32]}"

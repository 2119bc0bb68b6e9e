"""Where the weights lie that ship."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["shipped_weights"]

_CHECKOUT = Path(__file__).parents[1] / "weights"
_PACKAGE = "netcodecs_weights"


def shipped_weights(name: str) -> Path:
    """The path of shipped weights: in a checkout, or in the installed distribution of the weights.

    Args:
        name: Name of the file, without ``.safetensors``.

    Returns:
        A path; the file is missing where the weights are not installed.
    """
    found = None if _CHECKOUT.is_dir() else find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or []) if found is not None else []
    return (Path(folders[0]) if folders else _CHECKOUT) / f"{name}.safetensors"

"""Discrete-event network transmission simulator for image codecs on bad networks.

>>> import netsim
>>> sorted(netsim.__all__)
['InputError', 'Run', 'load', 'run']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netsim.errors import InputError

if TYPE_CHECKING:
    from netsim.runs.api import load, run
    from netsim.runs.results import Run

__all__ = ["InputError", "Run", "load", "run"]

_LAZY = {"Run": "netsim.runs.results", "load": "netsim.runs.api", "run": "netsim.runs.api"}


def __getattr__(name: str) -> Any:
    """`run`, `load` and `Run` are fetched when asked for: `import netsim` loads no numpy."""
    if name not in _LAZY:
        raise AttributeError(f"module 'netsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)

"""Discrete-event network transmission simulator for image codecs on bad networks.

>>> import netsim
>>> " ".join(dir(netsim))  # doctest: +NORMALIZE_WHITESPACE
'Channel Codec CodecSettings InputError LinkProfile OperatingPoint Packet Plan Protection Run Stream Study
StudyOptions __version__ channels codec load plan register reproduce run'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError

if TYPE_CHECKING:
    from netsim import channels, codec
    from netsim.api import load, plan, run
    from netsim.channels.base import Channel
    from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
    from netsim.links.profile import LinkProfile
    from netsim.protection.base import Protection
    from netsim.registry import register
    from netsim.results import Run
    from netsim.scenario.plan import Plan
    from netsim.studies.api import reproduce
    from netsim.studies.study import Study, StudyOptions

    __version__: str

__all__ = [
    "Channel",
    "Codec",
    "CodecSettings",
    "InputError",
    "LinkProfile",
    "OperatingPoint",
    "Packet",
    "Plan",
    "Protection",
    "Run",
    "Stream",
    "Study",
    "StudyOptions",
    "__version__",
    "channels",
    "codec",
    "load",
    "plan",
    "register",
    "reproduce",
    "run",
]

_MODULES = {
    "netsim.channels.base": ("Channel",),
    "netsim.codec": ("Codec", "CodecSettings", "OperatingPoint", "Packet", "Stream"),
    "netsim.links.profile": ("LinkProfile",),
    "netsim.protection.base": ("Protection",),
    "netsim.registry": ("register",),
    "netsim.api": ("load", "plan", "run"),
    "netsim.results": ("Run",),
    "netsim.scenario.plan": ("Plan",),
    "netsim.studies.api": ("reproduce",),
    "netsim.studies.study": ("Study", "StudyOptions"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for: `import netsim` loads no numpy."""
    if name in ("channels", "codec"):
        return import_module(f"netsim.{name}")
    if name == "__version__":
        return _version()
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    from netsim.errors import did_you_mean

    hint = "" if name.startswith("_") else f"; {did_you_mean(name, __all__)}"
    raise AttributeError(f"module 'netsim' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    """Exactly the public names."""
    return sorted(__all__)


def _version() -> str:
    """Of the distribution that installed this package, whatever its name."""
    from importlib.metadata import entry_points

    for point in entry_points(group="netsim.metrics", name="psnr_db"):
        if point.dist is not None:
            return point.dist.version
    return "unknown"

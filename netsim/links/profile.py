"""Link profiles: a link's numbers, the ready profiles, and the forms in which a scenario names one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from netsim.channels.traces import RateTrace, read_rate_trace
from netsim.errors import InputError, did_you_mean
from netsim.links.geometry import EARTH_RADIUS_KM, GEO_ORBIT_HEIGHT_KM, SPEED_OF_LIGHT_KM_S, slant_range_km
from netsim.paths import user_path
from netsim.registry import load_plugin, plugin_names, unknown_hint
from netsim.validation import check_number, check_whole, is_number

__all__ = [
    "GEO",
    "IDEAL",
    "MOBILE",
    "WLAN",
    "LinkProfile",
    "built_in_names",
    "geo_propagation_s",
    "link_from_spec",
    "link_names",
    "resolved_link",
]

_SHORTEST_S, _LONGEST_S = 1e-15, 1e9
_SLOWEST_BPS, _FASTEST_BPS = 1e-3, 1e15
_LARGEST_BYTES = 2**31 - 1
_FARTHEST_KM = 1e9
"""Limits far beyond any link; within them no sum of times overflows."""


@dataclass(frozen=True)
class LinkProfile:
    """A link's numbers. By default a link takes no time and has no limits.

    Attributes:
        name: Name in logs and figures.
        rate_bps: Bit rate, inf allowed.
        interval_s: Least time between the starts of two packets.
        propagation_s: Time from the end of a packet's transmission to its arrival.
        jitter_s: Random delay of each packet, uniform in [0, jitter_s); packets may overtake each other.
        mtu_bytes: Largest packet on the wire, headers included; None: no limit.
        overhead_bytes: Headers of each packet: they take time on the wire but carry no image data.
        queue_packets: Packets that may wait to start (the one being sent is not waiting); None: no limit.
        feedback_delay_s: Time that a report takes from the receiver back to the sender.
        period_s: Time between the starts of two slots; None: a slot starts when the sender's last packet of the slot
            before has left.
        deadline_s: Time after the slot's start after which a packet is late; None: nothing is late.
        rate_trace: When the link can deliver, in place of ``rate_bps``: a Mahimahi trace; None: at ``rate_bps`` always.

    Raises:
        InputError: A number is out of range; ``key`` names the field.
    """

    name: str = "ideal"
    rate_bps: float = math.inf
    interval_s: float = 0.0
    propagation_s: float = 0.0
    jitter_s: float = 0.0
    mtu_bytes: int | None = None
    overhead_bytes: int = 0
    queue_packets: int | None = None
    feedback_delay_s: float = 0.0
    period_s: float | None = None
    deadline_s: float | None = None
    rate_trace: RateTrace | None = None

    def __post_init__(self) -> None:
        if self.rate_trace is not None and not isinstance(self.rate_trace, RateTrace):
            message = f"rate_trace is {self.rate_trace!r}"
            raise InputError(message, hint="in a scenario the path of a Mahimahi trace", key=("rate_trace",))
        for key in ("interval_s", "propagation_s", "jitter_s", "feedback_delay_s"):
            check_number(key, getattr(self, key), least=_SHORTEST_S, most=_LONGEST_S)
        check_number("rate_bps", self.rate_bps, above_zero=True, infinite=True, least=_SLOWEST_BPS, most=_FASTEST_BPS)
        for key in ("period_s", "deadline_s"):
            if getattr(self, key) is not None:
                check_number(key, getattr(self, key), above_zero=True, least=_SHORTEST_S, most=_LONGEST_S)
        check_whole("overhead_bytes", self.overhead_bytes, most=_LARGEST_BYTES)
        for key in ("mtu_bytes", "queue_packets"):
            if getattr(self, key) is not None:
                check_whole(key, getattr(self, key))
        if self.mtu_bytes is not None and self.mtu_bytes <= self.overhead_bytes:
            message = f"mtu_bytes {self.mtu_bytes} leaves no room beside {self.overhead_bytes} bytes of headers"
            raise InputError(message, hint="mtu_bytes counts the headers (overhead_bytes) too", key=("mtu_bytes",))

    @property
    def packet_limit_bytes(self) -> int | None:
        """Largest payload: mtu_bytes − overhead_bytes, or None."""
        return None if self.mtu_bytes is None else self.mtu_bytes - self.overhead_bytes


def geo_propagation_s(
    elevation_deg: tuple[float, float],
    orbit_height_km: float = GEO_ORBIT_HEIGHT_KM,
    earth_radius_km: float = EARTH_RADIUS_KM,
) -> float:
    """Propagation delay up to the satellite and down again at the speed of light.

    Args:
        elevation_deg: Elevation angle at which each of the two stations sees the satellite.
        orbit_height_km: Height of the orbit above the surface.
        earth_radius_km: Radius of the spherical earth.

    Returns:
        Seconds.

    >>> round(geo_propagation_s((35, 42)), 6)
    0.252861
    """
    up, down = (slant_range_km(angle, orbit_height_km, earth_radius_km) for angle in elevation_deg)
    return (up + down) / SPEED_OF_LIGHT_KM_S


GEO_ELEVATION_DEG = (35.0, 42.0)
"""Elevation angles at which sender and receiver see the satellite, by default."""

IDEAL = LinkProfile()
"""A link that takes no time and has no limits."""

GEO = LinkProfile(
    "geo",
    rate_bps=9_600.0,
    interval_s=10.0,
    propagation_s=geo_propagation_s(GEO_ELEVATION_DEG),
    mtu_bytes=928,
    overhead_bytes=28,
    feedback_delay_s=geo_propagation_s(GEO_ELEVATION_DEG),
)
"""Short bursts of data over a geostationary satellite; docs/reference/links.md gives the source of each number."""

WLAN = LinkProfile(
    "wlan",
    rate_bps=24e6,
    interval_s=2e-4,
    propagation_s=1e-6,
    jitter_s=2e-3,
    mtu_bytes=1500,
    overhead_bytes=40,
    queue_packets=100,
    feedback_delay_s=2e-3,
)
"""One hop of IEEE 802.11g at 54 Mb/s, of which 24 Mb/s are left after contention and acknowledgements."""

MOBILE = LinkProfile(
    "mobile",
    rate_bps=5e6,
    interval_s=1e-3,
    propagation_s=0.03,
    jitter_s=0.015,
    mtu_bytes=1500,
    overhead_bytes=40,
    queue_packets=200,
    feedback_delay_s=0.03,
)
"""An LTE uplink: transmission intervals of 1 ms, some 30 ms one way through the operator's network."""

_PROFILES = {profile.name: profile for profile in (IDEAL, GEO, WLAN, MOBILE)}
_GEOMETRY = ("elevation_deg", "orbit_height_km", "earth_radius_km")
_NUMBERS = tuple(field.name for field in fields(LinkProfile) if field.name != "name")


def built_in_names() -> list[str]:
    """Names of netsim's own profiles.

    Returns:
        In the order of their definition.
    """
    return list(_PROFILES)


def link_names() -> list[str]:
    """Names of all profiles: netsim's own, and plug-ins.

    Returns:
        netsim's own first.
    """
    return [*_PROFILES, *plugin_names("link")]


def link_from_spec(spec: str | Mapping[str, Any] | None, base_dir: Path = Path()) -> LinkProfile:
    """The link that a scenario names.

    ``geo`` also takes ``elevation_deg`` (of both stations, or one number for both), ``orbit_height_km`` and
    ``earth_radius_km``; they set the propagation and feedback delays unless those are given. Reports cross the same
    orbit: the feedback of ``geo`` takes as long as its propagation unless it is given.

    Args:
        spec: None (the ideal link), a profile's name, or a name with some of its numbers. ``name`` among the numbers
            is the link's name in logs and figures: several links of one profile need it. ``rate_trace`` is a path.
        base_dir: Folder at which relative paths start.

    Returns:
        The link's profile.

    Raises:
        InputError: A faulty specification; ``key`` is relative to ``spec``.

    >>> link_from_spec("wlan").packet_limit_bytes
    1460
    >>> link = link_from_spec({"geo": {"elevation_deg": [90, 90], "rate_bps": 2400}})
    >>> link.rate_bps, round(link.propagation_s, 6)
    (2400, 0.238738)
    """
    if spec is None:
        return IDEAL
    if isinstance(spec, str):
        return _profile(spec)
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise _not_one(spec)
    name, numbers = next(iter(spec.items()))
    profile = _profile(name, key=(str(name),))
    if numbers is None:
        return profile
    if not isinstance(numbers, Mapping):
        message = f"link {name}: {numbers!r} is not a list of settings"
        raise InputError(message, hint=f"write `{name}: {{rate_bps: 9600}}`", key=(name,))
    known = ("name", *_NUMBERS, *(_GEOMETRY if name == "geo" else ()))
    if "name" in numbers and not (isinstance(numbers["name"], str) and numbers["name"].strip()):
        message = f"link {name}: name {numbers['name']!r} is not a text"
        raise InputError(message, hint=f"{name}: {{name: slow {name}, …}}", key=(name, "name"))
    for key in numbers:
        if key not in known:
            raise InputError(f"link {name} has no setting `{key}`", hint=did_you_mean(str(key), known), key=(name, key))
    geometry = {key: value for key, value in numbers.items() if key in _GEOMETRY}
    try:
        given = {key: value for key, value in numbers.items() if key not in _GEOMETRY}
        delays = _geo_delays(geometry) if geometry else {}
        if "rate_trace" in given:
            given |= _rate_trace(given, base_dir)
        if name == "geo" and "propagation_s" in given:
            delays["feedback_delay_s"] = given["propagation_s"]
        return replace(profile, **(delays | given))
    except InputError as error:
        message = error.message if error.where else f"link {name}: {error.message}"
        raise InputError(message, where=error.where, hint=error.hint, key=(name, *error.key)) from None


def _not_one(spec: Any) -> InputError:
    """What is wrong with a link that is no mapping of one key: two profiles, or a number beside its profile."""
    if not isinstance(spec, Mapping) or not spec:
        return InputError(f"link {spec!r} is not one profile", hint=_LINK)
    names = [key for key in spec if key in link_names()]
    beside = " and ".join(f"`{key}`" for key in spec)
    odd = next((key for key in spec if key not in names), None)
    if odd is None:
        return InputError(
            f"link {beside} is not one profile", hint=f"several links are a list: link: [{', '.join(names)}]"
        )
    if not names:
        return InputError(f"no link's name among {beside}", hint=_LINK, key=(odd,))
    hint = f"inside: `{names[0]}: {{{odd}: {spec[odd]}}}`\nwith --set: `{names[0]}.{odd}` in place of `{odd}`"
    return InputError(f"{beside} stand beside each other in a link", hint=hint, key=(odd,))


_LINK = "write `geo` or `geo: {rate_bps: 9600}`"


def resolved_link(spec: Any, base_dir: Path) -> Any:
    """A link's specification that holds wherever it is read: the path of a rate trace made absolute.

    Args:
        spec: As for ``link_from_spec``.
        base_dir: Folder at which a relative path starts.

    Returns:
        The specification, with the trace's absolute path.
    """
    if not isinstance(spec, Mapping):
        return spec
    return {
        name: {**numbers, "rate_trace": str(user_path(numbers["rate_trace"], base_dir).resolve())}
        if isinstance(numbers, Mapping) and isinstance(numbers.get("rate_trace"), str)
        else numbers
        for name, numbers in spec.items()
    }


def _rate_trace(given: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """A link's rate trace from its path, and its mean rate, which stands in tables."""
    if "rate_bps" in given:
        message = f"rate_bps {given['rate_bps']!r} beside a rate_trace"
        raise InputError(message, hint="the trace is the rate: leave rate_bps out", key=("rate_bps",))
    if not isinstance(given["rate_trace"], str):
        message = f"rate_trace is {given['rate_trace']!r}"
        raise InputError(message, hint="the path of a Mahimahi trace", key=("rate_trace",))
    try:
        trace = read_rate_trace(user_path(given["rate_trace"], base_dir))
    except InputError as error:
        raise InputError(error.message, where=error.where, hint=error.hint, key=("rate_trace",)) from None
    return {"rate_trace": trace, "rate_bps": trace.mean_rate_bps}


def _profile(name: Any, key: tuple[str, ...] = ()) -> LinkProfile:
    if name in _PROFILES:
        return _PROFILES[name]
    if name not in link_names():
        raise InputError(f"unknown link `{name}`", hint=unknown_hint("link", name, link_names()), key=key)
    profile = load_plugin("link", name)
    if not isinstance(profile, LinkProfile):
        raise InputError(f"link plug-in `{name}` is {profile!r}", hint="a netsim.links.profile.LinkProfile", key=key)
    return profile


def _geo_delays(geometry: Mapping[str, Any]) -> dict[str, float]:
    """Propagation and feedback delay from elevation angles and heights."""
    angles = geometry.get("elevation_deg", GEO_ELEVATION_DEG)
    if not isinstance(angles, list | tuple):
        angles = (angles, angles)
    if len(angles) != 2 or not all(is_number(angle) and 0 <= angle <= 90 for angle in angles):
        message = f"elevation_deg {geometry['elevation_deg']!r} is not the elevation of two stations"
        raise InputError(message, hint="two angles of 0 to 90 degrees: [35, 42]", key=("elevation_deg",))
    heights = {key: geometry[key] for key in _GEOMETRY[1:] if key in geometry}
    for key, value in heights.items():
        check_number(key, value, above_zero=True, most=_FARTHEST_KM)
    delay = geo_propagation_s((angles[0], angles[1]), **heights)
    return {"propagation_s": delay, "feedback_delay_s": delay}

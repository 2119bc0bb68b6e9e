"""Distance to a geostationary satellite from the elevation angle at which a station sees it."""

from __future__ import annotations

import math

__all__ = ["EARTH_RADIUS_KM", "GEO_ORBIT_HEIGHT_KM", "SPEED_OF_LIGHT_KM_S", "slant_range_km"]

SPEED_OF_LIGHT_KM_S = 299_792.458
"""In vacuum, exact by definition of the metre."""

EARTH_RADIUS_KM = 6371.0
"""Mean radius (IUGG R1, rounded). The equatorial 6378.137 km would lengthen each leg by 6 to 8 µs at 35° to 42°."""

GEO_ORBIT_HEIGHT_KM = 35_786.0
"""Height of the geostationary orbit above the earth's surface."""


def slant_range_km(
    elevation_deg: float, orbit_height_km: float = GEO_ORBIT_HEIGHT_KM, earth_radius_km: float = EARTH_RADIUS_KM
) -> float:
    """Distance between a station and a satellite that it sees ``elevation_deg`` above its horizon, in km.

    Law of cosines in the triangle earth's centre, station, satellite on a spherical earth; the angle at the station is
    90° + elevation: (R + h)² = R² + d² + 2 R d sin(elevation), solved for d > 0.

    Args:
        elevation_deg: Elevation angle, 0 to 90.
        orbit_height_km: Height of the orbit above the surface.
        earth_radius_km: Radius of the earth.

    Returns:
        Kilometres.

    >>> slant_range_km(90.0)                          # overhead: the orbit's height
    35786.0
    >>> round(slant_range_km(35.0), 1)
    38178.5
    """
    elevation = math.radians(elevation_deg)
    orbit_radius = earth_radius_km + orbit_height_km
    across = earth_radius_km * math.cos(elevation)
    return math.sqrt(orbit_radius**2 - across**2) - earth_radius_km * math.sin(elevation)

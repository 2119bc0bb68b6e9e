"""Profiles: the published numbers, overriding, refusals; and the geometry of a GEO hop."""

import math
from pathlib import Path

import pytest

from netsim.errors import InputError
from netsim.links.profile import GEO, IDEAL, LinkProfile, link_from_spec, link_names


def test_names_and_defaults():
    assert link_names() == ["ideal", "geo", "wlan", "mobile"]
    assert link_from_spec(None) is IDEAL
    assert link_from_spec("ideal").rate_bps == math.inf
    assert link_from_spec({"geo": None}) is GEO
    assert GEO.packet_limit_bytes == 900
    assert IDEAL.packet_limit_bytes is None


def test_geo_propagation_equals_coordinates_in_the_plane():
    # station on the earth's circle at the bottom of the angle, satellite found by walking up the line of sight
    def leg_km(elevation_deg):
        radius, height = 6371.0, 35_786.0
        low, high = 0.0, 60_000.0
        for _ in range(100):
            middle = (low + high) / 2
            x = middle * math.cos(math.radians(elevation_deg))
            y = radius + middle * math.sin(math.radians(elevation_deg))
            low, high = (middle, high) if math.hypot(x, y) < radius + height else (low, middle)
        return low

    link = link_from_spec({"geo": {"elevation_deg": [20, 63.5]}})
    assert link.propagation_s == pytest.approx((leg_km(20) + leg_km(63.5)) / 299_792.458, abs=1e-12)
    assert link.feedback_delay_s == link.propagation_s


@pytest.mark.parametrize("name", ["geo", "wlan", "mobile", "ideal"])
def test_every_number_can_be_overridden(name):
    numbers = {
        "rate_bps": 1200,
        "interval_s": 0.5,
        "propagation_s": 0.1,
        "jitter_s": 0.01,
        "mtu_bytes": 300,
        "overhead_bytes": 10,
        "queue_packets": 3,
        "feedback_delay_s": 0.2,
        "period_s": 5,
        "deadline_s": 4.5,
    }
    assert link_from_spec({name: numbers}) == LinkProfile(name, **numbers)


def test_given_delay_wins_over_geometry():
    link = link_from_spec({"geo": {"elevation_deg": 90, "feedback_delay_s": 1}})
    assert link.feedback_delay_s == 1
    assert link.propagation_s == pytest.approx(2 * 35_786 / 299_792.458)
    assert link_from_spec({"geo": {"orbit_height_km": 1000, "elevation_deg": 90}}).propagation_s < 0.01


@pytest.mark.parametrize(
    ("spec", "key", "telling"),
    [
        ("goe", (), "did you mean `geo`?"),
        ({"goe": {}}, ("goe",), "did you mean `geo`?"),
        ({"geo": {"rate": 9600}}, ("geo", "rate"), "did you mean `rate_bps`?"),
        ({"wlan": {"elevation_deg": 35}}, ("wlan", "elevation_deg"), "known: "),
        ({"geo": {"rate_bps": -9600}}, ("geo", "rate_bps"), "negative rate_bps -9600"),
        ({"geo": {"rate_bps": 0}}, ("geo", "rate_bps"), "above zero"),
        ({"geo": {"rate_bps": "fast"}}, ("geo", "rate_bps"), "'fast' is not a number"),
        ({"geo": {"interval_s": float("inf")}}, ("geo", "interval_s"), "finite"),
        ({"geo": {"jitter_s": float("nan")}}, ("geo", "jitter_s"), "not a number"),
        ({"geo": {"jitter_s": True}}, ("geo", "jitter_s"), "not a number"),
        ({"geo": {"rate_bps": 10**400}}, ("geo", "rate_bps"), "not a number"),
        ({"geo": {"rate_bps": 1e-300}}, ("geo", "rate_bps"), "too small"),
        ({"geo": {"rate_bps": 1e300}}, ("geo", "rate_bps"), "too large"),
        ({"geo": {"period_s": 5e-324}}, ("geo", "period_s"), "too small"),
        ({"geo": {"interval_s": 1e-300}}, ("geo", "interval_s"), "too small"),
        ({"geo": {"period_s": 1e308}}, ("geo", "period_s"), "too large"),
        ({"geo": {"overhead_bytes": 10**20}}, ("geo", "overhead_bytes"), "too large"),
        ({"geo": {"orbit_height_km": 1e300}}, ("geo", "orbit_height_km"), "too large"),
        ({"geo": {"queue_packets": 1.5}}, ("geo", "queue_packets"), "whole number"),
        ({"geo": {"deadline_s": 0}}, ("geo", "deadline_s"), "above zero"),
        ({"geo": {"mtu_bytes": 28}}, ("geo", "mtu_bytes"), "counts the headers"),
        ({"geo": {"elevation_deg": [35, 142]}}, ("geo", "elevation_deg"), "[35, 42]"),
        ({"geo": {"elevation_deg": [35]}}, ("geo", "elevation_deg"), "two stations"),
        ({"geo": {"orbit_height_km": -1}}, ("geo", "orbit_height_km"), "negative"),
        ({"geo": 9600}, ("geo",), "rate_bps: 9600"),
        ({"geo": {}, "wlan": {}}, (), "not one profile"),
        (9600, (), "not one profile"),
    ],
)
def test_refusals_say_what_would_be_right(spec, key, telling):
    with pytest.raises(InputError) as refused:
        link_from_spec(spec)
    assert refused.value.key == key
    assert telling in str(refused.value)


def test_the_documented_table_is_the_profiles():
    text = (Path(__file__).parents[2] / "docs" / "reference" / "links.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    profiles = [link_from_spec(name) for name in link_names()]
    documented = {row[0].strip("`"): row[1:] for row in table if len(row) == 5 and "," not in row[0]}
    assert len(documented) == 8
    for key, cells in documented.items():
        for cell, profile in zip(cells, profiles, strict=True):
            value = getattr(profile, key)
            if cell == "none":
                assert value is None
            else:
                assert float(cell.replace(",", "")) == pytest.approx(value, abs=1e-6)

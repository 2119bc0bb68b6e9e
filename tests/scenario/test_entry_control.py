"""A codec entry's own `control` takes the place of the scenario's."""

import pytest

import netsim
from netsim.errors import InputError

SHARES = ["none", {"reed-solomon": "30%"}]
COMMON = {"images": {"samples": ["coffee"]}, "channels": ["EP4"]}


def labels(codecs, **keys):
    plan = netsim.plan({**COMMON, "codecs": codecs, **keys})
    return [row.label for row in plan.rows]


def test_each_entry_has_controllers_that_fit_its_choices():
    following = {"previous-interval": {"thresholds": [0.05]}}
    codecs = [
        {"jpeg": {"quality": 30, "protection": SHARES, "control": ["none", following]}},
        {"webp": {"quality": 30}},
    ]
    found = labels(codecs)
    assert sorted(found) == sorted(["webp", "jpeg", "jpeg + 30% FEC", "jpeg + previous-interval thresholds"])


def test_the_scenarios_control_holds_for_the_others():
    codecs = [
        {"jpeg": {"quality": 30, "protection": SHARES, "control": "none"}},
        {"webp": {"quality": 30, "protection": SHARES}},
    ]
    found = labels(codecs, control={"previous-interval": {"factor": 3}})
    assert sorted(found) == ["jpeg", "jpeg + 30% FEC", "webp + previous-interval 3×"]


def test_a_faulty_control_of_an_entry_is_refused_at_its_place():
    codecs = [{"jpeg": {"quality": 30, "protection": SHARES, "control": [{"previous-interval": {"factor": -1}}]}}]
    with pytest.raises(InputError) as refused:
        labels(codecs)
    assert "codecs[0].jpeg.control[0].previous-interval.factor" in str(refused.value)
    assert "negative factor -1" in str(refused.value)
    with pytest.raises(InputError, match="control is an empty list"):
        labels([{"jpeg": {"quality": 30, "control": []}}])

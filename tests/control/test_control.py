"""Controllers: choices from reports alone, settings, refusals, plug-ins."""

import pytest

from netsim import registry
from netsim.control.previous_interval import loss_of_previous_interval
from netsim.control.spec import controller_from_spec, controller_names
from netsim.errors import InputError
from netsim.links.packets import Report
from netsim.protection.spec import protection_from_spec

CHOICES = [protection_from_spec(s) for s in ("none", *({"reed-solomon": f"{p}%"} for p in (10, 30, 50)))]


def reports(*lost_of_ten, first=0):
    return [Report(first + slot, 10, lost, float(slot)) for slot, lost in enumerate(lost_of_ten)]


def test_fixed():
    assert controller_from_spec(None, CHOICES).choose(9, reports(9, 9)) == 0
    assert controller_from_spec({"fixed": {"choice": 2}}, CHOICES).choose(0, []) == 2


def test_previous_interval_takes_the_smallest_share_that_covers_factor_times_loss():
    controller = controller_from_spec({"previous-interval": {"interval_slots": 2, "factor": 2}}, CHOICES)
    assert controller.name == "previous-interval 2×"
    assert controller.choose(0, []) == 0
    assert controller.choose(1, reports(5)) == 0  # slot 0 is of the same interval
    assert [controller.choose(2, reports(a, b)) for a, b in [(0, 0), (1, 0), (2, 1), (4, 1), (9, 9)]] == [0, 1, 2, 3, 3]
    assert controller.choose(3, reports(1, 0, 10)) == 1  # the running interval does not count


def test_order_of_the_choices_is_the_users():
    controller = controller_from_spec({"previous-interval": {"interval_slots": 1, "start": 2}}, CHOICES[::-1])
    assert controller.choose(0, []) == 2
    assert controller.choose(1, reports(2)) == 1
    assert controller.choose(1, reports(9)) == 0


def test_thresholds_in_place_of_shares():
    settings = {"interval_slots": 1, "thresholds": [0.05, 0.2, 0.45]}
    controller = controller_from_spec({"previous-interval": settings}, CHOICES)
    assert [controller.choose(1, reports(lost)) for lost in (0, 1, 2, 4, 5)] == [0, 1, 2, 2, 3]


def test_only_reports_that_have_arrived_count():
    assert loss_of_previous_interval(20, [], 10) is None
    assert loss_of_previous_interval(20, reports(3, 5, first=10), 10) == pytest.approx(0.4)  # eight are under way
    assert loss_of_previous_interval(20, reports(1, 3, first=4), 10) == pytest.approx(0.2)  # none: the one before
    out_of_order = [*reports(4, first=12), *reports(9, first=3), *reports(2, first=11), *reports(9, first=20)]
    assert loss_of_previous_interval(25, out_of_order, 10) == pytest.approx(0.3)


def test_slots_of_different_size_weigh_by_packets():
    mixed = [Report(0, 30, 3, 0.0), Report(1, 10, 5, 1.0), Report(2, 0, 0, 2.0)]
    assert loss_of_previous_interval(3, mixed, 3) == pytest.approx(8 / 40)
    assert loss_of_previous_interval(3, [Report(2, 0, 0, 2.0)], 3) == 0


def test_a_third_partys_controller_is_found_by_name(monkeypatch):
    class Last:
        name = "last"

        def choose(self, slot, reports):
            return 3

    class Point:
        def load(self):
            return lambda settings, protections: Last()

    monkeypatch.setattr(registry, "_group", lambda group: {"last": Point()} if group == "netsim.controllers" else {})
    assert controller_names() == ["fixed", "last", "previous-interval"]
    assert controller_from_spec("last", CHOICES).choose(0, []) == 3


@pytest.mark.parametrize(
    ("spec", "key", "telling"),
    [
        ("previous", ("previous",), "did you mean `previous-interval`?"),
        ({"fixed": {"choice": 4}}, ("fixed", "choice"), "3 = reed-solomon 50%"),
        ({"fixed": {"choise": 1}}, ("fixed", "choise"), "did you mean `choice`?"),
        ({"fixed": 3}, ("fixed",), "not a list of settings"),
        ({"previous-interval": {"interval_slots": 0}}, ("previous-interval", "interval_slots"), "1 or more"),
        ({"previous-interval": {"factor": -1}}, ("previous-interval", "factor"), "negative factor -1"),
        ({"previous-interval": {"thresholds": [0.1]}}, ("previous-interval", "thresholds"), "3 thresholds"),
        ({"previous-interval": {"thresholds": [0.3, 0.2, 0.1]}}, ("previous-interval", "thresholds"), "rising"),
        (
            {"previous-interval": {"thresholds": [0.1, 0.2, 0.3], "factor": 2}},
            ("previous-interval", "thresholds"),
            "give one of them",
        ),
        ({"fixed": {}, "previous-interval": {}}, (), "not one controller"),
    ],
)
def test_refusals_say_what_would_be_right(spec, key, telling):
    with pytest.raises(InputError) as refused:
        controller_from_spec(spec, CHOICES)
    assert refused.value.key == key
    assert telling in str(refused.value)


def test_three_times_a_tenth_is_no_more_than_thirty_per_cent():
    # 3 * 0.1 > 0.3 as float64; the smallest share of at least 3 × 1/10 is 30 %
    choices = [protection_from_spec(spec) for spec in ("none", {"reed-solomon": "30%"}, {"reed-solomon": "50%"})]
    control = controller_from_spec({"previous-interval": {"interval_slots": 1, "factor": 3}}, choices)
    assert control.choose(1, [Report(0, 10, 1, 0.0)]) == 1
    thirds = [protection_from_spec(spec) for spec in ({"reed-solomon": [3, 1]}, {"reed-solomon": [10, 1]})]
    control = controller_from_spec({"previous-interval": {"interval_slots": 1, "factor": 2}}, thirds)
    assert control.choose(1, [Report(0, 3, 1, 0.0)]) == 0

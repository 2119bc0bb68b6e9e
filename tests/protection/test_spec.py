"""How a scenario names a protection, and the errors of faulty names."""

import pytest

from netsim.errors import InputError
from netsim.protection.spec import protection_from_spec


@pytest.mark.parametrize(
    ("spec", "name", "share", "data_of_ten"),
    [
        (None, "none", 0, 10),
        ("none", "none", 0, 10),
        ({"reed-solomon": "30%"}, "reed-solomon 30%", 0.3, 7),
        ({"reed-solomon": "12.5 %"}, "reed-solomon 12.5%", 0.125, 9),
        ({"reed-solomon": 0.7}, "reed-solomon 70%", 0.7, 3),
        ({"reed-solomon": 0}, "reed-solomon 0%", 0, 10),
        ({"reed-solomon": [10, 7]}, "reed-solomon (10, 7)", 0.3, 7),
        ({"reed-solomon": {"n": 12, "k": 9}}, "reed-solomon (12, 9)", 0.25, 9),
        ({"repeat": {"packets": [1], "times": 2}}, "repeat (1)", 0, 10),
        ({"repeat": {"packets": 3}}, "repeat (3)", 0, 10),
        ({"repeat": {"packets": [7, 1, 2, 3]}}, "repeat (1-3, 7)", 0, 10),
        ({"repeat": {"first": 2}}, "repeat (1, 2)", 0, 10),
        ({"repeat": {"first": 8, "times": 3}}, "repeat (1-8) x3", 0, 10),
        ({"arq": {"retries": 2}}, "arq 2", 0, 10),
        ({"arq": {"retries": 1, "timeout_s": 1.5}}, "arq 1 timeout 1.5 s", 0, 10),
    ],
)
def test_forms(spec, name, share, data_of_ten):
    protection = protection_from_spec(spec)
    assert (protection.name, protection.share) == (name, pytest.approx(share))
    assert protection.data_packets(10) == data_of_ten
    assert protection.overhead_bytes == (2 if share else 0)


@pytest.mark.parametrize(
    ("spec", "key", "telling"),
    [
        ("reed-solomon", (), "reed-solomon: 30%"),
        ("read-solomon", (), "did you mean `reed-solomon`?"),
        ({"read-solomon": "30%"}, ("read-solomon",), "did you mean `reed-solomon`?"),
        ("repeat", (), "repeat: {packets: [1]}"),
        ({"repeat": 2}, ("repeat",), "repeat: {packets: [1]}"),
        ({"repeat": {}}, ("repeat",), "neither packets nor first"),
        ({"repeat": {"times": 3}}, ("repeat",), "neither packets nor first"),
        ({"repeat": {"packets": [1], "first": 2}}, ("repeat",), "both packets and first"),
        ({"repeat": {"packet": [1]}}, ("repeat", "packet"), "did you mean `packets`?"),
        ({"repeat": {"packets": []}}, ("repeat", "packets"), "empty"),
        ({"repeat": {"packets": [1, 0]}}, ("repeat", "packets", 1), "packets 0 is out of range"),
        ({"repeat": {"packets": "1"}}, ("repeat", "packets"), "packets '1' is out of range"),
        ({"repeat": {"packets": [1.5]}}, ("repeat", "packets", 0), "packets 1.5"),
        ({"repeat": {"packets": [True]}}, ("repeat", "packets", 0), "packets True"),
        ({"repeat": {"packets": [2, 1, 2]}}, ("repeat", "packets", 2), "packet 2 is listed twice"),
        ({"repeat": {"packets": [1], "times": 1}}, ("repeat", "times"), "from 2 to 255"),
        ({"repeat": {"first": 0}}, ("repeat", "first"), "from 1 to 65,535"),
        ({"repeat": {"first": 10**9}}, ("repeat", "first"), "from 1 to 65,535"),
        ({"repaet": {"first": 1}}, ("repaet",), "did you mean `repeat`?"),
        ("arq", (), "arq: {retries: 2}"),
        ({"arq": 2}, ("arq",), "arq: {retries: 2}"),
        ({"arq": {"timeout_s": 1}}, ("arq",), "no retries"),
        ({"arq": {"retries": 0}}, ("arq", "retries"), "1 or more"),
        ({"arq": {"retries": 1.5}}, ("arq", "retries"), "1.5"),
        ({"arq": {"retries": 1000}}, ("arq", "retries"), "up to 100"),
        ({"arq": {"retries": 1, "timeout_s": 0}}, ("arq", "timeout_s"), "zero timeout_s"),
        ({"arq": {"retries": 1, "timeout": 1}}, ("arq", "timeout"), "did you mean `timeout_s`?"),
        ({"reed-solomon": [7, 10]}, ("reed-solomon",), "k = 10 is above n = 7"),
        ({"reed-solomon": [10, 0]}, ("reed-solomon",), "k = 0"),
        ({"reed-solomon": [300, 10]}, ("reed-solomon",), "at most 255"),
        ({"reed-solomon": [10, 7, 3]}, ("reed-solomon",), "(n, k)"),
        ({"reed-solomon": [10, 7.5]}, ("reed-solomon",), "not a whole number"),
        ({"reed-solomon": {"n": 10}}, ("reed-solomon",), "lacks k"),
        ({"reed-solomon": {"n": 10, "kk": 7}}, ("reed-solomon", "kk"), "did you mean `k`?"),
        ({"reed-solomon": "100%"}, ("reed-solomon",), "outside 0% to 100%"),
        ({"reed-solomon": "-5%"}, ("reed-solomon",), "outside 0% to 100%"),
        ({"reed-solomon": 30}, ("reed-solomon",), "`30%`"),
        ({"reed-solomon": "lots"}, ("reed-solomon",), "neither a share nor (n, k)"),
        ({"reed-solomon": True}, ("reed-solomon",), "neither a share nor (n, k)"),
        ({"reed-solomon": "99.9%"}, ("reed-solomon",), "255"),
        ({"none": 1, "reed-solomon": 2}, (), "not one protection"),
        (0.3, (), "not one protection"),
    ],
)
def test_refusals_say_what_would_be_right(spec, key, telling):
    with pytest.raises(InputError) as refused:
        protection_from_spec(spec)
    assert refused.value.key == key
    assert telling in str(refused.value)

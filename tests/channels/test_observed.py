"""Statistics of recordings against their definitions, counted in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channels.fitting.observed import LAGS, LONGEST, WINDOW, observe
from netsim.errors import InputError


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=3))
def test_statistics_are_those_counted_by_hand(series: list[list[bool]]) -> None:
    seen = observe([np.array(one) for one in series])
    lost = [[not arrived for arrived in one] for one in series]
    packets = sum(map(len, lost))
    rate = sum(map(sum, lost)) / packets
    runs: dict[bool, list[int]] = {True: [], False: []}
    for one in lost:
        start = 0
        for i in range(1, len(one) + 1):
            if i == len(one) or one[i] != one[start]:
                runs[one[start]].append(i - start)
                start = i
    assert (seen.packets, seen.loss_rate) == (packets, pytest.approx(rate))
    for lengths, mean, shares in ((runs[True], seen.mean_burst, seen.bursts), (runs[False], seen.mean_gap, seen.gaps)):
        assert mean == pytest.approx(np.mean(lengths) if lengths else 0)
        for length in set(lengths):
            assert shares[length] == pytest.approx(lengths.count(length) / len(lengths))
    windows = [sum(one[i : i + WINDOW]) for one in lost for i in range(len(one) - WINDOW + 1)]
    if windows:
        assert seen.loss_counts.tolist() == pytest.approx(
            [windows.count(count) / len(windows) for count in range(WINDOW + 1)]
        )
    else:
        assert np.isnan(seen.loss_counts).all()
    for lag in range(1, LAGS + 1):
        pairs = [(one[i] - rate) * (one[i + lag] - rate) for one in lost for i in range(len(one) - lag)]
        expected = np.mean(pairs) / (rate * (1 - rate)) if pairs and 0 < rate < 1 else 0.0
        assert seen.autocorrelation[lag - 1] == pytest.approx(expected, abs=1e-9)


def test_a_long_run_counts_as_the_longest() -> None:
    seen = observe([np.zeros(LONGEST + 5, dtype=bool)])
    assert seen.bursts[LONGEST] == 1
    assert seen.mean_burst == LONGEST + 5
    assert seen.longer("bursts")[1] == 1


def test_nothing_can_not_be_described() -> None:
    with pytest.raises(InputError, match="no packets"):
        observe([np.zeros(0, dtype=bool)])

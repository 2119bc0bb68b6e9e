from __future__ import annotations

import pytest
from netcodecs.training.clock import ActiveClock


class _Time:
    def __init__(self) -> None:
        self.value = 1000.0

    def __call__(self) -> float:
        return self.value


def test_pause_is_not_work() -> None:
    time = _Time()
    clock = ActiveClock(100, now=time)
    for gap in (20, 500, 5):
        time.value += gap
        share = clock.tick()
    assert clock.active_s == 25
    assert share == 0.25


def test_stop_is_absolute_and_the_share_lands_on_it() -> None:
    time = _Time()
    clock = ActiveClock(100, stop_at=1060, now=time)
    time.value = 1015
    assert clock.tick() == pytest.approx(15 / 60)
    time.value = 1045.5  # a pause: fifteen seconds of work are done, 14.5 are left
    assert clock.tick() == pytest.approx(15 / (15 + 14.5))
    time.value = 1060
    assert clock.tick() == 1.0


def test_slow_steps_are_work_all_the_same() -> None:
    """Steps longer than the gap that counts as a pause: only the first is taken for one."""
    time = _Time()
    clock = ActiveClock(1000, now=time)
    for _ in range(4):
        time.value += 40
        clock.tick()
    assert clock.active_s == 3 * 40

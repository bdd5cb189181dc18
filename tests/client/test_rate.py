"""The pace of a loop, on a clock that the test holds."""

from __future__ import annotations

import math

import pytest

import isthmus
from isthmus.client import rate as module


class Clock:
    """Stands in for the module `time`; sleeping takes what it is told to."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        self.slept: list[float] = []
        self.oversleep_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9) + self.oversleep_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_it_does_not_drift(clock: Clock) -> None:
    rate = isthmus.Rate(100)
    clock.oversleep_ns = 300_000
    for _ in range(50):
        clock.now_ns += 2_000_000  # the loop's body
        assert rate.sleep() == pytest.approx(0.0003)
    assert clock.now_ns == 5_000_000_000 + 50 * 10_000_000 + 300_000
    assert rate.overruns == 0


def test_missed_ticks_are_counted_and_skipped(clock: Clock) -> None:
    rate = isthmus.Rate(100)
    clock.now_ns += 35_000_000
    assert rate.sleep() == pytest.approx(0.025)
    assert rate.overruns == 2
    assert clock.slept == []
    rate.sleep()
    assert clock.now_ns == 5_000_000_000 + 40_000_000  # back on the grid, no burst
    assert rate.overruns == 2


def test_a_reset_begins_anew(clock: Clock) -> None:
    rate = isthmus.Rate(100)
    clock.now_ns += 1_000_000_000
    rate.reset()
    rate.sleep()
    assert rate.overruns == 0
    assert clock.slept == [0.01]


@pytest.mark.parametrize("hz", [0, -1, math.nan, math.inf, 1e10])
def test_a_rate_that_is_none(hz: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        isthmus.Rate(hz)

from __future__ import annotations

import pytest

from isthmus.telemetry import LatencyWindow, LogHistogram
from isthmus.telemetry.window import SLICES

S = 1_000_000_000


def test_it_forgets_what_is_older_than_its_seconds() -> None:
    window = LatencyWindow(seconds=30)
    for second in range(100):
        window.add(second * S, 1_000 * (second + 1))
    found = window.lately(100 * S)
    assert (found["count"], found["min"], found["max"]) == (30, 71_000, 100_000)
    found = window.lately(100 * S - 1)
    assert (found["count"], found["min"]) == (31, 70_000), "and one part in SLICES more"


@pytest.mark.parametrize("seconds", [0.5, 10.0, 60.0, 3600.0])
def test_nothing_within_its_seconds_is_missing_and_little_more_is_there(seconds: float) -> None:
    window = LatencyWindow(seconds)
    tenth = int(seconds * S / 300)
    for step in range(1000):
        now = 7 * S + step * tenth
        window.add(now, 5)
        assert min(step + 1, 300) <= window.lately(now)["count"] <= 300 + 300 // SLICES + 1


def test_silence_empties_the_seconds_and_not_the_last_samples() -> None:
    window = LatencyWindow(seconds=10)
    window.add(5 * S, 3_000)
    assert window.lately(14 * S)["count"] == 1
    assert window.lately(60 * S) == LogHistogram().summary()
    assert window.recent()["p50"] == 3_000


def test_a_jump_forward_forgets_everything_before_it() -> None:
    window = LatencyWindow(seconds=10)
    window.add(0, 1)
    window.add(10**6 * S, 2)
    assert window.lately(10**6 * S)["min"] == 2
    assert len(window._slices) == 1


def test_an_instant_before_the_last_counts_as_with_it() -> None:
    window = LatencyWindow(seconds=10)
    window.add(100 * S, 1)
    window.add(3 * S, 2)
    assert window.lately(100 * S)["count"] == 2


def test_memory_is_bounded_whatever_the_rate() -> None:
    window = LatencyWindow(seconds=10, samples=50)
    for step in range(20_000):
        window.add(step * S // 100, 1 + step % 7)
    assert len(window._slices) <= SLICES + 1
    assert len(window._recent) == 50
    assert window.recent()["count"] == 50


def test_many_at_once_are_as_good_as_one_by_one() -> None:
    times = [S * step // 7 for step in range(700)]
    values = [(step * 7919) % 100_003 for step in range(700)]
    one, many = LatencyWindow(20), LatencyWindow(20)
    for time, value in zip(times, values, strict=True):
        one.add(time, value)
    for start in range(0, 700, 90):
        many.add_many(times[start : start + 90], values[start : start + 90])
    many.add_many([], [])
    assert many.recent() == one.recent()
    assert many.histogram(100 * S).to_dict() == one.histogram(100 * S).to_dict()


def test_an_empty_window_reads_zero() -> None:
    window = LatencyWindow()
    assert window.recent() == window.lately(0) == LogHistogram().summary()


def test_what_a_window_cannot_be() -> None:
    for arguments in ((0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)):
        with pytest.raises(ValueError, match="seconds and samples"):
            LatencyWindow(*arguments)
    with pytest.raises(ValueError, match="1 instants for 2 samples"):
        LatencyWindow().add_many([1], [1, 2])


@pytest.mark.parametrize("idle_s", [0, 30, 59, 75, 10**6])
def test_fresh_is_what_is_recent_and_not_older_than_the_window(idle_s: int) -> None:
    window = LatencyWindow(60.0, 200)
    window.add_many([0] * 300, [1_000_000] * 300)
    later = idle_s * S
    window.add_many([later] * 12, [1] * 12)
    fresh = window.fresh(later)
    assert fresh == (window.recent() if idle_s <= 60 else {**fresh, "count": 12, "max": 1.0})
    assert window.fresh(later + 120 * S)["count"] == 0

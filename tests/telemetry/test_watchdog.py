from __future__ import annotations

import random

import pytest

from isthmus.telemetry import DeadlineWatchdog
from isthmus.telemetry.watchdog import ENOUGH


@pytest.mark.parametrize("threshold", [1, 2, 5, 50])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_a_run_of_misses_around_the_threshold(threshold: int, beside: int) -> None:
    watchdog = DeadlineWatchdog(escalate_after=threshold)
    due = [watchdog.record(True) for _ in range(threshold + beside)]
    assert due.count(True) == watchdog.escalations == (0 if beside < 0 else 1)
    if beside >= 0:
        assert due.index(True) == threshold - 1
    assert watchdog.consecutive == threshold + beside
    assert not watchdog.record(False)
    assert watchdog.consecutive == 0


def test_each_run_escalates_once_and_a_kept_deadline_ends_it() -> None:
    watchdog = DeadlineWatchdog(escalate_after=3)
    said = "".join("!" if watchdog.record(step == "x") else "." for step in "xx.xxxxxx.xxx.x.xxx")
    assert said == ".....!......!.....!"
    assert watchdog.escalations == 3


def test_without_a_threshold_nothing_escalates() -> None:
    watchdog = DeadlineWatchdog()
    assert not any(watchdog.record(True) for _ in range(1000))
    assert (watchdog.steps, watchdog.misses, watchdog.consecutive) == (1000, 1000, 1000)
    assert watchdog.escalations == 0
    assert not watchdog.degraded


def test_rates_against_plain_counting() -> None:
    rng, steps = random.Random(3), []
    watchdog = DeadlineWatchdog(window=50)
    assert (watchdog.miss_rate, watchdog.recent_miss_rate) == (0.0, 0.0)
    for _ in range(500):
        steps.append(rng.random() < 0.3)
        watchdog.record(steps[-1])
        assert watchdog.miss_rate == sum(steps) / len(steps)
        assert watchdog.recent_miss_rate == sum(steps[-50:]) / len(steps[-50:])


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5, 0.95])
def test_degraded_above_its_ratio_and_until_half_of_it(ratio: float) -> None:
    watchdog = DeadlineWatchdog(degrade_ratio=ratio, window=100)
    for _ in range(100):
        watchdog.record(False)
    while watchdog.recent_miss_rate + 0.01 <= ratio + 1e-12:
        watchdog.record(True)
        assert not watchdog.degraded
    watchdog.record(True)
    assert watchdog.degraded
    while watchdog.recent_miss_rate > ratio / 2:
        assert watchdog.degraded
        watchdog.record(False)
    assert not watchdog.degraded


def test_a_few_steps_are_not_enough_to_judge() -> None:
    watchdog = DeadlineWatchdog(degrade_ratio=0.5)
    for _ in range(ENOUGH - 1):
        watchdog.record(True)
        assert not watchdog.degraded
    watchdog.record(True)
    assert watchdog.degraded


def test_a_window_shorter_than_that_is_enough_when_it_is_full() -> None:
    watchdog = DeadlineWatchdog(degrade_ratio=0.5, window=3)
    assert [(watchdog.record(True), watchdog.degraded)[1] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("arguments", [(-1,), (0, -0.1), (0, 1.1), (0, float("nan")), (0, 0.5, 0)])
def test_what_it_cannot_be(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="a watchdog needs"):
        DeadlineWatchdog(*arguments)  # type: ignore[arg-type]

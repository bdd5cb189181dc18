from __future__ import annotations

import random

from isthmus.safety import Ladder, Level
from isthmus.safety.ladder import NAMES
from isthmus.safety.leveltimes import LevelTimes

T = 20_000_000


def test_time_adds_up_by_level() -> None:
    times = LevelTimes(("low", "high", "never"), "low")
    times.begin(100)
    times.enter("high", 130)
    times.enter("low", 137)
    assert times.spent_ns(140) == {"low": 33, "high": 7, "never": 0}
    assert times.spent_ns(141)["low"] == 34, "the level at hand goes on"


def test_nothing_counts_before_the_beginning() -> None:
    times = LevelTimes(("low", "high"), "low")
    assert times.spent_ns(10**18) == {"low": 0, "high": 0}
    times.enter("high", 500)
    assert times.spent_ns(700) == {"low": 0, "high": 200}


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    times = LevelTimes(("low", "high"), "low")
    times.begin(100)
    times.enter("high", 50)
    assert times.spent_ns(40) == {"low": 0, "high": 0}
    assert times.spent_ns(110) == {"low": 0, "high": 10}


def test_a_ladder_is_always_at_exactly_one_level() -> None:
    ladder, rng, now = Ladder(T, "auto"), random.Random(11), 1_000
    ladder.times.begin(now)
    spent = dict.fromkeys(NAMES.values(), 0)
    moves = (ladder.valid, ladder.miss, ladder.miss, ladder.reset, ladder.rearm, ladder.reconnected)
    for _ in range(3000):
        step = rng.choice((0, 1, T, 60 * T))
        spent[NAMES[ladder.level]] += step
        now += step
        rng.choice(moves)(now)
        assert ladder.times.spent_ns(now) == spent
    assert sum(spent.values()) == now - 1_000
    assert all(spent[NAMES[level]] for level in Level), "every level was visited"

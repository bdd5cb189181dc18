from __future__ import annotations

from math import nan

import pytest

from isthmus.safety import Elapsed

MS = 1_000_000


@pytest.mark.parametrize("actuator", ["simulated", "real"])
@pytest.mark.parametrize(
    ("before", "moment", "elapsed"),
    [
        (1.0, 1.04, 40 * MS),
        (7.0, 7.0, 0),  # it stands still
        (7.0, 6.0, 0),  # an episode nobody announced
        (0.0, 1e15, 3600_000 * MS),
    ],
)
def test_simulation_time_is_taken_where_it_is_known(
    actuator: str, before: float, moment: float, elapsed: int
) -> None:
    timer = Elapsed(actuator)
    timer.since_last(before, 5)
    assert timer.since_last(moment, 900 * MS) == elapsed


@pytest.mark.parametrize(("before", "moment"), [(nan, nan), (1.0, nan), (nan, 1.0)])
def test_without_it_a_robot_has_a_clock_and_a_simulator_its_own_pace(
    before: float, moment: float
) -> None:
    for actuator, elapsed in (("real", 3 * MS), ("simulated", None)):
        timer = Elapsed(actuator)
        assert timer.since_last(before, 4 * MS) is None
        assert timer.since_last(moment, 7 * MS) == elapsed


@pytest.mark.parametrize("actuator", ["simulated", "real"])
def test_an_episode_starts_without_a_past(actuator: str) -> None:
    timer = Elapsed(actuator)
    timer.since_last(5.0, 4 * MS)
    timer.forget()
    assert timer.since_last(0.0, 8 * MS) is None
    assert timer.since_last(0.02, 9 * MS) == 20 * MS


def test_time_goes_on_from_where_it_jumped_back_to() -> None:
    timer = Elapsed("simulated")
    assert [timer.since_last(moment, 1) for moment in (5.0, 0.0, 0.02, 0.06)] == [
        None, 0, 20 * MS, 40 * MS,
    ]  # fmt: skip

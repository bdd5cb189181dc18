from __future__ import annotations

import pytest

from isthmus.supervisor.restarts import STABLE, Restarts


@pytest.mark.parametrize(
    ("policy", "status", "again"),
    [
        ("never", 0, False),
        ("never", 1, False),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("on-failure", -9, True),
        ("always", 0, True),
        ("always", 1, True),
    ],
)
def test_policies(policy: str, status: int, again: bool) -> None:
    assert (Restarts(policy, 5).after(status, 0.0) is not None) == again


def test_delays_double_up_to_the_longest_and_then_it_gives_up() -> None:
    restarts = Restarts("always", 7)
    delays = [restarts.after(1, 0.0) for _ in range(8)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, None]
    assert restarts.total == 7
    assert restarts.exhausted


def test_a_stable_while_forgives() -> None:
    restarts = Restarts("on-failure", 1)
    for _ in range(5):
        assert restarts.after(1, STABLE) == 0.5
    assert restarts.total == 5
    assert restarts.after(1, STABLE / 2) is None


def test_what_was_never_ready_is_not_started_again() -> None:
    restarts = Restarts("always", 5)
    assert restarts.after(1, None) is None
    assert not restarts.exhausted
    assert restarts.after(1, 0.0) == 0.5
    assert restarts.after(1, None) == 1.0  # it has been ready once


def test_a_limit_of_none_is_none() -> None:
    assert Restarts("always", 0).after(1, 0.0) is None


def test_any_number_of_restarts_may_be_allowed() -> None:
    restarts = Restarts("always", 2000)
    assert [restarts.after(1, 0.0) for _ in range(2000)][-1] == 10.0
    assert restarts.after(1, 0.0) is None

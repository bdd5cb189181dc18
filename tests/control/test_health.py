"""A pass that does not end is a fault; a gateway that waits is well."""

from __future__ import annotations

import pytest

from isthmus.control.health import engine_health, engine_readiness, well

BEGAN_NS = 10_000_000_000


@pytest.mark.parametrize(
    ("since_ns", "now_ns", "fine"),
    [
        (0, BEGAN_NS * 1000, True),
        (BEGAN_NS, BEGAN_NS, True),
        (BEGAN_NS, BEGAN_NS + 5_000_000_000, True),
        (BEGAN_NS, BEGAN_NS + 5_000_000_001, False),
        (BEGAN_NS, BEGAN_NS + 3_600_000_000_000, False),
    ],
)
def test_only_a_long_pass_is_a_fault(since_ns: int, now_ns: int, fine: bool) -> None:
    said = engine_health(lambda: since_ns, limit_s=5.0, now_ns=lambda: now_ns)()
    assert (said == "") is fine


def test_the_fault_says_how_long_and_what_to_do() -> None:
    said = engine_health(lambda: BEGAN_NS, limit_s=2, now_ns=lambda: BEGAN_NS + 7_250_000_000)()
    assert "7.2 s" in said and "at most 2 s" in said and "restart" in said


def test_without_a_check_nothing_is_wrong() -> None:
    assert well() == ""


def test_ready_is_who_serves_a_policy_and_takes_connections_in() -> None:
    served, accepting = 0, True
    check = engine_readiness(lambda: served, lambda: accepting)
    assert "no policy" in check()
    served = 1
    assert check() == ""
    accepting = False
    assert "no descriptor" in check()
